//! Label propagation: splits components that hang together by few or light pairs.
//!
//! Raghavan, Albert and Kumara 2007 (Physical Review E 76, 036106), asynchronous, with
//! weights: accounts in a seeded order take the label with the largest weight among their neighbours,
//! until none changes.

use super::graph::Joined;
use super::{Clusters, Pair};
use crate::seed::{Seed, shuffle};

/// Clusters of the graph after at most `sweeps` rounds. A tie keeps the account's label where it is
/// among the best, else takes the smallest.
pub fn propagate(joined: &Joined, sweeps: usize, seed: Seed) -> Clusters {
    let neighbours = Neighbours::new(joined.accounts, &joined.pairs);
    let mut label: Vec<u32> = (0..joined.accounts).collect();
    let mut order: Vec<u32> = (0..joined.accounts).filter(|a| neighbours.any(*a)).collect();
    let mut rng = seed.rng();
    let mut votes = Vec::new();
    for _ in 0..sweeps {
        shuffle(&mut rng, &mut order);
        let mut changed = false;
        for account in &order {
            let best = neighbours.vote(*account, &label, &mut votes);
            changed |= best != label[*account as usize];
            label[*account as usize] = best;
        }
        if !changed {
            break;
        }
    }
    Clusters::new(&label, &joined.pairs)
}

/// Neighbours of each account, ascending.
struct Neighbours {
    starts: Vec<usize>,
    list: Vec<(u32, f64)>,
}

impl Neighbours {
    fn new(accounts: u32, pairs: &[Pair]) -> Self {
        let both = pairs.iter().flat_map(|p| [(p.a, p.b, p.weight), (p.b, p.a, p.weight)]);
        let mut ends: Vec<(u32, u32, f64)> = both.collect();
        ends.sort_unstable_by_key(|e| (e.0, e.1));
        let starts = (0..=accounts).map(|a| ends.partition_point(|e| e.0 < a)).collect();
        Self { starts, list: ends.into_iter().map(|e| (e.1, e.2)).collect() }
    }

    fn of(&self, account: u32) -> &[(u32, f64)] {
        &self.list[self.starts[account as usize]..self.starts[account as usize + 1]]
    }

    fn any(&self, account: u32) -> bool {
        !self.of(account).is_empty()
    }

    /// The label with the most weight around an account that has neighbours.
    fn vote(&self, account: u32, label: &[u32], votes: &mut Vec<(u32, f64)>) -> u32 {
        votes.clear();
        votes.extend(self.of(account).iter().map(|(b, w)| (label[*b as usize], *w)));
        votes.sort_by_key(|v| v.0); // stable: weights are summed in the order of accounts
        let own = label[account as usize];
        let (mut best, mut most) = (own, f64::NEG_INFINITY);
        for alike in votes.chunk_by(|x, y| x.0 == y.0) {
            let weight: f64 = alike.iter().map(|v| v.1).sum();
            if weight > most || (weight == most && alike[0].0 == own) {
                (best, most) = (alike[0].0, weight);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(accounts: u32, pairs: &[(u32, u32, f64)]) -> Joined {
        let pairs = pairs.iter().map(|&(a, b, weight)| Pair { a, b, weight }).collect();
        Joined { accounts, pairs, left_out: 0 }
    }

    /// Two cliques of five with a bridge, and one account alone.
    fn dumbbell(bridge: f64) -> Joined {
        let clique = |from: u32| {
            (from..from + 5).flat_map(move |a| (a + 1..from + 5).map(move |b| (a, b, 1.0)))
        };
        let mut pairs: Vec<_> = clique(0).chain(clique(5)).chain([(4, 5, bridge)]).collect();
        pairs.sort_by_key(|p| (p.0, p.1));
        joined(11, &pairs)
    }

    #[test]
    fn two_farms_with_a_light_bridge_are_one_component_and_two_communities() {
        let graph = dumbbell(0.5);
        assert_eq!(graph.components().list.len(), 2);
        for seed in 0..20 {
            let clusters = propagate(&graph, 50, Seed::new(seed));
            assert_eq!(clusters.of, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2], "seed {seed}");
            assert_eq!((clusters.list[1].size, clusters.list[1].pairs), (5, 10));
            assert_eq!(clusters.list[2].size, 1);
        }
    }

    #[test]
    fn a_seed_gives_the_same_clusters_again_and_none_crosses_a_component() {
        let pairs: Vec<_> = (0..59).map(|a| (a, a + 1, 1.0)).filter(|p| p.0 % 20 != 19).collect();
        let graph = joined(60, &pairs);
        let clusters = propagate(&graph, 10, Seed::new(3));
        assert_eq!(clusters, propagate(&graph, 10, Seed::new(3)));
        let parts = graph.components();
        for (a, b) in (0..60).flat_map(|a| (0..60).map(move |b| (a, b))) {
            assert!(clusters.of[a] != clusters.of[b] || parts.of[a] == parts.of[b]);
        }
    }

    #[test]
    fn without_sweeps_every_account_is_alone() {
        assert_eq!(propagate(&dumbbell(1.0), 0, Seed::new(1)).list.len(), 11);
    }
}
