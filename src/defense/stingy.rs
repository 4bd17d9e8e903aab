//! Stingy answers (Ma et al. 2022, "Stingy teacher"): the softmax over a share of largest classes, exact zeros
//! elsewhere. On probabilities that is: keep the largest, drop the others, renormalise.
//!
//! Unlike `top-k`, what is left out looks like a zero, and a student that believes it learns that the
//! classes are impossible.

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
    /// Share of classes that keep their probability, above 0 and at most 1; rounded up to whole classes.
    pub share: f64,
}

/// The layer.
#[derive(Clone, Copy, Debug)]
pub struct Stingy {
    share: f64,
}

impl Stingy {
    fn map(self) -> RowMap {
        Box::new(move |clean, out| self.row(clean, out))
    }

    /// Drops the smallest classes of a row; of equal ones those with the higher numbers go first.
    fn row(self, clean: &[f64], out: &mut [f64]) {
        // 1e-9: a third of 3 classes is 1, whatever the last bit of 1/3.
        let kept = libm::ceil(self.share * clean.len() as f64 - 1e-9).max(1.0) as usize;
        let mut order: Vec<usize> = (0..clean.len()).collect();
        order.sort_by(|&a, &b| clean[b].total_cmp(&clean[a]).then(a.cmp(&b)));
        let sum: f64 = order.iter().take(kept).map(|&k| clean[k]).sum();
        out.fill(0.0);
        for &k in order.iter().take(kept) {
            out[k] = if sum > 0.0 { clean[k] / sum } else { 1.0 / kept as f64 };
        }
    }
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "stingy"
    }

    fn paper(&self) -> &'static str {
        "Ma et al. 2022, Stingy Teacher"
    }

    fn check(&self) -> Result<()> {
        if self.share > 0.0 && self.share <= 1.0 {
            return Ok(());
        }
        Err(Error::config("share", self.share.to_string(), "above 0 and at most 1"))
    }

    fn card(&self, below: Card) -> Result<Card> {
        rows::needs_probs(self.kind(), below)
    }

    /// The kept classes hold at least their share of the mass, and the rest moves to them.
    fn promise(&self) -> Promise {
        Promise { l1_bound: 2.0 * (1.0 - self.share), ..Promise::BASE }
    }

    fn counter(&self) -> Counter {
        Counter::InverseTable
    }

    fn simulate(&self, _known: &Known<'_>) -> Option<RowMap> {
        Some(Stingy { share: self.share }.map())
    }

    fn build(&self, _key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(Mapped::new(self.kind(), Stingy { share: self.share }.map())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::testing::{assert_close, cases, numbers};
    use super::*;

    #[test]
    fn what_is_kept_is_what_top_k_keeps_renormalised() {
        let all = cases("top_k");
        for case in &all {
            let clean = numbers(&case["input"]["probs"]);
            let k = case["input"]["k"].as_u64().unwrap().min(clean.len() as u64) as usize;
            let mut got = vec![0.0; clean.len()];
            Stingy { share: k as f64 / clean.len() as f64 }.row(&clean, &mut got);
            let kept = case["expected"]["kept"].as_array().unwrap();
            let at: Vec<f64> = kept.iter().map(|e| got[e[0].as_u64().unwrap() as usize]).collect();
            assert_close(case, &at, &numbers(&case["expected"]["renormalised"]));
            assert!(got.iter().filter(|p| **p > 0.0).count() <= k);
        }
        assert_eq!(all.len(), 11);
        let mut even = [9.0; 3];
        Stingy { share: 2.0 / 3.0 }.row(&[0.0; 3], &mut even);
        assert_eq!(even, [0.5, 0.5, 0.0]);
    }
}
