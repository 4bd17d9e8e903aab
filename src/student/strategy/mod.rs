//! What to ask: one file per strategy. A strategy returns rows; the loop asks them.

mod entropy;
mod honest;
mod jbda;
mod k_center;
mod random;
mod rounds;
#[cfg(test)]
pub(crate) mod testing;

use ndarray::{Array2, ArrayView2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::View;
use super::honest::User;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::seed::{Seed, permutation};
pub use entropy::Measure;

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
    /// strategy's terms: never more come back. `own` is its model trained so far, if
    /// [`Strategy::wants_model`] and anything was answered.
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
        /// Rounds of training and asking after the random start, 1 to 100.
        #[serde(default = "rounds")]
        rounds: usize,
        /// Share of the budget asked at random first, 0.01 to 1.
        #[serde(default = "seed_share")]
        seed_share: f64,
        /// What counts as uncertain.
        #[serde(default)]
        measure: Measure,
    },
    /// Pool rows as an honest user would ask them, each once: what a gate lets through.
    Honest {
        /// Which kind of honest user.
        #[serde(default)]
        user: User,
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
        /// Rounds of training and asking after the random start, 1 to 100.
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
            Self::Entropy {
                rounds: rounds(),
                seed_share: seed_share(),
                measure: Measure::default(),
            },
            Self::Honest { user: User::default() },
            Self::Jbda { step: step(), tau: tau() },
            Self::KCenter { rounds: rounds(), seed_share: seed_share() },
            Self::Random {},
        ]
    }

    /// Range checks; keys are relative to the strategy.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Entropy { rounds, seed_share, .. } | Self::KCenter { rounds, seed_share } => {
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
            Self::Honest { .. } | Self::Random {} => {}
        }
        Ok(())
    }

    /// Its `kind` in a config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Entropy { .. } => "entropy",
            Self::Honest { .. } => "honest",
            Self::Jbda { .. } => "jbda",
            Self::KCenter { .. } => "k-center",
            Self::Random {} => "random",
        }
    }

    /// True if it asks inputs of its own making.
    pub const fn makes_inputs(&self) -> bool {
        matches!(self, Self::Jbda { .. } | Self::Honest { user: User::Shifted })
    }

    /// True if it asks distinct pool rows, so that a budget above the pool cannot be spent.
    pub const fn distinct_pool(&self) -> bool {
        !matches!(self, Self::Jbda { .. })
    }

    /// True if a network is trained between its rounds.
    pub const fn rounds_retrain(&self) -> bool {
        matches!(self, Self::Entropy { .. } | Self::Jbda { .. } | Self::KCenter { .. })
    }

    /// Builds it over a pool of `pool` rows. `seed` is shared by every arm and budget of a seed.
    pub fn build(&self, pool: usize, seed: Seed) -> Box<dyn Strategy> {
        let order = permutation(&mut seed.child("pool-order").rng(), pool);
        match *self {
            Self::Entropy { rounds, seed_share, measure } => {
                Box::new(entropy::Entropy::new(order, rounds, seed_share, measure))
            }
            Self::Honest { user } => {
                Box::new(honest::Honest::new(order, user, seed.child("honest")))
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

#[cfg(test)]
mod tests;
