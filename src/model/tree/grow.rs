//! Growing a tree (CART; Breiman, Friedman, Olshen and Stone 1984): each node is split where the parts are purest by
//! Gini's index, until it is pure, as deep as may be, or too small. Nothing is pruned.
//!
//! A split is kept if both parts have rows enough and together are purer than the node. Of equally good ones the lowest
//! feature wins, then the lowest threshold, which is the middle between two neighbouring values. Soft labels count as
//! parts of rows.
//!
//! Written here because no crate gives what is needed: smartcore keeps its nodes to itself, linfa-trees tells labels of
//! leaves without their shares.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use super::{Node, Tree};
use crate::error::{Error, Result};
use crate::model::{Arch, Fitted, Lesson, Loss, Model, Targets, fit};

/// Gain in sums of squares, over the rows of a node, that is no more than rounding.
const NOTHING: f64 = 1e-12;

/// The tree of `model`'s plan for `lesson`: class labels, or probabilities at temperature 1.
pub(in crate::model) fn grow(
    model: &Model,
    lesson: &Lesson,
    loss: Loss,
    outputs: Range<usize>,
) -> Result<Fitted> {
    let whole = outputs == (0..model.classes());
    fit::check_lesson(model, lesson, loss, outputs)?;
    let counts = match (&lesson.targets, loss) {
        (Targets::Labels(labels), Loss::HardLabel) if whole => {
            Array2::from_shape_fn((labels.len(), model.classes()), |(i, class)| {
                f64::from(u8::from(labels[i] == class))
            })
        }
        (Targets::Probs(probs), Loss::SoftLabel { temperature: 1.0, .. }) if whole => probs.clone(),
        _ => {
            let expected = "class labels, or probabilities at temperature 1, of all classes";
            return Err(Error::input("what a tree learns from", format!("{loss:?}"), expected));
        }
    };
    let &Arch::Tree { depth, leaf_rows, laplace } = model.arch() else {
        return Err(Error::Internal("a network is not grown".into()));
    };
    let mut growth = Growth {
        inputs: lesson.inputs.view(),
        counts,
        leaf_rows,
        laplace,
        nodes: Vec::new(),
        shares: Vec::new(),
    };
    growth.grow((0..lesson.inputs.nrows()).collect(), depth);
    let tree = growth.tree(model)?;
    let last = Model::of_tree(model.arch(), model.shape(), model.classes(), model.device(), tree)?;
    Ok(Fitted { selected: last.clone(), last, steps: 0, flops: 0.0 })
}

struct Growth<'a> {
    /// `[n, d]`
    inputs: ArrayView2<'a, f32>,
    /// `[n, classes]` what a row counts for.
    counts: Array2<f64>,
    leaf_rows: usize,
    laplace: bool,
    nodes: Vec<Node>,
    /// A row for each leaf.
    shares: Vec<f32>,
}

/// The best split so far: how pure its parts are, and where it is.
struct Best {
    purity: f64,
    feature: usize,
    threshold: f32,
}

impl Growth<'_> {
    /// Appends the subtree of these rows.
    fn grow(&mut self, rows: Vec<usize>, depth: usize) {
        let split = if depth > 0 { self.split(&rows) } else { None };
        let Some(Best { feature, threshold, .. }) = split else { return self.leaf(&rows) };
        let (left, right): (Vec<usize>, Vec<usize>) =
            rows.into_iter().partition(|&i| self.inputs[[i, feature]] <= threshold);
        let at = self.nodes.len();
        self.nodes.push(Node::Split { feature, threshold, right: 0 });
        self.grow(left, depth - 1);
        let right_at = self.nodes.len();
        self.nodes[at] = Node::Split { feature, threshold, right: right_at };
        self.grow(right, depth - 1);
    }

    fn leaf(&mut self, rows: &[usize]) {
        let sums = self.sums(rows);
        let told: f64 = sums.iter().sum();
        // Rows that count for nothing tell as little as no row.
        let more = if self.laplace || told <= 0.0 { 1.0 } else { 0.0 };
        let all = told + more * sums.len() as f64;
        self.nodes.push(Node::Leaf { row: self.shares.len() / sums.len() });
        self.shares.extend(sums.iter().map(|sum| ((sum + more) / all) as f32));
    }

    /// What rows count for in each class.
    fn sums(&self, rows: &[usize]) -> Vec<f64> {
        let mut sums = vec![0.0; self.counts.ncols()];
        for &i in rows {
            sums.iter_mut().zip(self.counts.row(i)).for_each(|(sum, count)| *sum += count);
        }
        sums
    }

    fn split(&self, rows: &[usize]) -> Option<Best> {
        let all = self.sums(rows);
        // Gini's index of a part of n rows is 1 - (sum of squared counts) / n^2: the weighted mean over parts is least
        // where their (sum of squared counts) / n, together, is most.
        let whole = purity(&all, rows.len());
        let mut best: Option<Best> = None;
        for feature in 0..self.inputs.ncols() {
            let found = self.split_along(feature, rows, &all);
            if found.as_ref().is_some_and(|f| best.as_ref().is_none_or(|b| f.purity > b.purity)) {
                best = found;
            }
        }
        best.filter(|best| best.purity - whole > NOTHING * rows.len() as f64)
    }

    /// The best split along one feature; none if no threshold leaves rows enough on both sides.
    fn split_along(&self, feature: usize, rows: &[usize], all: &[f64]) -> Option<Best> {
        let value = |i: usize| self.inputs[[i, feature]];
        let mut order = rows.to_vec();
        // By row, too: equal values are summed in one order.
        order.sort_unstable_by(|&a, &b| value(a).total_cmp(&value(b)).then(a.cmp(&b)));
        let (mut below, mut best) = (vec![0.0; all.len()], None::<Best>);
        for (i, pair) in order.windows(2).enumerate() {
            below.iter_mut().zip(self.counts.row(pair[0])).for_each(|(sum, count)| *sum += count);
            let (left, right) = (i + 1, rows.len() - i - 1);
            let (low, high) = (value(pair[0]), value(pair[1]));
            if low >= high || left < self.leaf_rows || right < self.leaf_rows {
                continue;
            }
            let above: Vec<f64> = all.iter().zip(&below).map(|(all, below)| all - below).collect();
            let purity = purity(&below, left) + purity(&above, right);
            if best.as_ref().is_none_or(|best| purity > best.purity) {
                best = Some(Best { purity, feature, threshold: middle(low, high) });
            }
        }
        best
    }

    fn tree(self, model: &Model) -> Result<Tree> {
        let shape = (self.shares.len() / model.classes(), model.classes());
        let shares = Array2::from_shape_vec(shape, self.shares)
            .map_err(|e| Error::Internal(e.to_string()))?;
        Tree::new(self.nodes, shares, model.shape().len())
    }
}

/// Sum of squared counts of a part, over its rows.
fn purity(counts: &[f64], rows: usize) -> f64 {
    counts.iter().map(|count| count * count).sum::<f64>() / rows as f64
}

/// A threshold that parts `low` from `high`, a number above it.
fn middle(low: f32, high: f32) -> f32 {
    let middle = ((f64::from(low) + f64::from(high)) / 2.0) as f32;
    if middle < high { middle } else { low }
}
