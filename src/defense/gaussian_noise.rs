//! Gaussian noise on probabilities: p + N(0, sigma^2) per class, clipped at 0, renormalised (as the
//! Adversarial Robustness Toolbox's `GaussianNoise` postprocessor; its default sigma is 0.2).
//!
//! Keyed noise is a function of key and input: asking again gives the same answer, so repeats average
//! nothing away. Fresh noise is drawn per exchange, and its mean over n repeats has 1/n the variance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counter, Defense, Method, Next, Promise, Workshop, rows};
use crate::error::{Error, Result};
use crate::oracle::{Batch, Card, Reply};
use crate::seed::{Seed, normal};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Standard deviation of each class's noise, above 0 and at most 10.
    pub sigma: f64,
    /// Draw anew at each exchange instead of keying the noise by the input.
    #[serde(default)]
    pub fresh: bool,
}

/// The layer.
pub struct GaussianNoise {
    sigma: f64,
    fresh: bool,
    /// Secret of the defender: no student gets it.
    key: Seed,
    exchange: u64,
}

impl Params {
    /// Checks the range. `key` is the defender's stream.
    pub fn build(&self, key: Seed) -> Result<GaussianNoise> {
        if !(self.sigma > 0.0 && self.sigma <= 10.0) {
            return Err(Error::config("sigma", self.sigma.to_string(), "above 0 and at most 10"));
        }
        Ok(GaussianNoise { sigma: self.sigma, fresh: self.fresh, key, exchange: 0 })
    }
}

impl Defense for GaussianNoise {
    fn name(&self) -> &'static str {
        "gaussian-noise"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let (sigma, fresh, key) = (self.sigma, self.fresh, self.key);
        let mut exchange = self.exchange;
        let mut bytes = Vec::new();
        let reply = rows::change_probs(batch, next, |input, mut row| {
            let stream = if fresh {
                exchange += 1;
                key.nth("exchange", exchange)
            } else {
                bytes.clear();
                bytes.extend(batch.inputs.row(input).iter().flat_map(|x| x.to_le_bytes()));
                key.keyed(&bytes)
            };
            let mut rng = stream.rng();
            row.mapv_inplace(|p| (p + sigma * normal(&mut rng)).max(0.0));
            rows::normalise(row);
        });
        self.exchange = exchange;
        reply
    }
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "gaussian-noise"
    }

    fn paper(&self) -> &'static str {
        "Adversarial Robustness Toolbox, GaussianNoise; keyed form ours"
    }

    fn check(&self) -> Result<()> {
        Self::build(self, Seed::new(0)).map(|_| ())
    }

    fn card(&self, below: Card) -> Result<Card> {
        rows::needs_probs(self.kind(), below)
    }

    fn promise(&self) -> Promise {
        Promise {
            keeps_top1: false,
            deterministic: !self.fresh,
            stateful: self.fresh,
            ..Promise::BASE
        }
    }

    fn counter(&self) -> Counter {
        if self.fresh { Counter::Repeat } else { Counter::Jitter }
    }

    fn build(&self, key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(Self::build(self, key)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Stack, Unwatched};
    use super::*;
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, Answers, Tick};
    use ndarray::Array2;

    fn ask(stack: &mut Stack, n: usize) -> Array2<f64> {
        let mut oracle = Scripted::constant(3, vec![0.5, 0.3, 0.1, 0.1]);
        let batch = Batch::classify(AccountId(0), Tick::ZERO, Array2::from_elem((n, 3), 0.5));
        match stack.run(&batch, &mut oracle, &mut Unwatched).unwrap().answers {
            Answers::Probs(p) => p,
            other => panic!("{other:?}"),
        }
    }

    fn noisy(fresh: bool) -> Stack {
        Stack::new(vec![Box::new(Params { sigma: 0.05, fresh }.build(Seed::new(1)).unwrap())])
    }

    #[test]
    fn keyed_noise_repeats_itself() {
        let answers = ask(&mut noisy(false), 5);
        assert!(answers.rows().into_iter().all(|r| r == answers.row(0)));
        assert_ne!(answers.row(0).to_vec(), vec![0.5, 0.3, 0.1, 0.1]);
    }

    #[test]
    fn fresh_noise_averages_away_with_one_over_n() {
        let answers = ask(&mut noisy(true), 4000);
        let mean = answers.column(1).mean().unwrap();
        assert!((mean - 0.3).abs() < 0.005, "{mean}");
        assert_ne!(answers.row(0), answers.row(1));
    }
}
