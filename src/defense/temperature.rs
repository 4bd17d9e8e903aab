//! Temperature: softmax(z / T), from probabilities p^(1/T) over their sum. Zeros stay zero.
//!
//! A power of the answer, so whoever knows T undoes it: the declared counter is the matched
//! temperature.

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
    /// Temperature, above 0 and at most 1000; above 1 flattens the answer.
    pub t: f64,
}

/// The layer.
#[derive(Clone, Copy, Debug)]
pub struct Temperature {
    t: f64,
}

impl Params {
    /// Checks the range.
    pub fn build(&self) -> Result<Temperature> {
        if !(self.t > 0.0 && self.t <= 1000.0) {
            return Err(Error::config(
                "t",
                self.t.to_string(),
                "a temperature above 0 and at most 1000",
            ));
        }
        Ok(Temperature { t: self.t })
    }
}

impl Temperature {
    fn map(self) -> RowMap {
        Box::new(move |clean, out| self.row(clean, out))
    }

    /// Tempers one row; `out` may be the same row.
    pub fn row(&self, clean: &[f64], out: &mut [f64]) {
        let top = clean.iter().copied().fold(0.0, f64::max);
        let mut sum = 0.0;
        for (o, &p) in out.iter_mut().zip(clean) {
            // Relative to the largest, so that a low temperature cannot underflow every class.
            *o = if p > 0.0 { libm::exp(libm::log(p / top) / self.t) } else { 0.0 };
            sum += *o;
        }
        if sum > 0.0 {
            out.iter_mut().for_each(|o| *o /= sum);
        }
    }
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "temperature"
    }

    fn paper(&self) -> &'static str {
        "Hinton et al. 2015, section 2, turned into a defense"
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
        Counter::MatchedTemperature { t: self.t }
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
        let all = cases("temperature");
        assert_eq!(all.len(), 10);
        for case in all {
            let input = &case["input"];
            let t = Params { t: input["T"].as_f64().unwrap() }.build().unwrap();
            let clean = match input.get("probs") {
                Some(p) => numbers(p),
                None => {
                    let z = numbers(&input["logits"]);
                    let top = z.iter().copied().fold(f64::MIN, f64::max);
                    z.iter().map(|v| libm::exp(v - top)).collect()
                }
            };
            let mut got = vec![0.0; clean.len()];
            t.row(&clean, &mut got);
            assert_close(&case, &got, &numbers(&case["expected"]["probs"]));
        }
        let mut cold = [9.0; 3];
        Temperature { t: 1e-3 }.row(&[0.3, 0.5, 0.2], &mut cold);
        assert_eq!(cold.map(|p| (p * 1e9).round()), [0.0, 1e9, 0.0]);
        let mut nothing = [9.0; 2];
        Temperature { t: 2.0 }.row(&[0.0; 2], &mut nothing);
        assert_eq!(nothing, [0.0; 2]);
    }
}
