//! How long the training of a plan would take here: optimiser steps of each network, times what a step
//! takes when tried. Asking and scoring are not in it.

use std::time::{Duration, Instant};

use ndarray::Array2;
use retort::data::Dataset;
use retort::data::suite::{Mix, Suite};
use retort::experiment::language::spec::{StudentSpec, SuiteSpec, Training};
use retort::experiment::language::{lesson, student};
use retort::model::{Arch, Device, InputShape, Lesson, Loss, Model, Recipe, Targets, fit};
use retort::{Result, Seed};

/// One network: what it is, how it learns, its steps in all.
pub struct Work<'a> {
    pub arch: &'a Arch,
    pub shape: InputShape,
    pub classes: usize,
    pub recipe: &'a Recipe,
    pub steps: usize,
}

impl<'a> Work<'a> {
    pub fn new(arch: &'a Arch, data: &Dataset, recipe: &'a Recipe, steps: usize) -> Self {
        Self { arch, shape: data.shape, classes: data.classes, recipe, steps }
    }

    /// True if a step of both takes the same time.
    pub fn same(&self, other: &Self) -> bool {
        (self.arch, self.shape, self.classes, self.recipe)
            == (other.arch, other.shape, other.classes, other.recipe)
    }
}

/// How long steps of one network are tried.
const TRIAL: Duration = Duration::from_millis(100);
const TRIAL_STEPS: usize = 20;

/// Seconds of one core. A tree takes no steps, and little time.
pub fn seconds(work: &[Work<'_>]) -> Result<f64> {
    let learning = work.iter().filter(|w| !matches!(w.arch, Arch::Tree { .. }));
    learning.map(|w| Ok(w.steps as f64 * step(w)?)).sum()
}

/// Seconds of a step of one network.
fn step(work: &Work<'_>) -> Result<f64> {
    let (rows, recipe) =
        (work.recipe.batch, Recipe { steps: TRIAL_STEPS, epochs: 0, ..work.recipe.clone() });
    let inputs =
        Array2::from_shape_fn((rows, work.shape.len()), |(i, j)| ((i + j) % 7) as f32 / 7.0);
    let targets =
        Targets::Probs(Array2::from_elem((rows, work.classes), 1.0 / work.classes as f64));
    let (lesson, loss) =
        (Lesson { inputs, targets }, Loss::SoftLabel { temperature: 1.0, eps: 1e-9 });
    let seed = Seed::new(0);
    let model = Model::init(work.arch, work.shape, work.classes, Device::Cpu, seed)?;
    fastest(|| fit(model.clone(), &lesson, loss, &recipe, seed).map(drop))
}

/// Seconds of a step of a student of texts.
pub fn text_step(student: &StudentSpec, training: &Training, suite: &SuiteSpec) -> Result<f64> {
    let training = Training { steps: TRIAL_STEPS, validation: 0.0, ..training.clone() };
    let (ranges, mix, seed) = (suite.ranges.clone(), Mix::new(suite.mix)?, Seed::new(0));
    let problems = lesson::problems(&Suite::new(ranges)?, &mix, 10 * training.batch, seed);
    let held: Vec<_> = problems.iter().map(|p| (p.prompt.clone(), p.completion())).collect();
    fastest(|| student::learn(student.model, &training, &held, seed).map(drop))
}

/// Seconds of one of the steps that `learn` takes [`TRIAL_STEPS`] of, the fastest of as many trials as fit.
#[expect(clippy::disallowed_methods, reason = "an estimate of wall time needs the wall clock")]
fn fastest(learn: impl Fn() -> Result<()>) -> Result<f64> {
    let (begun, mut best) = (Instant::now(), f64::INFINITY);
    while best.is_infinite() || begun.elapsed() < TRIAL {
        let start = Instant::now();
        learn()?;
        best = best.min(start.elapsed().as_secs_f64() / TRIAL_STEPS as f64);
    }
    Ok(best)
}

/// `about 12 s`.
pub fn about(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "about a second".into(),
        s if s < 100.0 => format!("about {s:.0} s"),
        s if s < 6000.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.0} h", s / 3600.0),
    }
}
