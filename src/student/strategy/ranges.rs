//! What the numbers of a strategy may be.

use super::StrategySpec;
use crate::error::{Error, Result};

impl StrategySpec {
    /// Range checks; keys are relative to the strategy.
    pub fn validate(&self) -> Result<()> {
        let active = |rounds: usize, seed_share: f64| {
            count("rounds", rounds, 1, 100)?;
            share("seed-share", seed_share, 0.01)
        };
        let near = |iterations: usize, candidates: usize| {
            count("iterations", iterations, 1, 1000)?;
            count("candidates", candidates, 1, 10_000_000)
        };
        match *self {
            Self::AdaptiveRetraining { rounds, eps } => {
                count("rounds", rounds, 1, 100)?;
                length("eps", eps)
            }
            Self::Copycat { copies, shift, noise } => {
                count("copies", copies, 1, 100)?;
                count("shift", shift, 0, 16)?;
                share("noise", noise, 0.0)
            }
            Self::DataFree(settings) => settings.validate(),
            Self::Dfal { rounds, seed_share, iterations, candidates } => {
                active(rounds, seed_share)?;
                near(iterations, candidates)
            }
            Self::DfalKCenter { rounds, seed_share, iterations, candidates, filter } => {
                active(rounds, seed_share)?;
                near(iterations, candidates)?;
                count("filter", filter, 1, 1000)
            }
            Self::Entropy { rounds, seed_share, .. } | Self::KCenter { rounds, seed_share } => {
                active(rounds, seed_share)
            }
            Self::Equations { iterations, gtol } => {
                count("iterations", iterations, 1, 100_000)?;
                length("gtol", gtol)
            }
            Self::JbSelf { step } | Self::TreePaths { step } => length("step", step),
            Self::JbTopk { k, eps, alpha, iterations } => {
                count("k", k, 1, 1000)?;
                length("eps", eps)?;
                length("alpha", alpha)?;
                count("iterations", iterations, 1, 1000)
            }
            Self::Jbda { step, tau, sigma, kappa } => {
                length("step", step)?;
                count("tau", tau, 1, 1000)?;
                count("sigma", sigma, 0, 1000)?;
                kappa.map_or(Ok(()), |kappa| count("kappa", kappa, 1, 10_000_000))
            }
            Self::KnockoffAdaptive { groups, fine, batch, rounds, .. } => {
                count("groups", groups, 1, 1000)?;
                count("fine", fine, 1, 100)?;
                count("batch", batch, 1, 10_000)?;
                count("rounds", rounds, 1, 1000)
            }
            Self::LineSearch { eps, seed_share } => {
                length("eps", eps)?;
                share("seed-share", seed_share, 0.01)
            }
            Self::TRnd { k, eps, iterations } => {
                count("k", k, 1, 1000)?;
                length("eps", eps)?;
                count("iterations", iterations, 1, 1000)
            }
            Self::Honest { .. } | Self::Random {} | Self::Uniform {} => Ok(()),
        }
    }
}

/// Refuses a count outside its range.
pub(in crate::student) fn count(key: &str, value: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::config(key, value.to_string(), format!("{least} to {most}")))
}

/// Refuses a length that is not above 0.
fn length(key: &str, value: f64) -> Result<()> {
    if value > 0.0 && value <= 1e6 {
        return Ok(());
    }
    Err(Error::config(key, value.to_string(), "above 0 and at most 1e6"))
}

/// Refuses a number that is not above 0 and at most 1.
pub(in crate::student) fn small(key: &str, value: f64) -> Result<()> {
    if value > 0.0 && value <= 1.0 {
        return Ok(());
    }
    Err(Error::config(key, value.to_string(), "above 0 and at most 1"))
}

/// Refuses a share outside its range.
fn share(key: &str, value: f64, least: f64) -> Result<()> {
    if value >= least && value <= 1.0 {
        return Ok(());
    }
    Err(Error::config(key, value.to_string(), format!("{least} to 1")))
}
