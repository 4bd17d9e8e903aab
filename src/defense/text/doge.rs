//! Defensive output generation: an output layer that students learn little from (Li et al. 2025,
//! arXiv:2505.19504; code at UNITES-Lab/DOGe, `distill_wrapper.py`).
//!
//! The teacher's output layer alone is fine-tuned on
//!
//! CE(lessons) - c * KL(p || q) at temperature 2 over the tokens of scratchpads,
//!
//! p the teacher, q a proxy of the students that are expected; without the factor temperature^2. Both means
//! are over tokens. The result of an answer is left out, so that the way to it is what becomes odd. The
//! second term has no lower bound: c is to be small, and the teacher to be graded again.

use ndarray::Array2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Proxy;
use super::prompt::{is_worked, result_at};
use crate::error::{Error, Result};
use crate::model::language::{Away, Corpus, HeadRecipe, Language};
use crate::seed::Seed;

/// Of both distributions.
const TEMPERATURE: f64 = 2.0;
/// Lessons of a step.
const BATCH: usize = 20;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Weight of the distance to the proxy, above 0; .001 in the authors' script.
    #[schemars(range(min = 0.0))]
    pub c: f64,
    /// Steps of 20 lessons, 1 or more.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Learning rate, above 0.
    #[serde(default = "usual_rate")]
    #[schemars(range(min = 0.0))]
    pub lr: f64,
}

const fn usual_rate() -> f64 {
    5e-4
}

impl Params {
    /// Refuses settings out of range.
    pub fn check(&self) -> Result<()> {
        for (key, value) in [("c", self.c), ("lr", self.lr)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::config(key, value.to_string(), "above 0"));
            }
        }
        match self.steps {
            0 => Err(Error::config("steps", "0", "1 or more")),
            _ => Ok(()),
        }
    }

    /// The teacher with another output layer.
    pub fn train(&self, teacher: &Language, proxy: &Proxy, key: Seed) -> Result<Language> {
        self.check()?;
        let places = scratchpads(&proxy.lessons);
        let away =
            Away { other: &proxy.model, weight: self.c, temperature: TEMPERATURE, places: &places };
        let recipe = HeadRecipe { lr: self.lr, steps: self.steps, batch: BATCH };
        teacher.with_head_away(&proxy.lessons, &away, &recipe, key)
    }
}

/// `[n, context]` the positions that a token of a scratchpad follows: before the last `=` of worked-out
/// answers.
fn scratchpads(lessons: &Corpus) -> Array2<bool> {
    let mut places = Array2::from_elem(lessons.tokens.dim(), false);
    for (i, (tokens, next)) in
        lessons.tokens.rows().into_iter().zip(lessons.next.rows()).enumerate()
    {
        let first: Option<u8> = tokens.first().and_then(|&token| u8::try_from(token).ok());
        if !is_worked(first.as_slice()) {
            continue;
        }
        let answer: Vec<(usize, u16)> = next
            .iter()
            .enumerate()
            .filter_map(|(at, &token)| Some((at, u16::try_from(token).ok()?)))
            .collect();
        let written: Vec<u16> = answer.iter().map(|(_, token)| *token).collect();
        let before = result_at(&written).unwrap_or(0);
        answer[..before].iter().for_each(|(at, _)| places[[i, *at]] = true);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratchpads_are_what_comes_before_the_result_of_worked_out_answers() {
        let pairs = [
            (&b"A3+4>"[..], &b"34.7=7\0"[..]),
            (b"R1+2>", b"+2=3\0"),
            (b"R1+2*2>", b"+2=3*2=6\0"),
            (b"Fc:a=>", b"a=\0"),
            (b"A1+1>", b"no\0"),
        ];
        let places = scratchpads(&Corpus::of(pairs.into_iter(), 16, 0).unwrap());
        let marked: Vec<Vec<usize>> =
            places.rows().into_iter().map(|row| (0..16).filter(|at| row[*at]).collect()).collect();
        // The position before each token: 34.7 from the end of `A3+4>` on.
        let expected = [vec![4, 5, 6, 7], vec![4, 5], vec![6, 7, 8, 9, 10, 11], vec![], vec![]];
        assert_eq!(marked, expected);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let usual = Params { c: 1e-3, steps: 10, lr: 5e-4 };
        assert!(usual.check().is_ok());
        for params in [
            Params { c: 0.0, ..usual.clone() },
            Params { steps: 0, ..usual.clone() },
            Params { lr: f64::NAN, ..usual },
        ] {
            assert!(params.check().is_err(), "{params:?}");
        }
    }
}
