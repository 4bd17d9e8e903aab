//! Decision trees: at each split one number of a row is held against one threshold, at each leaf lie class shares. A tree
//! has no gradient.
//!
//! Nodes lie in preorder: a split's left child is the next node, its right child is named and lies further on. So a walk
//! only ever moves forward, and ends, whatever a file says.

mod grow;

use std::collections::BTreeSet;

use ndarray::{Array2, ArrayView1, ArrayView2};

use super::Parameter;
use crate::error::{Error, Result, expect_shape};

pub(super) use grow::grow;

/// Most nodes: as many as 32-bit floats can number in files.
const MOST_NODES: usize = 1 << 24;
/// What the shares of a leaf may differ from a sum of 1.
const OFF: f64 = 1e-3;
/// Names of tensors in files.
const NAMES: [&str; 4] = ["tree.feature", "tree.next", "tree.shares", "tree.threshold"];

/// A node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    /// A row whose `feature` is at most `threshold` goes on to the next node, any other to the node `right`.
    Split { feature: usize, threshold: f32, right: usize },
    /// The class shares `row`.
    Leaf { row: usize },
}

/// A tree that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
    /// `[leaves, classes]`
    shares: Array2<f32>,
    /// The same in 64 bits; rows sum to 1.
    answers: Array2<f64>,
}

impl Tree {
    /// A tree over rows of `features` numbers. Refuses nodes that lead nowhere or back, and `shares` `[leaves, classes]`
    /// that are no shares.
    pub fn new(nodes: Vec<Node>, shares: Array2<f32>, features: usize) -> Result<Self> {
        check(&nodes, &shares, features)
            .map_err(|(place, found, expected)| Error::input(place, found, expected))?;
        let mut answers = shares.mapv(f64::from);
        for mut row in answers.rows_mut() {
            let sum = row.sum();
            row.mapv_inplace(|share| share / sum);
        }
        Ok(Self { nodes, shares, answers })
    }

    /// Refuses another number of classes than there are shares, or a split over a feature that rows do not have.
    pub(super) fn check_fit(&self, features: usize, classes: usize) -> Result<()> {
        expect_shape("shares of a tree", self.shares.shape(), &[self.shares.nrows(), classes])?;
        check(&self.nodes, &self.shares, features)
            .map_err(|(place, found, expected)| Error::input(place, found, expected))
    }

    /// One leaf with equal shares: a tree that has learnt nothing.
    pub(super) fn fresh(classes: usize) -> Self {
        let shares = Array2::from_elem((1, classes), 1.0 / classes as f32);
        let answers = Array2::from_elem((1, classes), 1.0 / classes as f64);
        Self { nodes: vec![Node::Leaf { row: 0 }], shares, answers }
    }

    /// Its nodes, the root first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Number of leaves.
    pub fn leaves(&self) -> usize {
        self.nodes.iter().filter(|node| matches!(node, Node::Leaf { .. })).count()
    }

    /// Number of answers that differ from each other. Fewer than leaves where leaves answer alike.
    pub fn distinct_answers(&self) -> usize {
        let used = self.nodes.iter().filter_map(|node| match node {
            Node::Leaf { row } => Some(*row),
            Node::Split { .. } => None,
        });
        let bits =
            |row| self.answers.row(row).iter().map(|p: &f64| p.to_bits()).collect::<Vec<_>>();
        used.map(bits).collect::<BTreeSet<_>>().len()
    }

    /// Class shares `[n, classes]` of inputs `[n, d]`.
    pub(super) fn probs(&self, inputs: ArrayView2<'_, f32>) -> Array2<f64> {
        let mut out = Array2::zeros((inputs.nrows(), self.answers.ncols()));
        for (row, mut out) in inputs.rows().into_iter().zip(out.rows_mut()) {
            out.assign(&self.answers.row(self.leaf(row)));
        }
        out
    }

    /// The row of shares that an input `[d]` comes to.
    fn leaf(&self, input: ArrayView1<'_, f32>) -> usize {
        let mut at = 0;
        loop {
            match self.nodes[at] {
                Node::Leaf { row } => return row,
                Node::Split { feature, threshold, .. } if input[feature] <= threshold => at += 1,
                Node::Split { right, .. } => at = right,
            }
        }
    }

    /// Numbers of all its tensors.
    pub(super) fn numbers(&self) -> usize {
        3 * self.nodes.len() + self.shares.len()
    }

    /// As tensors, in the order of their names. A leaf has the feature -1 and names its row of shares.
    pub(super) fn named(&self) -> Vec<Parameter> {
        let of = |f: fn(&Node) -> f32| (vec![self.nodes.len()], self.nodes.iter().map(f).collect());
        let feature = of(|node| match node {
            Node::Split { feature, .. } => *feature as f32,
            Node::Leaf { .. } => -1.0,
        });
        let next = of(|node| match node {
            Node::Split { right, .. } => *right as f32,
            Node::Leaf { row } => *row as f32,
        });
        let threshold = of(|node| match node {
            Node::Split { threshold, .. } => *threshold,
            Node::Leaf { .. } => 0.0,
        });
        let shares = (self.shares.shape().to_vec(), self.shares.iter().copied().collect());
        let tensors = [feature, next, shares, threshold];
        let named = NAMES.into_iter().zip(tensors);
        named.map(|(name, (shape, values))| (name.to_string(), shape, values)).collect()
    }

    /// The tree of these tensors over rows of `features` numbers, or what is wrong with them. They come from files that
    /// anyone may have written.
    pub(super) fn from_named(
        mut tensors: Vec<Parameter>,
        features: usize,
        classes: usize,
    ) -> std::result::Result<Self, String> {
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<&str> = tensors.iter().map(|tensor| &tensor.0[..]).collect();
        if names != NAMES {
            return Err(format!("{}, in place of {}", names.join(", "), NAMES.join(", ")));
        }
        let [feature, next, shares, threshold] = &tensors[..] else {
            return Err("not four tensors".into());
        };
        let n = feature.2.len();
        for (name, shape, _) in [feature, next, threshold] {
            if shape[..] != [n] {
                return Err(format!("{name} {shape:?} for [{n}]"));
            }
        }
        let (&[_, wide], leaves) = (&shares.1[..], &shares.2) else {
            return Err(format!("tree.shares {:?} for [leaves, {classes}]", shares.1));
        };
        if wide != classes {
            return Err(format!("tree.shares {:?} for [leaves, {classes}]", shares.1));
        }
        let rows = (leaves.len() / classes, classes);
        let shares = Array2::from_shape_vec(rows, leaves.clone()).map_err(|e| e.to_string())?;
        let node = |i: usize| {
            let whole = |value: f32| whole(value).ok_or_else(|| format!("{value} at node {i}"));
            let next = whole(next.2[i])?;
            Ok(match feature.2[i] {
                -1.0 => Node::Leaf { row: next },
                feature => {
                    Node::Split { feature: whole(feature)?, threshold: threshold.2[i], right: next }
                }
            })
        };
        let nodes = (0..n).map(node).collect::<std::result::Result<Vec<_>, String>>()?;
        Self::new(nodes, shares, features).map_err(|e| e.to_string())
    }
}

/// A number that counts something.
fn whole(value: f32) -> Option<usize> {
    (value.fract() == 0.0 && (0.0..=MOST_NODES as f32).contains(&value)).then_some(value as usize)
}

/// Place, found, expected.
type Wrong = (String, String, String);

fn check(nodes: &[Node], shares: &Array2<f32>, features: usize) -> std::result::Result<(), Wrong> {
    let n = nodes.len();
    if !(1..=MOST_NODES).contains(&n) {
        let place = "nodes of a tree".to_string();
        return Err((place, n.to_string(), format!("1 to {MOST_NODES}")));
    }
    for (i, node) in nodes.iter().enumerate() {
        let (found, expected) = match *node {
            Node::Split { feature, .. } if feature >= features => {
                (format!("feature {feature}"), format!("a feature below {features}"))
            }
            Node::Split { threshold, .. } if !threshold.is_finite() => {
                (format!("threshold {threshold}"), "a finite threshold".to_string())
            }
            Node::Split { right, .. } if !(i + 2..n).contains(&right) => {
                (format!("right child {right}"), format!("a node from {} to {}", i + 2, n - 1))
            }
            Node::Leaf { row } if row >= shares.nrows() => {
                (format!("shares {row}"), format!("one of {}", shares.nrows()))
            }
            _ => continue,
        };
        return Err((format!("node {i} of a tree"), found, expected));
    }
    for (i, row) in shares.rows().into_iter().enumerate() {
        let sum: f64 = row.iter().map(|&share| f64::from(share)).sum();
        let right = (sum - 1.0).abs() <= OFF && row.iter().all(|share| *share >= 0.0);
        if !right {
            let (found, expected) = (row.to_string(), "0 or more each, 1 in all".to_string());
            return Err((format!("shares {i} of a tree"), found, expected));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
