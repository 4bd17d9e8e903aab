//! What to ask: one file per strategy. A strategy returns rows; the loop asks them.

mod entropy;
mod jbda;
mod k_center;
mod random;

use ndarray::{Array2, ArrayView2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::View;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::seed::Seed;

/// The student's own model, as a strategy may look at it.
pub trait Own {
    /// Probabilities `[n, classes]`.
    fn probs(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f64>>;
    /// Gradient `[n, d]` of the logit of `class[i]` with respect to row i.
    fn input_grad(&self, inputs: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>>;
}

impl Own for Model {
    fn probs(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        Model::probs(self, inputs)
    }

    fn input_grad(&self, inputs: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>> {
        Model::input_grad(self, inputs, class)
    }
}

/// Chooses rows to ask.
pub trait Strategy: Send {
    /// The next rows `[n, d]`; none is the end. `rows` is what the student can still pay for in this
    /// strategy's terms, `own` its model trained so far (if [`Strategy::wants_model`]).
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>>;

    /// True if the next pick needs a model trained on what was told so far.
    fn wants_model(&self) -> bool {
        false
    }

    /// The most likely class of each row that was answered, in order of asking.
    fn told(&mut self, inputs: &Array2<f32>, classes: &[usize]) -> Result<()> {
        let _ = (inputs, classes);
        Ok(())
    }
}

/// A strategy, as configs write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum StrategySpec {
    /// Pool rows where the student's own prediction is most uncertain (ActiveThief, Pal et al. 2020).
    Entropy {
        /// Rounds of training and asking, 1 to 100.
        #[serde(default = "rounds")]
        rounds: usize,
        /// Share of the budget asked at random first, 0.01 to 1.
        #[serde(default = "seed_share")]
        seed_share: f64,
    },
    /// Public rows, then copies moved along the sign of the student's Jacobian (Papernot et al. 2017).
    Jbda {
        /// Step in feature units, above 0.
        #[serde(default = "step")]
        step: f64,
        /// Rounds after which the step changes sign, 1 or more.
        #[serde(default = "tau")]
        tau: usize,
    },
    /// Pool rows that cover the student's probability space (ActiveThief; greedy k-center).
    KCenter {
        /// Rounds of training and asking, 1 to 100.
        #[serde(default = "rounds")]
        rounds: usize,
        /// Share of the budget asked at random first, 0.01 to 1.
        #[serde(default = "seed_share")]
        seed_share: f64,
    },
    /// Pool rows in random order, each once (Orekondy et al. 2019, random strategy).
    Random {},
}

const fn rounds() -> usize {
    4
}

const fn seed_share() -> f64 {
    0.25
}

const fn step() -> f64 {
    0.1
}

const fn tau() -> usize {
    3
}

impl Default for StrategySpec {
    fn default() -> Self {
        Self::Random {}
    }
}

impl StrategySpec {
    /// One value per kind.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::Entropy { rounds: rounds(), seed_share: seed_share() },
            Self::Jbda { step: step(), tau: tau() },
            Self::KCenter { rounds: rounds(), seed_share: seed_share() },
            Self::Random {},
        ]
    }

    /// Range checks; keys are relative to the strategy.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Entropy { rounds, seed_share } | Self::KCenter { rounds, seed_share } => {
                if !(1..=100).contains(rounds) {
                    return Err(Error::config("rounds", rounds.to_string(), "1 to 100 rounds"));
                }
                if !(0.01..=1.0).contains(seed_share) {
                    return Err(Error::config("seed-share", seed_share.to_string(), "0.01 to 1"));
                }
            }
            Self::Jbda { step, tau } => {
                if !(*step > 0.0 && *step <= 1e6) {
                    return Err(Error::config("step", step.to_string(), "a step above 0"));
                }
                if *tau == 0 {
                    return Err(Error::config("tau", "0", "1 or more rounds"));
                }
            }
            Self::Random {} => {}
        }
        Ok(())
    }

    /// True if it asks distinct pool rows, so that a budget above the pool cannot be spent.
    pub const fn distinct_pool(&self) -> bool {
        !matches!(self, Self::Jbda { .. })
    }

    /// Builds it over a pool of `pool` rows. `seed` is shared by every arm and budget of a seed.
    pub fn build(&self, pool: usize, seed: Seed) -> Box<dyn Strategy> {
        let order = crate::seed::permutation(&mut seed.child("pool-order").rng(), pool);
        match *self {
            Self::Entropy { rounds, seed_share } => {
                Box::new(entropy::Entropy::new(order, rounds, seed_share))
            }
            Self::Jbda { step, tau } => {
                Box::new(jbda::Jbda::new(step, tau, seed.child("reservoir")))
            }
            Self::KCenter { rounds, seed_share } => {
                Box::new(k_center::KCenter::new(order, rounds, seed_share))
            }
            Self::Random {} => Box::new(random::Random::new(order)),
        }
    }
}

/// Rows of the pool that wait, and how many to take each round: shared by the active strategies.
struct Rounds {
    waiting: Vec<usize>,
    rounds: usize,
    seed_share: f64,
    done: usize,
}

impl Rounds {
    fn new(order: Vec<usize>, rounds: usize, seed_share: f64) -> Self {
        Self { waiting: order, rounds, seed_share, done: 0 }
    }

    /// Rows of this round, when `rows` are left in all: the seed share first, then equal parts.
    fn share(&self, rows: usize) -> usize {
        let want = if self.done == 0 {
            (rows as f64 * self.seed_share).round() as usize
        } else {
            rows.div_ceil((self.rounds + 1).saturating_sub(self.done).max(1))
        };
        want.clamp(1, rows.max(1)).min(self.waiting.len()).min(rows)
    }

    /// Takes the rows at these places of the waiting list, in the order given.
    fn take(&mut self, places: &[usize]) -> Vec<usize> {
        let picked: Vec<usize> = places.iter().map(|&i| self.waiting[i]).collect();
        let gone: std::collections::BTreeSet<usize> = places.iter().copied().collect();
        let mut place = 0;
        self.waiting.retain(|_| {
            place += 1;
            !gone.contains(&(place - 1))
        });
        self.done += 1;
        picked
    }
}

#[cfg(test)]
pub(crate) fn vectors(method: &str) -> Vec<serde_json::Value> {
    let text =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/attacks-classifier.json"));
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    file["cases"].as_array().unwrap().iter().filter(|c| c["method"] == method).cloned().collect()
}

#[cfg(test)]
pub(crate) fn matrix(value: &serde_json::Value) -> Array2<f64> {
    let rows = value.as_array().unwrap();
    let width = rows[0].as_array().unwrap().len();
    Array2::from_shape_fn((rows.len(), width), |(i, j)| rows[i][j].as_f64().unwrap())
}
