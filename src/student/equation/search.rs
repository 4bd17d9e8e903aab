//! Decision trees by path finding (Tramer et al. 2016, algorithm 1): from one row of a leaf, a search along each
//! feature finds how far the leaf reaches, and rows of the leaves next to it, which are searched in turn.
//!
//! A leaf is known by what it answers, label and confidence, or a whole row of probabilities. A leaf is a box, so between
//! two rows of one leaf there is nothing else, and a search needs to look only between unlike answers; and every split
//! cuts some line through a row found, so no leaf is missed. Both hold where no two leaves answer alike. Leaves that do
//! are told apart where another lies between, because a row counts as known only inside a leaf found; elsewhere they may
//! become one, and what lies behind may stay unseen.
//!
//! Rows wait in a queue, so that they can be asked in batches: all features of a leaf are searched side by side, leaves one
//! after the other. What is asked does not depend on how the queue is cut.

use std::collections::VecDeque;

use super::tree::{Feature, Leaf, Span};
use crate::error::{Error, Result, expect_shape};

/// A search that is asked what it wants and told what came back. `A` is what leaves are known by.
#[derive(Clone, Debug)]
pub struct Search<A> {
    features: Vec<Feature>,
    /// The first row, until it is answered.
    first: Option<Vec<f64>>,
    found: Vec<Leaf<A>>,
    /// As far as each leaf found can reach, for thresholds are known to a step only: no row of it is measured again.
    reached: Vec<Leaf<A>>,
    /// Rows of leaves that may not be found yet, with their answers, the last one next.
    left: Vec<Told<A>>,
    /// The leaf that is being measured.
    now: Option<Measured<A>>,
}

/// A row `[d]` with its answer.
type Told<A> = (Vec<f64>, A);

/// A value of a feature with its answer.
type Piece<A> = (f64, A);

/// A leaf and what is known of the lines through its row.
#[derive(Clone, Debug)]
struct Measured<A> {
    row: Vec<f64>,
    answer: A,
    /// `[d]`
    lines: Vec<Line<A>>,
    queue: VecDeque<Question<A>>,
}

/// What is known along one feature: neighbouring values with unlike answers, as close as they are wanted, for numbers;
/// values and their answers for categories.
#[derive(Clone, Debug)]
enum Line<A> {
    Number { cuts: Vec<(Piece<A>, Piece<A>)>, step: f64 },
    Category { values: Vec<Piece<A>> },
}

/// The row measured, with the value `x` of the feature `at`.
#[derive(Clone, Debug)]
struct Question<A> {
    at: usize,
    x: f64,
    /// The pieces that a middle lies between; none for ends of a range and for categories.
    between: Option<(Piece<A>, Piece<A>)>,
}

impl<A: Clone + PartialEq> Search<A> {
    /// Begins at the row `first` `[d]`.
    pub fn new(features: &[Feature], first: &[f64]) -> Result<Self> {
        check(features, first)?;
        Ok(Self {
            features: features.to_vec(),
            first: Some(first.to_vec()),
            found: Vec::new(),
            reached: Vec::new(),
            left: Vec::new(),
            now: None,
        })
    }

    /// Rows `[d]` to be asked next, `most` or fewer; none at the end.
    pub fn wanted(&self, most: usize) -> Vec<Vec<f64>> {
        let first = self.first.iter().cloned();
        let now = self.now.iter().flat_map(|now| {
            now.queue.iter().map(|question| {
                let mut row = now.row.clone();
                row[question.at] = question.x;
                row
            })
        });
        first.chain(now).take(most).collect()
    }

    /// Answers to the first rows wanted, in order; none for a row that got no answer, which is not asked again. Without an
    /// answer to its first row the search is at its end.
    pub fn told(&mut self, answers: Vec<Option<A>>) -> Result<()> {
        for answer in answers {
            if let Some(row) = self.first.take() {
                self.left.extend(answer.map(|answer| (row, answer)));
            } else {
                let now = self.now.as_mut();
                let question = now.and_then(|now| Some((now.queue.pop_front()?, now)));
                let Some((question, now)) = question else {
                    return Err(Error::Internal("told more answers than were wanted".into()));
                };
                match answer {
                    Some(answer) => now.take(question, answer),
                    None => now.give_up(question),
                }
            }
            self.go_on();
        }
        Ok(())
    }

    /// The leaves that were measured to the end: all of them where nothing is wanted any more.
    pub fn into_leaves(self) -> Vec<Leaf<A>> {
        self.found
    }

    /// Ends the leaf that is measured whole, and begins others until there is something to ask.
    fn go_on(&mut self) {
        while self.now.as_ref().is_none_or(|now| now.queue.is_empty()) {
            if let Some(now) = self.now.take() {
                let (leaf, reach, beyond) = now.finished();
                self.found.push(leaf);
                self.reached.push(reach);
                self.left.extend(beyond);
            }
            let Some((row, answer)) = self.left.pop() else { return };
            if !self.reached.iter().any(|leaf| leaf.answer == answer && leaf.holds(&row)) {
                self.now = Some(Measured::begun(&self.features, row, answer));
            }
        }
    }
}

impl<A: Clone + PartialEq> Measured<A> {
    fn begun(features: &[Feature], row: Vec<f64>, answer: A) -> Self {
        let (mut lines, mut queue) = (Vec::new(), VecDeque::new());
        for (at, (&feature, &own)) in features.iter().zip(&row).enumerate() {
            let mut ask = |x: f64| {
                if x != own {
                    queue.push_back(Question { at, x, between: None });
                }
            };
            lines.push(match feature {
                Feature::Number { low, high, step } => {
                    [low, high].into_iter().for_each(&mut ask);
                    Line::Number { cuts: Vec::new(), step }
                }
                Feature::Category { values } => {
                    (0..values).for_each(|value| ask(value as f64));
                    Line::Category { values: vec![(own, answer.clone())] }
                }
            });
        }
        Self { row, answer, lines, queue }
    }

    fn take(&mut self, Question { at, x, between }: Question<A>, answer: A) {
        let there = (x, answer);
        if let Line::Category { values } = &mut self.lines[at] {
            values.push(there);
            return;
        }
        let own = (self.row[at], self.answer.clone());
        match between {
            Some((a, b)) => {
                self.narrow(at, a, there.clone());
                self.narrow(at, there, b);
            }
            None if x < own.0 => self.narrow(at, there, own),
            None => self.narrow(at, own, there),
        }
    }

    /// Where there is no answer between two values, they stay as far apart as they are.
    fn give_up(&mut self, question: Question<A>) {
        if let (Line::Number { cuts, .. }, Some(between)) =
            (&mut self.lines[question.at], question.between)
        {
            cuts.push(between);
        }
    }

    /// Looks between two values where answers change, to within the step.
    fn narrow(&mut self, at: usize, a: Piece<A>, b: Piece<A>) {
        let Line::Number { cuts, step } = &mut self.lines[at] else { return };
        if a.1 == b.1 {
            return;
        }
        let x = middle(a.0, b.0);
        if b.0 - a.0 <= *step || x <= a.0 {
            cuts.push((a, b));
        } else {
            self.queue.push_back(Question { at, x, between: Some((a, b)) });
        }
    }

    /// The leaf, how far it may reach, and a row of every other piece of each line with its answer. What was not answered
    /// counts as part of the leaf.
    fn finished(self) -> (Leaf<A>, Leaf<A>, Vec<Told<A>>) {
        let Self { row, answer, lines, .. } = self;
        let (mut spans, mut reaches, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
        for (at, line) in lines.into_iter().enumerate() {
            let (span, reach, others) = match line {
                Line::Number { cuts, .. } => along_numbers(row[at], cuts),
                Line::Category { values } => along_categories(&answer, values),
            };
            spans.push(span);
            reaches.push(reach);
            beyond.extend(others.into_iter().map(|(x, answer)| {
                let mut row = row.clone();
                row[at] = x;
                (row, answer)
            }));
        }
        let reach = Leaf { row: row.clone(), spans: reaches, answer: answer.clone() };
        (Leaf { row, spans, answer }, reach, beyond)
    }
}

/// What the leaf around `own` takes, how far it may reach, and a value in every other piece, from all cuts of a line.
fn along_numbers<A>(own: f64, mut cuts: Vec<(Piece<A>, Piece<A>)>) -> (Span, Span, Vec<Piece<A>>) {
    cuts.sort_by(|a, b| a.0.0.total_cmp(&b.0.0));
    let above = cuts.split_off(cuts.partition_point(|(a, _)| a.0 < own));
    let (under, over) = (cuts.last(), above.first());
    let span = Span::Numbers {
        above: under.map_or(f64::NEG_INFINITY, |(a, b)| middle(a.0, b.0)),
        to: over.map_or(f64::INFINITY, |(a, b)| middle(a.0, b.0)),
    };
    let reach = Span::Numbers {
        above: under.map_or(f64::NEG_INFINITY, |(a, _)| a.0),
        to: over.map_or(f64::INFINITY, |(_, b)| b.0),
    };
    let below = cuts.into_iter().map(|(a, _)| a);
    (span, reach, below.chain(above.into_iter().map(|(_, b)| b)).collect())
}

/// The same from all values that were answered.
fn along_categories<A: PartialEq>(
    answer: &A,
    mut values: Vec<Piece<A>>,
) -> (Span, Span, Vec<Piece<A>>) {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mine, others): (Vec<_>, Vec<_>) = values.into_iter().partition(|(_, told)| told == answer);
    let span = Span::Categories(mine.iter().map(|(x, _)| *x as usize).collect());
    (span.clone(), span, others)
}

/// A 32-bit number from `a` up to, but not, `b`, as near to their middle as there is one: rows are asked, and thresholds
/// kept, in 32 bits. `a` itself where there is none between them.
fn middle(a: f64, b: f64) -> f64 {
    let middle = f64::from((a + (b - a) / 2.0) as f32);
    if a < middle && middle < b { middle } else { a }
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
