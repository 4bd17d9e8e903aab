//! A seeded world of questions without end, and the teacher who has learnt to answer them.
//!
//! A question is `inputs` standard-normal numbers and the area it belongs to, one-hot, so that one network
//! serves all areas. Areas differ in the complexity of their [`Rule`] alone. A [`Guard`] marks a share of
//! questions in every area: the right answer to these is the refusal, class number `classes`.
//!
//! Rows come by address: example i of a stream is the same whatever asks for it, so whoever holds fewer
//! examples holds the first ones of whoever holds more.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

use super::rule::{Guard, Rule, gaussian};
use crate::campaign::spec::LearningSpec;
use crate::error::{Error, Result};
use crate::model::{
    Arch, Device, InputShape, Lesson, Loss, Model, Optimizer, Recipe, Targets, fit,
};
use crate::seed::Seed;

/// Size of the one-hot part: as large as a feature gets, so that areas are told apart early.
const AREA_SIGNAL: f32 = 3.0;
/// Rows of a step of the teacher's training, and the pieces that threads may share.
const BATCH: usize = 256;
const SHARDS: usize = 4;

/// Rules, guard and streams of one replicate.
#[derive(Clone, Debug)]
pub struct World {
    seed: Seed,
    rules: Vec<Rule>,
    guard: Guard,
    inputs: usize,
    classes: usize,
}

/// Questions with their right answers.
#[derive(Clone, Debug)]
pub struct Rows {
    /// `[n, inputs + areas]`
    pub inputs: Array2<f32>,
    /// `[n]` below `classes`, or `classes` for a refusal.
    pub labels: Vec<usize>,
}

/// Which questions of a stream are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All, as an actor asks them.
    All,
    /// Those that are to be answered.
    Open,
    /// Those that are to be refused.
    Marked,
}

impl World {
    /// The world of a replicate with this seed.
    pub fn draw(spec: &LearningSpec, seed: Seed) -> Self {
        let rule = |(i, complexity): (u64, usize)| {
            Rule::draw(complexity, spec.inputs, spec.classes, seed.nth("rule", i))
        };
        Self {
            rules: (0..).zip(spec.area.iter().map(|a| a.complexity)).map(rule).collect(),
            guard: Guard::draw(spec.guardrail_share, spec.inputs, seed.child("guard")),
            inputs: spec.inputs,
            classes: spec.classes,
            seed,
        }
    }

    /// Number of areas.
    pub fn areas(&self) -> usize {
        self.rules.len()
    }

    /// Answers of an area, the refusal not counted; it is this class.
    pub const fn refusal(&self) -> usize {
        self.classes
    }

    /// Numbers of a question, its area included.
    pub fn width(&self) -> usize {
        self.inputs + self.areas()
    }

    /// The first `n` questions of `area` in the stream `name` that are to be kept.
    pub fn rows(&self, name: &str, area: usize, n: usize, keep: Keep) -> Rows {
        let mut rng = self.seed.child(name).nth("area", area as u64).rng();
        let mut inputs = Array2::zeros((n, self.width()));
        let mut labels = Vec::with_capacity(n);
        while labels.len() < n {
            let x = gaussian(&mut rng, self.inputs);
            let marked = self.guard.marks(&x);
            if keep != Keep::All && marked != (keep == Keep::Marked) {
                continue;
            }
            let mut row = inputs.row_mut(labels.len());
            row.slice_mut(s![..self.inputs]).iter_mut().zip(&x).for_each(|(to, &x)| *to = x);
            row[self.inputs + area] = AREA_SIGNAL;
            labels.push(if marked { self.classes } else { self.rules[area].answer(&x) });
        }
        Rows { inputs, labels }
    }

    /// A fresh network for these questions.
    pub fn network(&self, hidden: &[usize], seed: Seed) -> Result<Model> {
        let arch = Arch::Mlp { hidden: hidden.to_vec() };
        Model::init(&arch, InputShape::Flat(self.width()), self.classes + 1, Device::Cpu, seed)
    }

    /// Trains the teacher on right answers. Its weights do not depend on the number of threads.
    pub fn teach(&self, spec: &LearningSpec, threads: usize) -> Result<Arc<Model>> {
        let seed = self.seed.child("teacher");
        let parts = (0..self.areas()).map(|a| self.rows("teach", a, spec.teacher_rows, Keep::All));
        let Rows { inputs, labels } = Rows::join(parts)?;
        let recipe = Recipe {
            optimizer: Optimizer::adamw(3e-3, 1e-4),
            batch: BATCH,
            steps: spec.teacher_steps,
            validation: 0.0,
            check_every: 500,
            shards: SHARDS,
            threads,
            ..Recipe::default()
        };
        let lesson = Lesson { inputs, targets: Targets::Labels(labels) };
        let fresh = self.network(&spec.teacher_hidden, seed.child("init"))?;
        Ok(Arc::new(fit(fresh, &lesson, Loss::HardLabel, &recipe, seed.child("fit"))?.last))
    }
}

impl Rows {
    /// One after another.
    pub fn join(parts: impl Iterator<Item = Self>) -> Result<Self> {
        let parts: Vec<Self> = parts.collect();
        let views: Vec<ArrayView2<'_, f32>> = parts.iter().map(|p| p.inputs.view()).collect();
        let inputs = concatenate(Axis(0), &views).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(Self { inputs, labels: parts.into_iter().flat_map(|p| p.labels).collect() })
    }
}
