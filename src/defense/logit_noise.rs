//! Noise in logit space, the random baseline of Orekondy et al. 2020 (MAD): noise is added to the logit of each
//! probability, the sigmoids of the sums are scaled to a row, and the row is taken
//! to the nearest one that is within eps of the true answer in L1 (`project`). The bound makes it
//! comparable with MAD and ModelGuard at equal eps.
//!
//! Noise is symmetric, unlike the one-sided draws of the authors' code, whose mean is no clean answer.
//! Keyed and fresh noise are as in `gaussian-noise`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counter, Defense, Method, Next, Promise, Workshop, project, rows};
use crate::error::{Error, Result};
use crate::oracle::{Batch, Card, Reply};
use crate::seed::{Seed, normal};

/// Probabilities are kept this far from 0 and 1, where the logit is infinite.
const EDGE: f64 = 1e-7;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Most that an answer is moved, in L1, 0 to 2.
    pub eps: f64,
    /// Standard deviation of the noise on each logit, above 0 and at most 100.
    #[serde(default = "usual")]
    pub sigma: f64,
    /// Draw anew at each exchange instead of keying the noise by the input.
    #[serde(default)]
    pub fresh: bool,
}

const fn usual() -> f64 {
    4.0
}

/// The layer.
pub struct LogitNoise {
    eps: f64,
    sigma: f64,
    fresh: bool,
    /// Secret of the defender.
    key: Seed,
    exchange: u64,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "logit-noise"
    }

    fn paper(&self) -> &'static str {
        "Orekondy et al. 2020, random noise in logit space; projection ours"
    }

    fn check(&self) -> Result<()> {
        if !(self.sigma > 0.0 && self.sigma <= 100.0) {
            return Err(Error::config("sigma", self.sigma.to_string(), "above 0 and at most 100"));
        }
        rows::check_eps(self.eps)
    }

    fn card(&self, below: Card) -> Result<Card> {
        rows::needs_probs(self.kind(), below)
    }

    fn promise(&self) -> Promise {
        Promise {
            keeps_top1: false,
            l1_bound: self.eps.min(2.0),
            deterministic: !self.fresh,
            stateful: self.fresh,
            ..Promise::BASE
        }
    }

    fn counter(&self) -> Counter {
        if self.fresh { Counter::Repeat } else { Counter::Jitter }
    }

    fn build(&self, key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        let Self { eps, sigma, fresh } = *self;
        Ok(Box::new(LogitNoise { eps, sigma, fresh, key, exchange: 0 }))
    }
}

/// The row `y` after noise of deviation `sigma` on its logits, at most `eps` from where it was.
fn perturbed(y: &mut [f64], eps: f64, sigma: f64, rng: &mut impl rand::Rng) {
    let mut noisy: Vec<f64> = y
        .iter()
        .map(|p| {
            let p = p.clamp(EDGE, 1.0 - EDGE);
            let logit = libm::log(p) - libm::log1p(-p) + sigma * normal(rng);
            1.0 / (1.0 + libm::exp(-logit))
        })
        .collect();
    let sum: f64 = noisy.iter().sum();
    if sum > 0.0 {
        noisy.iter_mut().for_each(|p| *p /= sum);
    }
    project::onto_simplex_near(&mut noisy, y, eps);
    y.copy_from_slice(&noisy);
}

impl Defense for LogitNoise {
    fn name(&self) -> &'static str {
        "logit-noise"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let (eps, sigma, fresh, key) = (self.eps, self.sigma, self.fresh, self.key);
        let mut exchange = self.exchange;
        let reply = rows::change_probs(batch, next, |input, mut row| {
            let stream = if fresh {
                exchange += 1;
                key.nth("exchange", exchange)
            } else {
                key.keyed(&rows::bytes(batch.inputs.row(input)))
            };
            let row = row.as_slice_mut().expect("rows of a fresh array are contiguous");
            perturbed(row, eps, sigma, &mut stream.rng());
        });
        self.exchange = exchange;
        reply
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::Array2;

    use super::super::workshop::testing::{CARD, small};
    use super::super::{DefenseSpec, Stack, Unwatched};
    use super::*;
    use crate::oracle::teacher::{Reveal, Teacher};
    use crate::oracle::{AccountId, Answers, Tick};

    #[test]
    fn strong_noise_uses_the_whole_bound_and_no_more() {
        for (eps, often) in [(0.1, 190), (0.5, 120), (1.0, 60)] {
            let clean = [0.7, 0.2, 0.06, 0.04];
            let far: Vec<f64> = (0..200)
                .map(|i| {
                    let mut row = clean;
                    perturbed(&mut row, eps, 8.0, &mut Seed::new(i).rng());
                    assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                    project::distance(&row, &clean)
                })
                .collect();
            assert!(far.iter().all(|d| *d <= eps + 1e-9));
            let at_bound = far.iter().filter(|d| **d > eps - 1e-6).count();
            assert!(at_bound > often, "{at_bound} of 200 at eps {eps}");
        }
    }

    #[test]
    fn odds_are_multiplied_by_the_exponential_of_the_noise() {
        let sigma = 0.8;
        for clean in [[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]] {
            let mut row = clean;
            perturbed(&mut row, 2.0, sigma, &mut Seed::new(7).rng());
            let mut rng = Seed::new(7).rng();
            let shares = clean.map(|p| {
                let p: f64 = p.clamp(1e-7, 1.0 - 1e-7);
                let odds = p / (1.0 - p) * libm::exp(sigma * normal(&mut rng));
                odds / (1.0 + odds)
            });
            let sum: f64 = shares.iter().sum();
            assert!(clean[0] == 1.0 || (sum - 1.0).abs() > 0.05, "scaling does something: {sum}");
            for (found, share) in row.iter().zip(shares) {
                assert!((found - share / sum).abs() < 1e-12, "{row:?}");
            }
        }
    }

    #[test]
    fn fresh_noise_is_drawn_for_each_exchange() {
        let spec = DefenseSpec::LogitNoise(Params { eps: 2.0, sigma: 1.0, fresh: true });
        let mut stack = Stack::build(&[spec], Seed::new(4), CARD, small()).unwrap();
        let mut oracle = Teacher::new(Arc::clone(small().teacher.as_ref().unwrap()), Reveal::Probs);
        let batch = Batch::classify(AccountId(0), Tick::ZERO, Array2::from_elem((3, 2), 0.4));
        let reply = stack.run(&batch, &mut oracle, &mut Unwatched).unwrap();
        let Answers::Probs(p) = reply.answers else { panic!("probabilities") };
        assert!(p.row(0) != p.row(1) && p.row(1) != p.row(2) && p.row(0) != p.row(2), "{p}");
    }

    #[test]
    fn saturated_rows_stay_finite_and_move() {
        let mut moved = 0;
        for seed in 0..20 {
            let mut row = [1.0, 0.0, 0.0];
            perturbed(&mut row, 2.0, 100.0, &mut Seed::new(seed).rng());
            assert!(row.iter().all(|p| p.is_finite()));
            moved += u32::from(row[0] < 0.6);
        }
        assert!(moved > 5, "certainty is no shelter: {moved} of 20");
    }
}
