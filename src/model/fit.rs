//! The training loop: a fixed number of steps whatever the number of rows, a validation part taken
//! from the lesson's own rows, and an end as soon as a value stops being finite.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::kernel::{engine, tensor, with_slice};
use super::loss::{Goal, Loss, Targets};
use super::net::{Wanted, backward, trace};
use super::optim::{Optimizer, Updater};
use super::{Model, Schedule};
use crate::error::{Error, Result, expect_shape};
use crate::seed::{Seed, permutation};

/// A mean loss above this is divergence: no start and no lesson gives it.
const LARGEST_LOSS: f64 = 1e9;
/// Lessons of fewer rows are too small to hold some back.
const FEWEST_FOR_VALIDATION: usize = 10;

/// How training goes. All students of a table share one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Recipe {
    /// The update rule.
    pub optimizer: Optimizer,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Rows of a step. A smaller lesson is its own batch.
    pub batch: usize,
    /// Cap on optimiser steps, whatever the number of rows.
    pub steps: usize,
    /// Share of the given rows kept for the trainer's own validation, 0 to 0.5. Lessons of fewer
    /// than 10 rows keep none.
    pub validation: f64,
    /// Stop when validation has not improved for this many checks; 0 never stops early.
    pub patience: usize,
    /// Steps between validation checks.
    pub check_every: usize,
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
            optimizer: Optimizer::AdamW { lr: 3e-3, weight_decay: 1e-4 },
            schedule: Schedule::Cosine,
            batch: 32,
            steps: 300,
            validation: 0.1,
            patience: 0,
            check_every: 50,
        }
    }
}

impl Recipe {
    /// Refuses values outside their ranges, by key.
    pub fn check(&self) -> Result<()> {
        let counts =
            [("batch", self.batch), ("steps", self.steps), ("check-every", self.check_every)];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(Error::config(format!("training.{key}"), "0", "1 or more"));
        }
        if !(0.0..=0.5).contains(&self.validation) {
            let found = self.validation.to_string();
            return Err(Error::config("training.validation", found, "0 to 0.5"));
        }
        self.optimizer.check()?;
        self.schedule.check()
    }
}

/// Trains `model` on `lesson`. Same seed, same device, same build: same weights, at any thread count.
pub fn fit(
    model: Model,
    lesson: &Lesson,
    loss: Loss,
    recipe: &Recipe,
    seed: Seed,
) -> Result<Fitted> {
    recipe.check()?;
    let goal = check_lesson(&model, lesson, loss)?;
    let (train, held) = split(lesson.inputs.nrows(), recipe.validation, seed);
    let batch = recipe.batch.min(train.len());
    let inputs = lesson.inputs.as_standard_layout();
    let mut validation = Validation::new(&model, inputs.view(), &goal, held);
    let mut order = Order::new(train, seed);
    let mut trainer = Trainer::new(model, inputs.view(), &goal, &recipe.optimizer)?;

    let mut steps = 0;
    while steps < recipe.steps {
        let rows = order.take(batch);
        trainer.step(&rows, recipe.schedule.factor(steps, recipe.steps))?;
        steps += 1;
        if steps % recipe.check_every == 0 || steps == recipe.steps {
            trainer.check_weights()?;
            let stale = validation.check(&trainer)?;
            if recipe.patience > 0 && stale >= recipe.patience {
                break;
            }
        }
    }
    trainer.loss_of(&order.take(batch))?;
    let flops = 6.0 * trainer.model.multiply_adds() as f64 * (batch * steps) as f64;
    let last = trainer.model;
    let selected = if validation.rows.is_empty() { last.clone() } else { validation.best };
    Ok(Fitted { last, selected, steps, flops })
}

fn check_lesson(model: &Model, lesson: &Lesson, loss: Loss) -> Result<Goal> {
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
    Goal::new(&lesson.targets, loss, model.classes())
}

/// Rows to train on and rows held back.
fn split(n: usize, share: f64, seed: Seed) -> (Vec<usize>, Vec<usize>) {
    let held = (n as f64 * share).round() as usize;
    if n < FEWEST_FOR_VALIDATION || held == 0 {
        return ((0..n).collect(), Vec::new());
    }
    let mut train = permutation(&mut seed.child("validation").rng(), n);
    let held = train.split_off(n - held);
    (train, held)
}

/// Rows epoch after epoch, each in an order of its own.
struct Order {
    rows: Vec<usize>,
    seed: Seed,
    epoch: u64,
    waiting: Vec<usize>,
}

impl Order {
    fn new(rows: Vec<usize>, seed: Seed) -> Self {
        Self { rows, seed, epoch: 0, waiting: Vec::new() }
    }

    /// The next `count` rows; a batch may span two epochs, so that every row weighs the same.
    fn take(&mut self, count: usize) -> Vec<usize> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let Some(row) = self.waiting.pop() else {
                let mut rng = self.seed.nth("order", self.epoch).rng();
                let order = permutation(&mut rng, self.rows.len());
                self.waiting = order.into_iter().map(|i| self.rows[i]).collect();
                self.epoch += 1;
                continue;
            };
            taken.push(row);
        }
        taken
    }
}

/// The model being trained, its weights in reach of the update rule.
struct Trainer<'a> {
    model: Model,
    inputs: ArrayView2<'a, f32>,
    goal: &'a Goal,
    weights: Vec<Vec<f32>>,
    updater: Updater,
    steps: usize,
    last_loss: Option<f64>,
}

impl<'a> Trainer<'a> {
    fn new(
        model: Model,
        inputs: ArrayView2<'a, f32>,
        goal: &'a Goal,
        rule: &Optimizer,
    ) -> Result<Self> {
        let weights: Vec<Vec<f32>> = model.weights()?.into_iter().map(|(_, _, w)| w).collect();
        let updater = Updater::new(rule, weights.iter().map(Vec::len));
        Ok(Self { model, inputs, goal, weights, updater, steps: 0, last_loss: None })
    }

    /// One step on these rows.
    fn step(&mut self, rows: &[usize], factor: f64) -> Result<()> {
        let x = self.model.rows_tensor(self.inputs, rows)?;
        let (logits, kept) = trace(self.model.layers(), self.model.params(), &x)?;
        let (loss, grad) = self.goal.select(rows).loss(wide(&logits)?.view());
        self.steps += 1;
        self.expect_finite(loss)?;
        let grad: Vec<f32> = grad.iter().map(|&g| g as f32).collect();
        let grad = tensor(grad, logits.dims(), logits.device())?;
        let layers = self.model.layers();
        let grads = backward(layers, self.model.params(), &kept, grad, Wanted::Params)?;
        self.updater.begin();
        for (i, grad) in grads.params.iter().enumerate() {
            let weights = &mut self.weights[i];
            with_slice::<f32, _>(grad, |g| self.updater.update(i, weights, g, factor))?;
            self.model.set_param(i, weights)?;
        }
        Ok(())
    }

    /// The loss on these rows, checked but not learnt from.
    fn loss_of(&mut self, rows: &[usize]) -> Result<f64> {
        let x = self.model.rows_tensor(self.inputs, rows)?;
        let logits = super::net::forward(self.model.layers(), self.model.params(), &x)?;
        let (loss, _) = self.goal.select(rows).loss(wide(&logits)?.view());
        self.expect_finite(loss)?;
        self.check_weights()?;
        Ok(loss)
    }

    fn expect_finite(&mut self, loss: f64) -> Result<()> {
        if loss.is_finite() && loss < LARGEST_LOSS {
            self.last_loss = Some(loss);
            return Ok(());
        }
        Err(self.diverged())
    }

    fn check_weights(&self) -> Result<()> {
        match self.weights.iter().flatten().all(|w| w.is_finite()) {
            true => Ok(()),
            false => Err(self.diverged()),
        }
    }

    fn diverged(&self) -> Error {
        Error::Diverged { step: self.steps, last_loss: self.last_loss }
    }
}

/// Logits of any device as 64-bit numbers.
fn wide(logits: &candle_core::Tensor) -> Result<Array2<f64>> {
    let shape = logits.dims2().map_err(engine)?;
    let values = with_slice::<f32, _>(logits, |l| l.iter().map(|&v| f64::from(v)).collect())?;
    Array2::from_shape_vec(shape, values).map_err(|e| Error::Internal(e.to_string()))
}

/// The held-back rows, and the best model on them so far.
struct Validation {
    inputs: Array2<f32>,
    goal: Goal,
    rows: Vec<usize>,
    best: Model,
    best_loss: f64,
    stale: usize,
}

impl Validation {
    fn new(model: &Model, inputs: ArrayView2<'_, f32>, goal: &Goal, rows: Vec<usize>) -> Self {
        Self {
            inputs: inputs.select(ndarray::Axis(0), &rows),
            goal: goal.select(&rows),
            best: model.clone(),
            best_loss: f64::INFINITY,
            stale: 0,
            rows,
        }
    }

    /// Looks at the model now; gives the number of checks since the best one.
    fn check(&mut self, trainer: &Trainer<'_>) -> Result<usize> {
        if self.rows.is_empty() {
            return Ok(0);
        }
        let logits = trainer.model.logits(self.inputs.view())?.mapv(f64::from);
        let (loss, _) = self.goal.loss(logits.view());
        if !(loss.is_finite() && loss < LARGEST_LOSS) {
            return Err(trainer.diverged());
        }
        self.stale += 1;
        if loss < self.best_loss {
            self.best_loss = loss;
            self.best = trainer.model.clone();
            self.stale = 0;
        }
        Ok(self.stale)
    }
}

#[cfg(test)]
mod tests;
