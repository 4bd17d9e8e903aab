//! SynchroTrap: accounts that do the same things at the same times belong together.
//!
//! Cao et al. 2014 (CCS): the similarity of two accounts is the Jaccard index of their
//! (target, time bucket) tuples. For a model's API a target is a template hash, a topic cell or a
//! model. Two acts on either side of a bucket's edge do not match; buckets should be longer than the
//! jitter one means to catch. The threshold is the benign pairs' 99.99th percentile
//! ([`super::Threshold::above`] at 1e-4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::campaign::link::graph::root;
use crate::error::{Error, Result};
use crate::ledger::Tick;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Length of a time bucket, seconds, 1 to 604,800 (a week).
    #[serde(default = "hour")]
    #[schemars(range(min = 1, max = 604_800))]
    pub bucket_s: u64,
    /// Tuples remembered of an account, 1 to 1,000,000; the oldest go first.
    #[serde(default = "default_cap")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cap: usize,
}

const fn hour() -> u64 {
    3_600
}

const fn default_cap() -> usize {
    2_000
}

/// What makes two acts the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynchroTrap {
    bucket_us: u64,
    cap: usize,
}

/// One account's acts: distinct (bucket, target) in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acts {
    tuples: Vec<(u64, u32)>,
}

impl Params {
    /// Checks the ranges.
    pub fn build(&self) -> Result<SynchroTrap> {
        if !(1..=604_800).contains(&self.bucket_s) {
            return Err(Error::config(
                "bucket_s",
                self.bucket_s.to_string(),
                "1 to 604800 seconds",
            ));
        }
        if !(1..=1_000_000).contains(&self.cap) {
            return Err(Error::config("cap", self.cap.to_string(), "1 to 1000000"));
        }
        Ok(SynchroTrap { bucket_us: self.bucket_s * 1_000_000, cap: self.cap })
    }
}

impl SynchroTrap {
    /// Notes one act on `target` at `at`.
    pub fn observe(&self, acts: &mut Acts, target: u32, at: Tick) {
        let tuple = (at.0 / self.bucket_us, target);
        if let Err(place) = acts.tuples.binary_search(&tuple) {
            acts.tuples.insert(place, tuple);
            let over = acts.tuples.len().saturating_sub(self.cap);
            acts.tuples.drain(..over);
        }
    }
}

impl Acts {
    /// Number of distinct tuples.
    pub const fn len(&self) -> usize {
        self.tuples.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.tuples.is_empty()
    }

    /// All of them, ascending: bucket and target.
    pub fn tuples(&self) -> &[(u64, u32)] {
        &self.tuples
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.tuples.clear();
    }

    /// Jaccard index of two accounts' tuples: shared over all distinct ones; 0 where both are empty.
    pub fn jaccard(&self, other: &Self) -> f64 {
        let shared = self.shared(other);
        let all = self.tuples.len() + other.tuples.len() - shared;
        if all == 0 { 0.0 } else { shared as f64 / all as f64 }
    }

    fn shared(&self, other: &Self) -> usize {
        let (mut a, mut b) = (self.tuples.as_slice(), other.tuples.as_slice());
        let mut shared = 0;
        while let (Some((x, rest_a)), Some((y, rest_b))) = (a.split_first(), b.split_first()) {
            shared += usize::from(x == y);
            (a, b) = (if x <= y { rest_a } else { a }, if y <= x { rest_b } else { b });
        }
        shared
    }
}

/// For each of `accounts`, the highest similarity at which single linkage puts it into a group of `min_size` or
/// more; none if it never does. `pairs` are (account, account, similarity).
pub fn groups(pairs: &[(u32, u32, f64)], accounts: usize, min_size: usize) -> Vec<Option<f64>> {
    let mut order: Vec<&(u32, u32, f64)> = pairs.iter().collect();
    order.sort_by(|x, y| y.2.total_cmp(&x.2).then((x.0, x.1).cmp(&(y.0, y.1))));
    let mut parent: Vec<u32> = (0..accounts as u32).collect();
    let mut members: Vec<Vec<u32>> = (0..accounts as u32).map(|a| vec![a]).collect();
    let mut scores = vec![None; accounts];
    for &&(a, b, similarity) in &order {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        if a == b {
            continue;
        }
        parent[a.max(b) as usize] = a.min(b);
        let moved = std::mem::take(&mut members[a.max(b) as usize]);
        let group = &mut members[a.min(b) as usize];
        group.extend(moved);
        if group.len() >= min_size {
            for &account in &*group {
                scores[account as usize].get_or_insert(similarity);
            }
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(trap: &SynchroTrap, list: &[(u32, u64)]) -> Acts {
        let mut acts = Acts::default();
        for (target, minute) in list {
            trap.observe(&mut acts, *target, Tick(minute * 60_000_000));
        }
        acts
    }

    #[test]
    fn the_same_targets_in_the_same_hours_are_shared_over_all() {
        let trap = Params { bucket_s: 3_600, cap: 100 }.build().unwrap();
        let a = acts(&trap, &[(1, 5), (1, 50), (2, 70), (3, 130)]); // repeats in an hour count once
        let b = acts(&trap, &[(1, 20), (2, 119), (3, 190)]);
        assert_eq!(a.jaccard(&b), 2.0 / 4.0);
        assert_eq!(b.jaccard(&a), 2.0 / 4.0);
        assert_eq!(a.jaccard(&a), 1.0);
        assert_eq!(Acts::default().jaccard(&Acts::default()), 0.0);
    }

    #[test]
    fn the_order_of_notes_does_not_matter_and_the_oldest_are_forgotten() {
        let trap = Params { bucket_s: 60, cap: 2 }.build().unwrap();
        let (a, b) =
            (acts(&trap, &[(9, 0), (1, 3), (2, 5)]), acts(&trap, &[(2, 5), (9, 0), (1, 3)]));
        assert_eq!(a, b);
        assert_eq!(a.tuples, [(3, 1), (5, 2)]);
    }

    #[test]
    fn a_group_counts_from_its_least_size_at_the_weakest_link_that_made_it() {
        // A chain of strong pairs with a weak end, and a pair apart.
        let pairs = [(0, 1, 0.9), (1, 2, 0.8), (2, 3, 0.4), (4, 5, 1.0)];
        let of = |min_size| groups(&pairs, 6, min_size);
        assert_eq!(of(3), [Some(0.8), Some(0.8), Some(0.8), Some(0.4), None, None]);
        assert_eq!(of(2), [Some(0.9), Some(0.9), Some(0.8), Some(0.4), Some(1.0), Some(1.0)]);
        assert_eq!(of(5), [None; 6]);
    }

    #[test]
    fn settings_outside_their_ranges_are_refused() {
        assert!(Params { bucket_s: 0, cap: 1 }.build().is_err());
        assert!(Params { bucket_s: 1, cap: 0 }.build().is_err());
    }
}
