//! From what a config says to a strategy at work.

use super::entropy::Entropy;
use super::free::{Adaptive, LineSearch, Uniform};
use super::grow::{Grow, JbSelf, JbTopK, Jbda, Pgd, TRnd};
use super::knockoff::{Knockoff, Settings};
use super::rounds::Rounds;
use super::{Strategy, StrategySpec, copycat, dfal, honest, k_center, random};
use crate::error::{Error, Result};
use crate::seed::{Seed, permutation};

impl StrategySpec {
    /// Builds it over a pool of `pool` rows. `seed` is shared by every arm and budget of a seed. A student of its own
    /// is none.
    pub fn build(&self, pool: usize, seed: Seed) -> Result<Box<dyn Strategy>> {
        let order = permutation(&mut seed.child("pool-order").rng(), pool);
        let reservoir = seed.child("reservoir");
        let own = seed.child(self.kind());
        Ok(match *self {
            Self::DataFree(_) | Self::TreePaths { .. } => {
                let what = "is a student of its own, no strategy";
                return Err(Error::Internal(format!("`{}` {what}", self.kind())));
            }
            Self::AdaptiveRetraining { rounds, eps } => Box::new(Adaptive::new(rounds, eps, own)),
            Self::Copycat { copies, shift, noise } => {
                Box::new(copycat::Copycat::new(order, copies, shift, noise, own))
            }
            Self::Dfal { rounds, seed_share, iterations, candidates } => {
                let rounds = Rounds::new(order, rounds, seed_share);
                Box::new(dfal::Dfal::new(rounds, iterations, candidates, None))
            }
            Self::DfalKCenter { rounds, seed_share, iterations, candidates, filter } => {
                let rounds = Rounds::new(order, rounds, seed_share);
                Box::new(dfal::Dfal::new(rounds, iterations, candidates, Some(filter)))
            }
            Self::Entropy { rounds, seed_share, measure } => {
                Box::new(Entropy::new(order, rounds, seed_share, measure))
            }
            Self::Honest { user } => Box::new(honest::Honest::new(order, user, own)),
            Self::JbSelf { step } => Box::new(Grow::new(JbSelf { step }, reservoir)),
            Self::JbTopk { k, eps, alpha, iterations } => {
                let pgd = Pgd { eps, alpha, iterations };
                Box::new(Grow::new(JbTopK { k, pgd }, reservoir))
            }
            Self::Jbda { step, tau, sigma, kappa } => {
                Box::new(Grow::new(Jbda { step, tau, sigma, kappa }, reservoir))
            }
            Self::KCenter { rounds, seed_share } => {
                Box::new(k_center::KCenter::new(order, rounds, seed_share))
            }
            Self::KnockoffAdaptive { by, groups, fine, reward, baseline, batch, rounds } => {
                let settings = Settings { by, groups, fine, reward, baseline, batch, rounds };
                Box::new(Knockoff::new(order, settings, own))
            }
            Self::LineSearch { eps, seed_share } => Box::new(LineSearch::new(eps, seed_share, own)),
            Self::Random {} => Box::new(random::Random::new(order)),
            Self::TRnd { k, eps, iterations } => {
                Box::new(Grow::new(TRnd::new(k, eps, iterations), reservoir))
            }
            Self::Equations { .. } | Self::Uniform {} => Box::new(Uniform::new(own)),
        })
    }
}
