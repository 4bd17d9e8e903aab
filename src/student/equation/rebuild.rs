//! From leaves to a tree that answers any row. Leaves of a tree always have a cut that divides none of them, the root's
//! own, and so have the parts on both sides of it: such cuts, one after another, make a tree with the same answers.
//!
//! Where leaves answer alike, those found may overlap or leave gaps. Then the smallest leaf that holds a row answers it, for
//! alike answers make leaves too large. A cut divides as few leaves as it can; when too many have been divided, the smallest
//! leaf of a part answers all of it, as it does where there is no leaf.

use super::tree::{Leaf, Span};
use crate::model::tree::Node;

/// Parts that leaves may be divided into, for each of them.
const PARTS: usize = 8;

/// A tree over the leaves, one or more, whose own leaves name these by number. `ranges` `[d]` are those of the features,
/// and bounds of leaves are known to within `slack`. Only numbers are cut.
pub fn rebuild<A: PartialEq>(leaves: &[Leaf<A>], ranges: &[(f64, f64)], slack: f64) -> Vec<Node> {
    let mut by_size: Vec<(f64, usize)> =
        leaves.iter().map(|leaf| size(leaf, ranges)).zip(0..).collect();
    by_size.sort_by(|a, b| a.0.total_cmp(&b.0));
    let group: Vec<usize> = by_size.into_iter().map(|(_, i)| i).collect();
    let everywhere = vec![(f64::NEG_INFINITY, f64::INFINITY); ranges.len()];
    let mut spare = PARTS * leaves.len();
    let (mut nodes, mut open) =
        (Vec::new(), vec![Part { group, region: everywhere, parent: None }]);
    while let Some(Part { group, region, parent }) = open.pop() {
        let at = nodes.len();
        if let Some(Node::Split { right, .. }) =
            parent.and_then(|parent: usize| nodes.get_mut(parent))
        {
            *right = at;
        }
        let cut = best(leaves, &group, &region, slack).filter(|cut| cut.divided <= spare);
        let Some(Cut { feature, threshold, divided, .. }) = cut else {
            nodes.push(Node::Leaf { row: group[0] });
            continue;
        };
        spare -= divided;
        nodes.push(Node::Split { feature, threshold: threshold as f32, right: 0 });
        let side = |is_in: &dyn Fn((f64, f64)) -> bool| {
            let there = |&&i: &&usize| bounds(&leaves[i].spans[feature]).is_none_or(is_in);
            group.iter().filter(there).copied().collect::<Vec<usize>>()
        };
        let mut right = Part {
            group: side(&|(_, to)| to > threshold + slack),
            region: region.clone(),
            parent: Some(at),
        };
        right.region[feature].0 = threshold;
        let mut left =
            Part { group: side(&|(above, _)| above < threshold - slack), region, parent: None };
        left.region[feature].1 = threshold;
        open.push(right);
        open.push(left); // the next node
    }
    nodes
}

/// A part of the space, the leaves in it, the smallest first, and the split whose right side it is.
struct Part {
    group: Vec<usize>,
    /// `[d]` above, up to.
    region: Vec<(f64, f64)>,
    parent: Option<usize>,
}

/// A place to part leaves at.
struct Cut {
    /// Leaves that lie on both sides.
    divided: usize,
    /// How uneven the sides are.
    uneven: usize,
    feature: usize,
    threshold: f64,
}

const fn bounds(span: &Span) -> Option<(f64, f64)> {
    match span {
        Span::Numbers { above, to } => Some((*above, *to)),
        Span::Categories(_) => None,
    }
}

/// Logarithm of the share of the space that a leaf takes.
fn size<A>(leaf: &Leaf<A>, ranges: &[(f64, f64)]) -> f64 {
    let share = |(span, &(low, high)): (&Span, &(f64, f64))| {
        bounds(span).map_or(1.0, |(above, to)| (to.min(high) - above.max(low)) / (high - low))
    };
    leaf.spans.iter().zip(ranges).map(share).map(libm::log).sum()
}

/// The best cut of a part; none if all leaves answer alike, the smallest takes all of it, or no cut leaves a leaf on both
/// sides.
fn best<A: PartialEq>(
    leaves: &[Leaf<A>],
    group: &[usize],
    region: &[(f64, f64)],
    slack: f64,
) -> Option<Cut> {
    let first = &leaves[*group.first()?];
    let covers = |(span, &(low, high)): (&Span, &(f64, f64))| {
        bounds(span).is_none_or(|(above, to)| above <= low + slack && to >= high - slack)
    };
    let alike = group.iter().all(|&i| leaves[i].answer == first.answer);
    if alike || first.spans.iter().zip(region).all(covers) {
        return None;
    }
    let along = |feature| best_along(leaves, group, feature, region[feature], slack);
    // The first of the best: the lowest feature.
    (0..region.len()).filter_map(along).min_by_key(|cut| (cut.divided, cut.uneven))
}

fn best_along<A>(
    leaves: &[Leaf<A>],
    group: &[usize],
    feature: usize,
    (low, high): (f64, f64),
    slack: f64,
) -> Option<Cut> {
    let all = || group.iter().filter_map(|&i| bounds(&leaves[i].spans[feature]));
    let sorted = |mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        of
    };
    let lows = sorted(all().map(|(above, _)| above).collect());
    let highs = sorted(all().map(|(_, to)| to).collect());
    let inside = |x: &f64| low + slack < *x && *x < high - slack;
    let mut cuts = sorted(lows.iter().chain(&highs).copied().filter(inside).collect());
    cuts.dedup();
    let cut = |threshold: f64| {
        let left = lows.partition_point(|above| *above < threshold - slack);
        let right = highs.len() - highs.partition_point(|to| *to <= threshold + slack);
        let divided = (left + right).saturating_sub(lows.len());
        let uneven = left.abs_diff(right);
        (left > 0 && right > 0).then_some(Cut { divided, uneven, feature, threshold })
    };
    cuts.into_iter().filter_map(cut).min_by_key(|cut| (cut.divided, cut.uneven))
}
