//! What is found of a decision tree by path finding (Tramer et al. 2016, algorithm 1), and how it is found through a
//! function that answers at once. [`Search`] is the search itself, for who must ask in batches.

use super::Oracle;
use super::search::Search;
use crate::error::{Error, Result};

/// What a leaf answers: label and confidence.
pub type Answer = (usize, f64);

/// What a feature may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feature {
    /// Any number from `low` to `high`; thresholds are found to within `step`, or to the last 32-bit number.
    Number { low: f64, high: f64, step: f64 },
    /// A whole number below `values`, without an order.
    Category { values: usize },
}

/// What a leaf takes of a feature.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// Numbers above `above`, up to `to`.
    Numbers { above: f64, to: f64 },
    /// Categories, in order.
    Categories(Vec<usize>),
}

impl Span {
    fn holds(&self, x: f64) -> bool {
        match self {
            Self::Numbers { above, to } => *above < x && x <= *to,
            Self::Categories(values) => values.iter().any(|&value| value as f64 == x),
        }
    }
}

/// A leaf: what it takes of each feature, and what it answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf<A = Answer> {
    /// `[d]` the row that it was measured from.
    pub row: Vec<f64>,
    /// `[d]`
    pub spans: Vec<Span>,
    pub answer: A,
}

impl<A> Leaf<A> {
    pub(super) fn holds(&self, row: &[f64]) -> bool {
        self.spans.len() == row.len() && self.spans.iter().zip(row).all(|(s, &x)| s.holds(x))
    }
}

/// Leaves as they were found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree<A = Answer> {
    pub leaves: Vec<Leaf<A>>,
}

impl<A> Tree<A> {
    /// The first leaf that holds a row `[d]`.
    pub fn leaf(&self, row: &[f64]) -> Option<usize> {
        self.leaves.iter().position(|leaf| leaf.holds(row))
    }
}

/// The leaves of a tree over `features`, beginning at the row `first`. It ends where answers are those of a tree; an
/// error of the oracle, such as a spent budget, ends it too.
pub fn paths(oracle: &mut Oracle<'_, Answer>, features: &[Feature], first: &[f64]) -> Result<Tree> {
    let mut search = Search::new(features, first)?;
    loop {
        let rows = search.wanted(usize::MAX);
        if rows.is_empty() {
            return Ok(Tree { leaves: search.into_leaves() });
        }
        let answers: Result<Vec<_>> = rows.iter().map(|row| ask(oracle, row).map(Some)).collect();
        search.told(answers?)?;
    }
}

fn ask(oracle: &mut Oracle<'_, Answer>, row: &[f64]) -> Result<Answer> {
    match oracle.ask(row)? {
        (_, confidence) if confidence.is_nan() => {
            Err(Error::input("confidence of an answer", confidence, "a number"))
        }
        answer => Ok(answer),
    }
}
