//! Training a classifier: what a lesson is, how training goes, what it gives.

use std::ops::Range;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::decay::Decay;
use super::init::Init;
use super::loss::{Goal, Loss, Targets, part::Part};
use super::moves::Moves;
use super::optim::Optimizer;
use super::train::{Start, Trained, train};
use super::{Arch, InputShape, Model, Schedule, one_vs_rest, tree};
use crate::error::{Error, Result, expect_shape};
use crate::seed::Seed;

/// How training goes. All students of a table share one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Recipe {
    /// How a fresh network's weights are drawn.
    #[serde(skip_serializing_if = "super::is_default")]
    pub init: Init,
    /// The update rule.
    pub optimizer: Optimizer,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Which parameters the optimizer's weight decay shrinks.
    #[serde(skip_serializing_if = "super::is_default")]
    pub decay: Decay,
    /// Most that the Euclidean norm of a step's gradient may be; a longer one is scaled down. 0 for no limit.
    #[serde(skip_serializing_if = "super::is_default")]
    pub clip: f64,
    /// Most that the Euclidean norm of a unit's incoming weights may be after a step; longer ones are scaled
    /// down (Srivastava et al. 2014, section 5.1). 0 for no limit.
    #[serde(skip_serializing_if = "super::is_default")]
    pub max_norm: f64,
    /// Chances that a number is dropped while learning: of the inputs, and of what enters later dense
    /// layers (Srivastava et al. 2014).
    #[serde(skip_serializing_if = "super::is_default")]
    pub dropout: [f64; 2],
    /// Most pixels that an image is moved by, up or down and left or right, each time it is learnt from; what
    /// comes in is the lowest value. Images only.
    #[serde(skip_serializing_if = "super::is_default")]
    pub jitter: usize,
    /// Rows of a step. A smaller lesson is its own batch.
    pub batch: usize,
    /// Cap on optimiser steps, whatever the number of rows.
    pub steps: usize,
    /// Passes over the rows in place of `steps`, as published recipes count; 0 for none. Budgets then differ in steps,
    /// too.
    #[serde(skip_serializing_if = "super::is_default")]
    pub epochs: usize,
    /// Share of the given rows kept for the trainer's own validation, 0 to 0.5. Lessons of fewer
    /// than 10 rows keep none.
    pub validation: f64,
    /// Stop when validation has not improved for this many checks; 0 never stops early.
    pub patience: usize,
    /// Steps between validation checks.
    pub check_every: usize,
    /// Pieces of a batch that may be computed at the same time. Sums are taken piece by piece, so this
    /// number is a part of the result.
    pub shards: usize,
    /// Threads that compute the pieces; no part of the result, so never in a config.
    #[serde(skip, default = "one")]
    pub threads: usize,
}

const fn one() -> usize {
    1
}

/// What a model is to learn from: rows and one target a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// `[n, d]`
    pub inputs: Array2<f32>,
    /// n targets of one kind.
    pub targets: Targets,
}

/// What training gave.
#[derive(Debug)]
pub struct Fitted {
    /// After the last step.
    pub last: Model,
    /// At the best validation loss; the same as `last` without validation rows.
    pub selected: Model,
    /// Steps taken.
    pub steps: usize,
    /// Floating-point operations spent: 6 x parameters x rows seen (forward 2, backward 4);
    /// the weights of a convolution count once per pixel.
    pub flops: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            init: Init::HeUniform,
            optimizer: Optimizer::adamw(3e-3, 1e-4),
            schedule: Schedule::Cosine,
            decay: Decay::All,
            clip: 0.0,
            max_norm: 0.0,
            dropout: [0.0; 2],
            jitter: 0,
            batch: 32,
            steps: 300,
            epochs: 0,
            validation: 0.1,
            patience: 0,
            check_every: 50,
            shards: 1,
            threads: 1,
        }
    }
}

impl Recipe {
    /// Steps of a training on so many rows.
    pub fn steps_of(&self, rows: usize) -> usize {
        match self.epochs {
            0 => self.steps,
            epochs => epochs.saturating_mul(rows.div_ceil(self.batch.min(rows).max(1))),
        }
    }

    /// Refuses values outside their ranges, by key.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("batch", self.batch),
            ("steps", self.steps),
            ("check-every", self.check_every),
            ("shards", self.shards),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(Error::config(format!("training.{key}"), "0", "1 or more"));
        }
        if !(0.0..=0.5).contains(&self.validation) {
            let found = self.validation.to_string();
            return Err(Error::config("training.validation", found, "0 to 0.5"));
        }
        if !(self.clip.is_finite() && self.clip >= 0.0) {
            return Err(Error::config("training.clip", self.clip.to_string(), "0 or more"));
        }
        if !(self.max_norm.is_finite() && self.max_norm >= 0.0) {
            let found = self.max_norm.to_string();
            return Err(Error::config("training.max-norm", found, "0 or more"));
        }
        if let Some(share) = self.dropout.iter().find(|share| !(0.0..1.0).contains(*share)) {
            let expected = "0 up to, but not, 1";
            return Err(Error::config("training.dropout", share.to_string(), expected));
        }
        self.optimizer.check()?;
        self.schedule.check()
    }
}

/// Trains `model` on `lesson`. Same seed, same device, same build: same weights, at any thread count. A tree is grown, and
/// takes nothing from recipe or seed; one-vs-rest learns a regression after another, each by the whole recipe.
pub fn fit(
    model: Model,
    lesson: &Lesson,
    loss: Loss,
    recipe: &Recipe,
    seed: Seed,
) -> Result<Fitted> {
    let outputs = 0..model.classes();
    fit_part(model, lesson, loss, outputs, recipe, seed)
}

/// As [`fit`], learning from the outputs `outputs` alone: targets are for those, counted from the first of them. The
/// other outputs get no gradient; only weight decay moves their own weights.
pub fn fit_part(
    model: Model,
    lesson: &Lesson,
    loss: Loss,
    outputs: Range<usize>,
    recipe: &Recipe,
    seed: Seed,
) -> Result<Fitted> {
    recipe.check()?;
    match model.arch() {
        Arch::Tree { .. } => return tree::grow(&model, lesson, loss, outputs),
        Arch::OneVsRest {} => {
            return one_vs_rest::learn(&model, lesson, loss, outputs, recipe, seed);
        }
        _ => {}
    }
    let goal = check_lesson(&model, lesson, loss, outputs)?;
    if goal.ties_rows() && recipe.shards > 1 {
        return Err(Error::config(
            "training.shards",
            recipe.shards.to_string(),
            "1: this objective compares the rows of a batch, which must not be cut",
        ));
    }
    let inputs = lesson.inputs.as_standard_layout();
    let [input, later] = recipe.dropout;
    let dropping = (recipe.dropout != [0.0; 2]).then_some(model.network()?);
    let dropping = dropping.map(|network| network.dropping(input, later));
    let start = Start {
        network: dropping.as_ref().unwrap_or(model.network()?),
        params: model.params()?,
        device: model.device(),
        inputs: inputs.view(),
        goal: &goal,
        moves: moves(&model, lesson, recipe.jitter)?,
    };
    let Trained { last, selected, steps, batch } = train(&start, recipe, seed)?;
    let flops = 6.0 * model.multiply_adds() as f64 * (batch * steps) as f64;
    let last = model.with_params(last)?;
    let selected = selected.map_or_else(|| Ok(last.clone()), |params| model.with_params(params))?;
    Ok(Fitted { last, selected, steps, flops })
}

/// How images of a lesson are moved.
pub(super) fn moves(model: &Model, lesson: &Lesson, pixels: usize) -> Result<Option<Moves>> {
    if pixels == 0 {
        return Ok(None);
    }
    let InputShape::Image { c, h, w } = model.shape() else {
        let found = format!("{pixels} pixels for rows without lines and columns");
        return Err(Error::config("training.jitter", found, "0"));
    };
    if pixels >= h.min(w) {
        let expected = format!("less than the images of {h}x{w}");
        return Err(Error::config("training.jitter", pixels.to_string(), expected));
    }
    let empty = lesson.inputs.iter().copied().fold(f32::INFINITY, f32::min);
    Ok(Some(Moves { planes: c, h, w, pixels, empty }))
}

/// Refuses a lesson that does not fit the model.
pub(super) fn check_lesson(
    model: &Model,
    lesson: &Lesson,
    loss: Loss,
    outputs: Range<usize>,
) -> Result<Goal> {
    let of = model.classes();
    if outputs.end > of || outputs.len() < 2 {
        let expected = format!("2 or more of {of}");
        return Err(Error::input("outputs to learn from", format!("{outputs:?}"), expected));
    }
    let n = lesson.inputs.nrows();
    if n == 0 {
        return Err(Error::input("rows of a lesson", 0, "1 or more"));
    }
    expect_shape("lesson inputs", lesson.inputs.shape(), &[n, model.shape().len()])?;
    expect_shape("lesson targets", &[lesson.targets.len()], &[n])?;
    if let Some(((row, column), value)) = lesson.inputs.indexed_iter().find(|(_, v)| !v.is_finite())
    {
        let what = format!("lesson input at row {row}, column {column}");
        return Err(Error::input(what, value, "a finite number"));
    }
    let goal = Goal::new(&lesson.targets, loss, outputs.len())?;
    Ok(match outputs.len() == of {
        true => goal,
        false => Goal::Part(Part { goal: Box::new(goal), outputs, of }),
    })
}

#[cfg(test)]
mod tests;
