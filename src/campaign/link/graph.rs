//! Accounts that share enough resources are joined; connected components are clusters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Clusters, Pair};
use crate::error::{Error, Result};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Resources that two accounts must share, at least 1.
    #[serde(default = "two")]
    #[schemars(range(min = 1))]
    pub min_shared: u32,
    /// Weight that they must reach, the sum of ln(accounts / degree) over shared resources, nats. It
    /// keeps a popular address from joining strangers.
    #[serde(default)]
    pub min_weight: f64,
    /// Accounts on one resource beyond which it is left out, 2 to 10,000. It bounds the work to half
    /// of it per listed (account, resource).
    #[serde(default = "fifty")]
    #[schemars(range(min = 2, max = 10_000))]
    pub max_degree: u32,
}

const fn two() -> u32 {
    2
}

const fn fifty() -> u32 {
    50
}

/// The rule by which accounts are joined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linker {
    min_shared: u32,
    min_weight: f64,
    max_degree: u32,
}

/// The graph of joined accounts.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// Number of accounts.
    pub accounts: u32,
    /// Joined pairs, ascending.
    pub pairs: Vec<Pair>,
    /// Resources left out because too many accounts use them.
    pub left_out: u64,
}

impl Params {
    /// Checks the ranges.
    pub fn build(&self) -> Result<Linker> {
        let Self { min_shared, min_weight, max_degree } = *self;
        if min_shared == 0 {
            return Err(Error::config("min_shared", "0", "1 or more"));
        }
        if !min_weight.is_finite() {
            return Err(Error::config("min_weight", min_weight.to_string(), "a number"));
        }
        if !(2..=10_000).contains(&max_degree) {
            return Err(Error::config("max_degree", max_degree.to_string(), "2 to 10000 accounts"));
        }
        Ok(Linker { min_shared, min_weight, max_degree })
    }
}

impl Linker {
    /// Joins `accounts` accounts by `uses`, (account, resource) in ascending order without repeats.
    pub fn join(&self, accounts: u32, uses: &[(u32, u32)]) -> Result<Joined> {
        check(accounts, uses)?;
        let table = Table::new(accounts, uses, self.max_degree);
        let n = accounts as usize;
        let (mut shared, mut weight, mut met) = (vec![0_u32; n], vec![0.0; n], Vec::new());
        let mut pairs = Vec::new();
        for of_one in uses.chunk_by(|x, y| x.0 == y.0) {
            let a = of_one[0].0;
            for (_, resource) in of_one {
                let (users, w) = table.users(*resource);
                for b in &users[users.partition_point(|u| *u <= a)..] {
                    if shared[*b as usize] == 0 {
                        met.push(*b);
                    }
                    shared[*b as usize] += 1;
                    weight[*b as usize] += w;
                }
            }
            met.sort_unstable();
            for b in met.drain(..) {
                let count = std::mem::take(&mut shared[b as usize]);
                let weight = std::mem::take(&mut weight[b as usize]);
                if count >= self.min_shared && weight >= self.min_weight {
                    pairs.push(Pair { a, b, weight });
                }
            }
        }
        Ok(Joined { accounts, pairs, left_out: table.left_out })
    }
}

fn check(accounts: u32, uses: &[(u32, u32)]) -> Result<()> {
    let wrong = |found: (u32, u32), expected: &str| {
        let found = format!("account {} with resource {}", found.0, found.1);
        Err(Error::Input { what: "uses".into(), found, expected: expected.into() })
    };
    if let Some(bad) = uses.windows(2).find(|w| w[0] >= w[1]) {
        return wrong(bad[1], "ascending order without repeats");
    }
    match uses.last() {
        Some(last) if last.0 >= accounts => wrong(*last, "an account below their number"),
        _ => Ok(()),
    }
}

/// Accounts by resource, each ascending.
struct Table {
    /// Where each resource's accounts begin; those left out have none.
    starts: Vec<usize>,
    users: Vec<u32>,
    /// ln(accounts / degree) of each resource.
    weights: Vec<f64>,
    /// The number of each resource, ascending.
    names: Vec<u32>,
    left_out: u64,
}

impl Table {
    fn new(accounts: u32, uses: &[(u32, u32)], max_degree: u32) -> Self {
        let mut turned: Vec<(u32, u32)> = uses.iter().map(|(a, r)| (*r, *a)).collect();
        turned.sort_unstable();
        let mut table = Self {
            starts: vec![0],
            users: Vec::with_capacity(turned.len()),
            weights: Vec::new(),
            names: Vec::new(),
            left_out: 0,
        };
        for of_one in turned.chunk_by(|x, y| x.0 == y.0) {
            let popular = of_one.len() > max_degree as usize;
            table.left_out += u64::from(popular);
            if of_one.len() < 2 || popular {
                continue;
            }
            table.names.push(of_one[0].0);
            table.users.extend(of_one.iter().map(|u| u.1));
            table.starts.push(table.users.len());
            table.weights.push(libm::log(f64::from(accounts) / of_one.len() as f64));
        }
        table
    }

    fn users(&self, resource: u32) -> (&[u32], f64) {
        match self.names.binary_search(&resource) {
            Ok(i) => (&self.users[self.starts[i]..self.starts[i + 1]], self.weights[i]),
            Err(_) => (&[], 0.0),
        }
    }
}

impl Joined {
    /// Connected components.
    pub fn components(&self) -> Clusters {
        let mut parent: Vec<u32> = (0..self.accounts).collect();
        for pair in &self.pairs {
            let (x, y) = (root(&mut parent, pair.a), root(&mut parent, pair.b));
            parent[x.max(y) as usize] = x.min(y); // the root is the smallest account
        }
        let roots: Vec<u32> = (0..self.accounts).map(|a| root(&mut parent, a)).collect();
        Clusters::new(&roots, &self.pairs)
    }
}

/// The root of an account, with paths halved on the way (Tarjan and van Leeuwen 1984).
pub(in crate::campaign) fn root(parent: &mut [u32], account: u32) -> u32 {
    let mut at = account as usize;
    while parent[at] as usize != at {
        parent[at] = parent[parent[at] as usize];
        at = parent[at] as usize;
    }
    at as u32
}

#[cfg(test)]
mod tests;
