//! Reverse sigmoid (Lee, Edwards, Molloy and Su 2018, "Defending against machine learning model
//! stealing attacks using deceptive perturbations", equation 3):
//! p~ = alpha (p - beta (sigmoid(gamma logit p) - 1/2)), alpha normalises.
//!
//! Limits are exact: at p = 0 the sigmoid is 0, at p = 1 it is 1. With beta = 1 a saturated row then
//! becomes a full tie, and the top class can be lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rows::{self, Mapped};
use super::{Counter, Defense, Known, Method, Promise, RowMap, Workshop};
use crate::error::{Error, Result};
use crate::oracle::Card;
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Size of the perturbation, 0 to 1.
    pub beta: f64,
    /// Steepness, above 0 and at most 100.
    pub gamma: f64,
}

/// The layer.
#[derive(Clone, Copy, Debug)]
pub struct ReverseSigmoid {
    beta: f64,
    gamma: f64,
}

impl Params {
    /// Checks the ranges.
    pub fn build(&self) -> Result<ReverseSigmoid> {
        if !(0.0..=1.0).contains(&self.beta) {
            return Err(Error::config("beta", self.beta.to_string(), "0 to 1"));
        }
        if !(self.gamma > 0.0 && self.gamma <= 100.0) {
            return Err(Error::config("gamma", self.gamma.to_string(), "above 0 and at most 100"));
        }
        Ok(ReverseSigmoid { beta: self.beta, gamma: self.gamma })
    }
}

impl ReverseSigmoid {
    fn map(self) -> RowMap {
        Box::new(move |clean, out| self.row(clean, out))
    }

    /// Perturbs one row.
    pub fn row(&self, clean: &[f64], out: &mut [f64]) {
        let mut sum = 0.0;
        for (o, &p) in out.iter_mut().zip(clean) {
            *o = p - self.beta * (self.squashed(p) - 0.5);
            sum += *o;
        }
        out.iter_mut().for_each(|o| *o /= sum);
    }

    /// sigmoid(gamma logit p) = p^gamma / (p^gamma + (1-p)^gamma).
    fn squashed(&self, p: f64) -> f64 {
        if p <= 0.0 {
            return 0.0;
        }
        if p >= 1.0 {
            return 1.0;
        }
        let odds = self.gamma * (libm::log(p) - libm::log1p(-p));
        1.0 / (1.0 + libm::exp(-odds))
    }
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "reverse-sigmoid"
    }

    fn paper(&self) -> &'static str {
        "Lee et al. 2018, equation 3"
    }

    fn check(&self) -> Result<()> {
        Self::build(self).map(|_| ())
    }

    fn card(&self, below: Card) -> Result<Card> {
        rows::needs_probs(self.kind(), below)
    }

    fn promise(&self) -> Promise {
        // Not monotone near 0 and 1, where gamma beta / (p (1 - p)) exceeds 1.
        Promise { keeps_top1: false, ..Promise::BASE }
    }

    fn counter(&self) -> Counter {
        Counter::InverseTable
    }

    fn simulate(&self, _known: &Known<'_>) -> Option<RowMap> {
        Some(Self::build(self).ok()?.map())
    }

    fn build(&self, _key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(Mapped::new(self.kind(), Self::build(self)?.map())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::testing::{assert_close, cases, numbers};
    use super::*;

    #[test]
    fn the_reference_rows_are_matched() {
        let all = cases("reverse_sigmoid");
        assert_eq!(all.len(), 17);
        for case in all {
            let (beta, gamma) =
                (case["input"]["beta"].as_f64().unwrap(), case["input"]["gamma"].as_f64().unwrap());
            let layer = ReverseSigmoid { beta, gamma };
            let clean = numbers(&case["input"]["probs"]);
            let mut got = vec![0.0; clean.len()];
            layer.row(&clean, &mut got);
            assert_close(&case, &got, &numbers(&case["expected"]["lee"]));
        }
    }
}
