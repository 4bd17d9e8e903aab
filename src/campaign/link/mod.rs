//! Linking: which accounts are run by the same hands, as far as shared resources show it.
//!
//! Accounts and resources (cards, addresses, devices, phones) form a bipartite list of (account,
//! resource). [`graph`] joins accounts that share enough of them and takes connected components;
//! [`propagate`] splits loosely joined components. Both visit in a fixed order, so equal input gives
//! equal clusters everywhere. How many accounts an attacker puts on one resource is its trade-off:
//! fewer cost more, more fall together.

pub mod graph;
pub mod propagate;

/// Two accounts that were joined, the smaller number first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The smaller account number.
    pub a: u32,
    /// The larger one.
    pub b: u32,
    /// Sum of ln(accounts / degree) over the resources they share: rare ones count more, nats.
    pub weight: f64,
}

/// One cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cluster {
    /// Accounts in it, at least 1.
    pub size: u32,
    /// Joined pairs inside it.
    pub pairs: u64,
    /// Their mean weight; 0 without pairs.
    pub mean_weight: f64,
}

/// A partition of all accounts.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Cluster of each account.
    pub of: Vec<u32>,
    /// Clusters, numbered by their smallest account.
    pub list: Vec<Cluster>,
}

impl Clusters {
    /// Accounts with equal `labels` (below their number) are one cluster; `pairs` give the weights.
    fn new(labels: &[u32], pairs: &[Pair]) -> Self {
        const NONE: u32 = u32::MAX;
        let mut number = vec![NONE; labels.len()];
        let mut list: Vec<Cluster> = Vec::new();
        let mut of = Vec::with_capacity(labels.len());
        for label in labels {
            let number = &mut number[*label as usize];
            if *number == NONE {
                *number = list.len() as u32;
                list.push(Cluster::default());
            }
            list[*number as usize].size += 1;
            of.push(*number);
        }
        for pair in pairs.iter().filter(|p| of[p.a as usize] == of[p.b as usize]) {
            let cluster = &mut list[of[pair.a as usize] as usize];
            cluster.pairs += 1;
            cluster.mean_weight += (pair.weight - cluster.mean_weight) / cluster.pairs as f64;
        }
        Self { of, list }
    }
}
