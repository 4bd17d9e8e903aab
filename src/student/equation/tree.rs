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

impl Leaf {
    fn holds(&self, row: &[f64]) -> bool {
        self.spans.len() == row.len() && self.spans.iter().zip(row).all(|(s, &x)| s.holds(x))
    }
}

/// Leaves as they were found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    pub leaves: Vec<Leaf>,
}

impl Tree {
    /// The first leaf that holds a row `[d]`.
    pub fn leaf(&self, row: &[f64]) -> Option<usize> {
        self.leaves.iter().position(|leaf| leaf.holds(row))
    }
}

/// The leaves of a tree over `features`, beginning at the row `first`. It ends where answers are those of a tree; an
/// error of the oracle, such as a spent budget, ends it too.
pub fn paths(oracle: &mut Oracle<'_, Answer>, features: &[Feature], first: &[f64]) -> Result<Tree> {
    check(features, first)?;
    let mut tree = Tree { leaves: Vec::new() };
    // As far as each leaf can reach, for thresholds are known to a step only: no row of it is measured again.
    let mut reached: Vec<Leaf> = Vec::new();
    let mut left = vec![(first.to_vec(), ask(oracle, first)?)];
    while let Some((row, answer)) = left.pop() {
        if reached.iter().any(|leaf| leaf.answer == answer && leaf.holds(&row)) {
            continue;
        }
        let (mut spans, mut reaches) = (Vec::new(), Vec::new());
        for (at, &feature) in features.iter().enumerate() {
            let mut line = Line { oracle: &mut *oracle, row: row.clone(), at, answer };
            let Measured { span, reach, beyond } = match feature {
                Feature::Number { low, high, step } => line.numbers(low, high, step)?,
                Feature::Category { values } => line.categories(values)?,
            };
            spans.push(span);
            reaches.push(reach);
            left.extend(beyond.into_iter().map(|(x, answer)| {
                let mut row = row.clone();
                row[at] = x;
                (row, answer)
            }));
        }
        tree.leaves.push(Leaf { spans, answer });
        reached.push(Leaf { spans: reaches, answer });
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

/// A leaf along one feature.
struct Measured {
    /// Up to the middle of where a threshold may be.
    span: Span,
    /// Up to the far end of where it may be.
    reach: Span,
    /// A value in every other piece of the line.
    beyond: Vec<Piece>,
}

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

    fn numbers(&mut self, low: f64, high: f64, step: f64) -> Result<Measured> {
        let own = (self.row[self.at], self.answer);
        let ends = [(low, self.ask(low)?), own, (high, self.ask(high)?)];
        let (mut below, mut above) = (Vec::new(), Vec::new());
        self.cuts(ends[0], ends[1], step, &mut below)?;
        self.cuts(ends[1], ends[2], step, &mut above)?;
        let middle = |(a, b): &(Piece, Piece)| a.0 + (b.0 - a.0) / 2.0;
        let (under, over) = (below.last(), above.first());
        let span = Span::Numbers {
            above: under.map_or(f64::NEG_INFINITY, middle),
            to: over.map_or(f64::INFINITY, middle),
        };
        let reach = Span::Numbers {
            above: under.map_or(f64::NEG_INFINITY, |(a, _)| a.0),
            to: over.map_or(f64::INFINITY, |(_, b)| b.0),
        };
        let below = below.into_iter().map(|(a, _)| a);
        let beyond = below.chain(above.into_iter().map(|(_, b)| b)).collect();
        Ok(Measured { span, reach, beyond })
    }

    /// Where answers change between two values, to within `step`: neighbours with unlike answers, in rising order.
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

    fn categories(&mut self, values: usize) -> Result<Measured> {
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
        let span = Span::Categories(mine);
        Ok(Measured { reach: span.clone(), span, beyond })
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
