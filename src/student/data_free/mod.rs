//! A student without any data: a generator makes the questions. It is trained to make questions on which student and
//! teacher differ, the student to answer them as the teacher does (Truong et al. 2021, DFME, algorithm 1; Kariyappa et
//! al. 2021, MAZE). The teacher cannot be differentiated, so the generator's slope is taken by forward differences,
//! whose questions are paid for like any other.
//!
//! A turn is one step of the generator, which costs batch x (1 + directions) rows, and `student_steps` steps of the
//! student, batch rows each. Generators make numbers before an activation; differences are taken there, so no question
//! leaves the valid range. What was asked is kept for replay, up to a bound.

mod forward;
mod replay;

use ndarray::{Array2, Axis, Slice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::forward::Differences;
use self::replay::Replay;
use super::objective::whole;
use super::strategy::{count, small};
use super::{Ask, Learned, Student, StudentSpec, View};
use crate::error::{Error, Result};
use crate::model::{Arch, Device, Init, InputShape, Learner, Lesson, Model, Optimizer, Recipe};
use crate::oracle::{Answers, Outcome, Reply};
use crate::seed::{Seed, normal};

/// What a config says of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Rows of a step, 1 to 4096.
    pub batch: usize,
    /// Random numbers that the generator starts from, 1 to 4096.
    pub latent: usize,
    /// Units of the generator's hidden layer, 1 to 8192.
    pub hidden: usize,
    /// The generator's learning rate, above 0 and at most 1.
    pub generator_rate: f64,
    /// Steps of the student for each step of the generator, 1 to 1000.
    pub student_steps: usize,
    /// Directions of a forward difference, each of which costs a query a row, 1 to 100.
    pub directions: usize,
    /// Length of a forward difference, before the generator's activation, above 0 and at most 1.
    pub eps: f64,
    /// Answered rows kept for replay, 0 to 10000000.
    pub replay: usize,
    /// Steps on replayed rows after each answered batch, 0 to 1000.
    pub replay_steps: usize,
}

impl Default for Settings {
    /// DFME's rate, steps and differences; sizes for inputs of 8x8.
    fn default() -> Self {
        Self {
            batch: 64,
            latent: 64,
            hidden: 128,
            generator_rate: 1e-4,
            student_steps: 5,
            directions: 1,
            eps: 1e-3,
            replay: 8192,
            replay_steps: 2,
        }
    }
}

impl Settings {
    /// Range checks; keys are relative to the strategy.
    pub(super) fn validate(&self) -> Result<()> {
        count("batch", self.batch, 1, 4096)?;
        count("latent", self.latent, 1, 4096)?;
        count("hidden", self.hidden, 1, 8192)?;
        small("generator-rate", self.generator_rate)?;
        count("student-steps", self.student_steps, 1, 1000)?;
        count("directions", self.directions, 1, 100)?;
        small("eps", self.eps)?;
        count("replay", self.replay, 0, 10_000_000)?;
        count("replay-steps", self.replay_steps, 0, 1000)
    }
}

pub(super) struct DataFree {
    settings: Settings,
    spec: StudentSpec,
    recipe: Recipe,
    generator: Learner,
    student: Learner,
    replay: Replay,
    seed: Seed,
    classes: usize,
    /// Asks so far, which name the streams of chance.
    asks: u64,
    /// Steps of the student since the generator's last.
    since: usize,
    spent: u64,
    budget: u64,
    answered: usize,
    pending: Option<Pending>,
}

/// What the last ask was for.
enum Pending {
    Generator(Differences),
    Student(Array2<f32>),
}

impl DataFree {
    pub(super) fn new(
        spec: &StudentSpec,
        settings: Settings,
        recipe: &Recipe,
        device: Device,
        shape: InputShape,
        classes: usize,
        seed: Seed,
    ) -> Result<Self> {
        let (init, start) = (recipe.init, seed.child("init"));
        let fresh = Model::init_by(init, &spec.model, shape, classes, device, start)?;
        let arch = Arch::Mlp { hidden: vec![settings.hidden] };
        let (from, to) = (InputShape::Flat(settings.latent), shape.len());
        let made =
            Model::init_by(Init::LecunNormal, &arch, from, to, device, seed.child("generator"))?;
        let slow = Recipe {
            optimizer: Optimizer::adamw(settings.generator_rate, 0.0),
            ..Recipe::default()
        };
        Ok(Self {
            generator: Learner::new(made, &slow, seed.child("generator-steps"))?,
            student: Learner::new(fresh, recipe, seed.child("student-steps"))?,
            replay: Replay::new(settings.replay),
            spec: spec.clone(),
            recipe: recipe.clone(),
            settings,
            seed,
            classes,
            asks: 0,
            since: 0,
            spent: 0,
            budget: 0,
            answered: 0,
            pending: None,
        })
    }

    /// Random numbers `[n, latent]` for the generator.
    fn latent(&self, n: usize) -> Array2<f32> {
        let mut rng = self.seed.nth("latent", self.asks).rng();
        Array2::from_shape_fn((n, self.settings.latent), |_| normal(&mut rng) as f32)
    }

    /// Factor on both learning rates: the schedule of all students, over the budget.
    fn factor(&self) -> f64 {
        let budget = usize::try_from(self.budget.max(1)).unwrap_or(usize::MAX);
        let spent = usize::try_from(self.spent).unwrap_or(usize::MAX).min(budget);
        self.recipe.schedule.factor(spent, budget)
    }

    /// A step of the student on these rows and their answers.
    fn study(&mut self, inputs: Array2<f32>, probs: Array2<f64>) -> Result<()> {
        let (targets, loss) = self.spec.objective.targets(&Answers::Probs(probs))?;
        self.student.step(&Lesson { inputs, targets }, loss, self.factor())
    }

    fn study_again(&mut self) -> Result<()> {
        for step in 0..self.settings.replay_steps {
            let seed = self.seed.nth("replay", self.asks).nth("step", step as u64);
            let Some((inputs, probs)) = self.replay.draw(self.settings.batch, seed) else {
                return Ok(());
            };
            self.study(inputs, probs)?;
        }
        Ok(())
    }

    /// What the generator learns from the differences whose rows were all answered.
    fn teach_generator(
        &mut self,
        asked: &Differences,
        answered: &[Option<usize>],
        probs: &Array2<f64>,
    ) -> Result<()> {
        let own = self.student.model()?;
        let Some((latent, slopes)) = asked.slopes(&own, answered, probs)? else { return Ok(()) };
        // It is to make the disagreement larger, and steps go down.
        self.generator.against(latent.view(), -slopes, self.factor())
    }
}

impl Student for DataFree {
    fn next(&mut self, view: &View<'_>) -> Result<Ask> {
        self.budget = view.budget;
        self.spent = view.budget.saturating_sub(view.left);
        let left = usize::try_from(view.left).unwrap_or(usize::MAX);
        let Settings { batch, directions, eps, student_steps, .. } = self.settings;
        self.asks += 1;
        let differences = batch.min(left / (1 + directions));
        // The turn begins with the generator; what does not pay for a difference goes to the student.
        if self.since == 0 && differences > 0 {
            let latent = self.latent(differences);
            let made = self.generator.model()?.logits(latent.view())?;
            let seed = self.seed.nth("directions", self.asks);
            let asked = Differences::new(latent, made, directions, eps, view.range, seed);
            let rows = asked.rows();
            self.pending = Some(Pending::Generator(asked));
            return Ok(Ask::Batch(rows));
        }
        let latent = self.latent(batch.min(left));
        let made = self.generator.model()?.logits(latent.view())?;
        let rows = forward::activated(&made, view.range);
        self.since = (self.since + 1) % (student_steps + 1);
        self.pending = Some(Pending::Student(rows.clone()));
        Ok(if rows.nrows() == 0 { Ask::Done } else { Ask::Batch(rows) })
    }

    fn tell(&mut self, asked: &Array2<f32>, reply: &Reply) -> Result<()> {
        let Some(pending) = self.pending.take() else {
            return Err(Error::Internal("told about rows that were not asked".into()));
        };
        let answered: Vec<Option<usize>> = reply
            .outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Answered(i) => Some(*i),
                Outcome::Denied(_) => None,
            })
            .collect();
        let kinds = matches!(reply.answers, Answers::Probs(_) | Answers::Logits(_));
        if !kinds && !reply.answers.is_empty() {
            let found = reply.answers.kind().name();
            return Err(Error::input("answers for a data-free student", found, "whole rows"));
        }
        let probs = whole(&reply.answers, self.classes);
        let count = answered.iter().flatten().count();
        self.answered += count;
        self.spent += count as u64;
        let (rows, first) = match pending {
            Pending::Generator(differences) => {
                if *asked != differences.rows() {
                    return Err(Error::Internal("told about other rows than were asked".into()));
                }
                self.since = 1;
                self.teach_generator(&differences, &answered, &probs)?;
                let n = differences.points();
                (asked.slice_axis(Axis(0), Slice::from(..n)).to_owned(), n)
            }
            Pending::Student(rows) if rows == *asked => (rows, asked.nrows()),
            Pending::Student(_) => {
                return Err(Error::Internal("told about other rows than were asked".into()));
            }
        };
        let kept: Vec<usize> = (0..first).filter(|&i| answered[i].is_some()).collect();
        let at: Vec<usize> = kept.iter().filter_map(|&i| answered[i]).collect();
        if kept.is_empty() {
            return Ok(());
        }
        let (inputs, probs) = (rows.select(Axis(0), &kept), probs.select(Axis(0), &at));
        self.replay.keep(&inputs, &probs);
        self.study(inputs, probs)?;
        self.study_again()
    }

    /// The student has learnt already, and there is no later step to choose from.
    fn learn(&mut self, _: &View<'_>, _: Seed) -> Result<Learned> {
        let last = self.student.model()?;
        Ok(Learned {
            selected: last.clone(),
            last,
            transfer_rows: self.answered,
            dropped_rows: None,
            flops: self.student.flops() + self.generator.flops(),
        })
    }
}

#[cfg(test)]
mod tests;
