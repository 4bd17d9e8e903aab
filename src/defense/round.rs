//! Rounding: each probability to a number of decimals, half to even, not renormalised.
//!
//! Tramer et al. 2016, section 7; ModelGuard (Tang et al. 2024) uses one decimal. Rows may not sum to
//! 1 afterwards, and small classes may tie at zero.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rows::{self, Mapped};
use super::{Counter, Defense, Known, Method, Promise, RowMap, Workshop};
use crate::error::{Error, Result};
use crate::oracle::Card;
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Decimal places kept, 0 to 6.
    #[schemars(range(max = 6))]
    pub digits: u32,
}

/// The layer.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    scale: f64,
}

impl Params {
    /// Checks the range.
    pub fn build(&self) -> Result<Round> {
        if self.digits > 6 {
            return Err(Error::config("digits", self.digits.to_string(), "0 to 6 decimal places"));
        }
        Ok(Round { scale: f64::from(10_u32.pow(self.digits)) })
    }
}

impl Round {
    /// Of whole rows.
    fn map(self) -> RowMap {
        Box::new(move |clean, out| {
            out.iter_mut().zip(clean).for_each(|(o, &p)| *o = self.value(p));
        })
    }

    /// One probability, rounded half to even.
    pub fn value(&self, p: f64) -> f64 {
        (p * self.scale).round_ties_even() / self.scale
    }
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "round"
    }

    fn paper(&self) -> &'static str {
        "Tramer et al. 2016, section 7"
    }

    fn check(&self) -> Result<()> {
        Self::build(self).map(|_| ())
    }

    fn card(&self, below: Card) -> Result<Card> {
        rows::needs_probs(self.kind(), below)
    }

    fn promise(&self) -> Promise {
        Promise::BASE
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
        let all = cases("rounding");
        assert_eq!(all.len(), 12);
        for case in all {
            let round = Params { digits: case["input"]["decimals"].as_u64().unwrap() as u32 }
                .build()
                .unwrap();
            let got: Vec<f64> =
                numbers(&case["input"]["probs"]).iter().map(|&p| round.value(p)).collect();
            assert_close(&case, &got, &numbers(&case["expected"]["rounded"]));
        }
    }
}
