//! Stealing small models outright (Tramer et al. 2016, arXiv:1609.02943): answers to chosen questions are equations,
//! and what solves them is the model. Regressions ([`binary`], [`softmax`], [`one_vs_rest()`]) are solved, trees
//! ([`Search`], [`paths`]) are walked from leaf to leaf.

mod logistic;
mod one_vs_rest;
mod rebuild;
mod search;
mod tree;

#[cfg(test)]
mod tests;

pub use logistic::{Classes, Logistic, binary, least_norm, softmax};
pub use one_vs_rest::{near_zero, one_vs_rest};
pub use rebuild::rebuild;
pub use search::Search;
pub use tree::{Answer, Feature, Leaf, Span, Tree, paths};

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::seed::{Seed, uniform};

/// The only way to ask: counts every question, a row `[d]` each.
pub struct Oracle<'a, A> {
    ask: &'a mut dyn FnMut(&[f64]) -> Result<A>,
    queries: u64,
}

impl<'a, A> Oracle<'a, A> {
    /// Nothing asked yet.
    pub fn new(ask: &'a mut dyn FnMut(&[f64]) -> Result<A>) -> Self {
        Self { ask, queries: 0 }
    }

    /// Questions so far.
    pub const fn queries(&self) -> u64 {
        self.queries
    }

    fn ask(&mut self, row: &[f64]) -> Result<A> {
        self.queries += 1;
        (self.ask)(row)
    }
}

impl Oracle<'_, Vec<f64>> {
    /// Probabilities `[n, classes]` of rows `[n, d]`, one question each.
    pub fn answers(&mut self, rows: &Array2<f64>) -> Result<Array2<f64>> {
        let mut all = Vec::new();
        let mut classes = 0;
        for (i, row) in rows.rows().into_iter().enumerate() {
            let answer = self.ask(&row.to_vec())?;
            if i == 0 {
                classes = answer.len();
            }
            if answer.len() != classes {
                let what = format!("probabilities of answer {i}");
                return Err(Error::input(what, answer.len(), classes.to_string()));
            }
            all.extend(answer);
        }
        Array2::from_shape_vec((rows.nrows(), classes), all)
            .map_err(|e| Error::Internal(e.to_string()))
    }
}

/// Rows `[n, d]` drawn evenly from the ranges `[d]` of features; the paper's questions.
pub fn points(n: usize, ranges: &[(f64, f64)], seed: Seed) -> Array2<f64> {
    let mut rng = seed.rng();
    Array2::from_shape_fn((n, ranges.len()), |(_, feature)| {
        let (low, high) = ranges[feature];
        low + (high - low) * uniform(&mut rng)
    })
}
