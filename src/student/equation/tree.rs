//! Decision trees by path finding (Tramer et al. 2016, algorithm 1): from one row of a leaf, a search along each
//! feature finds how far the leaf reaches, and rows of the leaves next to it, which are searched in turn.
//!
//! A leaf is known by what it answers, label and confidence. A leaf is a box, so between two rows of one leaf
//! there is nothing else, and a search needs to look only between unlike answers; and every split cuts some line
//! through a row found, so no leaf is missed. Both hold where no two leaves answer alike. Leaves that do are told
//! apart where another lies between, because a row counts as known only inside a leaf found; elsewhere they may
//! become one.

use super::Oracle;
use crate::error::{Error, Result, expect_shape};

/// What a leaf answers: label and confidence.
pub type Answer = (usize, f64);

/// What a feature may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feature {
    /// Any number from `low` to `high`; thresholds are found to within `step`.
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
pub struct Leaf {
    /// `[d]`
    pub spans: Vec<Span>,
    pub answer: Answer,
}

/// Leaves as they were found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    pub leaves: Vec<Leaf>,
}

impl Tree {
    /// The first leaf that holds a row `[d]`.
    pub fn leaf(&self, row: &[f64]) -> Option<usize> {
        let holds = |leaf: &Leaf| {
            leaf.spans.len() == row.len() && leaf.spans.iter().zip(row).all(|(s, &x)| s.holds(x))
        };
        self.leaves.iter().position(holds)
    }
}

/// The leaves of a tree over `features`, beginning at the row `first`. It ends where answers are those of a tree; an
/// error of the oracle, such as a spent budget, ends it too.
pub fn paths(oracle: &mut Oracle<'_, Answer>, features: &[Feature], first: &[f64]) -> Result<Tree> {
    check(features, first)?;
    let mut tree = Tree { leaves: Vec::new() };
    let mut left = vec![(first.to_vec(), ask(oracle, first)?)];
    while let Some((row, answer)) = left.pop() {
        if tree.leaf(&row).is_some_and(|found| tree.leaves[found].answer == answer) {
            continue;
        }
        let mut spans = Vec::with_capacity(features.len());
        for (at, &feature) in features.iter().enumerate() {
            let mut line = Line { oracle: &mut *oracle, row: row.clone(), at, answer };
            let (span, beyond) = match feature {
                Feature::Number { low, high, step } => line.numbers(low, high, step)?,
                Feature::Category { values } => line.categories(values)?,
            };
            spans.push(span);
            left.extend(beyond.into_iter().map(|(x, answer)| {
                let mut row = row.clone();
                row[at] = x;
                (row, answer)
            }));
        }
        tree.leaves.push(Leaf { spans, answer });
    }
    Ok(tree)
}

fn ask(oracle: &mut Oracle<'_, Answer>, row: &[f64]) -> Result<Answer> {
    match oracle.ask(row)? {
        (_, confidence) if confidence.is_nan() => {
            Err(Error::input("confidence of an answer", confidence, "a number"))
        }
        answer => Ok(answer),
    }
}

/// A value of a feature with its answer.
type Piece = (f64, Answer);

/// Rows that differ from one row in one feature.
struct Line<'a, 'b> {
    oracle: &'a mut Oracle<'b, Answer>,
    row: Vec<f64>,
    at: usize,
    /// Of the row itself.
    answer: Answer,
}

impl Line<'_, '_> {
    fn ask(&mut self, x: f64) -> Result<Answer> {
        let own = std::mem::replace(&mut self.row[self.at], x);
        let answer = ask(self.oracle, &self.row);
        self.row[self.at] = own;
        answer
    }

    /// How far the leaf reaches, and a value in every other piece of the line.
    fn numbers(&mut self, low: f64, high: f64, step: f64) -> Result<(Span, Vec<Piece>)> {
        let own = (self.row[self.at], self.answer);
        let ends = [(low, self.ask(low)?), own, (high, self.ask(high)?)];
        let mut below = Vec::new(); // pairs of neighbours with unlike answers, rising
        self.cuts(ends[0], ends[1], step, &mut below)?;
        let mut above = Vec::new();
        self.cuts(ends[1], ends[2], step, &mut above)?;
        let middle = |(a, b): &(Piece, Piece)| a.0 + (b.0 - a.0) / 2.0;
        let from = below.last().map_or(f64::NEG_INFINITY, &middle);
        let to = above.first().map_or(f64::INFINITY, &middle);
        let beyond = below.into_iter().map(|(a, _)| a).chain(above.into_iter().map(|(_, b)| b));
        Ok((Span::Numbers { above: from, to }, beyond.collect()))
    }

    /// Where answers change between two values, to within `step`, in rising order.
    fn cuts(&mut self, a: Piece, b: Piece, step: f64, out: &mut Vec<(Piece, Piece)>) -> Result<()> {
        if a.1 == b.1 {
            return Ok(());
        }
        let middle = a.0 + (b.0 - a.0) / 2.0;
        if b.0 - a.0 <= step || middle <= a.0 || middle >= b.0 {
            out.push((a, b));
            return Ok(());
        }
        let middle = (middle, self.ask(middle)?);
        self.cuts(a, middle, step, out)?;
        self.cuts(middle, b, step, out)
    }

    /// The categories of the leaf, and all others.
    fn categories(&mut self, values: usize) -> Result<(Span, Vec<Piece>)> {
        let own = self.row[self.at];
        let (mut mine, mut beyond) = (Vec::new(), Vec::new());
        for value in 0..values {
            let x = value as f64;
            let answer = if x == own { self.answer } else { self.ask(x)? };
            match answer == self.answer {
                true => mine.push(value),
                false => beyond.push((x, answer)),
            }
        }
        Ok((Span::Categories(mine), beyond))
    }
}

fn check(features: &[Feature], first: &[f64]) -> Result<()> {
    expect_shape("row to begin at", &[first.len()], &[features.len()])?;
    for (at, (&feature, &x)) in features.iter().zip(first).enumerate() {
        let what = || format!("feature {at}");
        match feature {
            Feature::Number { low, high, step } => {
                if !(low < high && (high - low).is_finite() && step > 0.0) {
                    let found = format!("{low} to {high} in steps of {step}");
                    return Err(Error::input(what(), found, "a finite range and a step above 0"));
                }
                if !(low..=high).contains(&x) {
                    return Err(Error::input(what(), x, format!("{low} to {high}")));
                }
            }
            Feature::Category { values } => {
                if x.fract() != 0.0 || !(0.0..values as f64).contains(&x) {
                    let expected = format!("a whole number below {values}");
                    return Err(Error::input(what(), x, expected));
                }
            }
        }
    }
    Ok(())
}
