//! Once a day: accounts are linked by what they share, and each cluster is shown to the detectors.

use std::collections::BTreeMap;

use super::account::Account;
use super::calendar::DAY;
use super::engine::{Engine, Shard};
use super::exchange::{Desk, alarm};
use super::link::graph::{self, root};
use super::link::propagate::propagate;
use super::rules::Rules;
use super::spec::LinkWith;
use super::watch::{Address, Log, Memory, Pooled, Watcher};
use crate::Seed;
use crate::error::Result;
use crate::ledger::Tick;

/// Rounds of label propagation at most; it settles in a few.
const SWEEPS: usize = 50;

/// What detectors remember of each cluster, by its lowest account: one that grows, or rests for a day,
/// keeps its memory.
#[derive(Default)]
pub struct Linked {
    memories: BTreeMap<u32, Vec<Memory>>,
}

impl Engine<'_> {
    /// Links the accounts that asked since the last look and judges their clusters.
    pub(super) fn look_at_clusters(&mut self, now: Tick) -> Result<()> {
        let rules = self.rules;
        let mut desk = Desk::new(rules, self.epoch);
        let mut accounts = all_accounts(&mut self.shards);
        let active: Vec<usize> = (0..accounts.len())
            .filter(|&i| accounts[i].seen.answered > accounts[i].seen.before[0])
            .filter(|&i| !accounts[i].closed(now))
            .collect();
        let clusters = remembered(link(rules, &accounts, &active, now)?, &accounts);
        for members in clusters {
            let lowest = accounts[members[0]].id;
            let memory = self.clusters.memories.entry(lowest);
            let memory =
                memory.or_insert_with(|| rules.pooled.iter().map(Watcher::memory).collect());
            let review = judge(rules, &accounts, &members, memory);
            for &i in &members {
                let account = &mut *accounts[i];
                account.shared.cluster = lowest;
                let seen = &mut account.seen;
                seen.before = [seen.answered, seen.alike, seen.elicited];
                if let Some(review_us) = review {
                    alarm(rules, account, now, review_us, &mut desk);
                }
            }
        }
        accounts.iter_mut().for_each(|account| account.log = None);
        self.take(now, desk);
        Ok(())
    }

    /// Highest scores of a cluster so far, detector by detector; none if it was never looked at.
    pub(super) fn peaks_of_cluster(&self, lowest: u32) -> Option<&[Memory]> {
        self.clusters.memories.get(&lowest).map(Vec::as_slice)
    }
}

/// All accounts, in order of their numbers.
pub(super) fn all_accounts(shards: &mut [Shard]) -> Vec<&mut Account> {
    let mut all: Vec<&mut Account> = shards
        .iter_mut()
        .flat_map(|s| s.singles.iter_mut().chain(s.groups.iter_mut().flat_map(|g| &mut g.accounts)))
        .collect();
    all.sort_unstable_by_key(|a| a.id);
    all
}

/// Places of linked accounts, cluster by cluster, lowest account first. An account alone is a cluster.
pub(super) fn link<A: std::ops::Deref<Target = Account>>(
    rules: &Rules,
    accounts: &[A],
    active: &[usize],
    now: Tick,
) -> Result<Vec<Vec<usize>>> {
    let mut uses: Vec<(u32, u64)> = Vec::with_capacity(active.len() * 4);
    for (place, &i) in active.iter().enumerate() {
        let account = &accounts[i];
        let r = &account.shared;
        let mut put = |resource| uses.push((place as u32, resource));
        put(r.card);
        put(r.device);
        // Addresses of the day that ends here.
        let turns = DAY.checked_div(r.rotation_us).unwrap_or(1).max(1);
        for turn in 0..turns {
            put(account.ip_at(Tick(now.0 - 1 - turn * r.rotation_us)));
        }
    }
    let mut names: Vec<u64> = uses.iter().map(|u| u.1).collect();
    names.sort_unstable();
    names.dedup();
    let number = |name: &u64| names.binary_search(name).unwrap_or_default() as u32;
    let mut numbered: Vec<(u32, u32)> = uses.iter().map(|(a, r)| (*a, number(r))).collect();
    numbered.sort_unstable();
    numbered.dedup();
    let min_shared = rules.link_by;
    let linker = graph::Params { min_shared, min_weight: 0.0, max_degree: 200 }.build()?;
    let joined = linker.join(active.len() as u32, &numbered)?;
    let found = match rules.link_with {
        LinkWith::Components => joined.components(),
        LinkWith::Propagation => propagate(&joined, SWEEPS, Seed::new(now.0).child("communities")),
    };
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); found.list.len()];
    for (place, &i) in active.iter().enumerate() {
        members[found.of[place] as usize].push(i);
    }
    Ok(members)
}

/// Clusters joined where any of their accounts were in one cluster before: what was once seen together stays
/// together, however addresses move on.
fn remembered(clusters: Vec<Vec<usize>>, accounts: &[&mut Account]) -> Vec<Vec<usize>> {
    let mut parent: Vec<u32> = (0..clusters.len() as u32).collect();
    let mut first: BTreeMap<u32, u32> = BTreeMap::new();
    for (c, members) in (0..).zip(&clusters) {
        for &i in members {
            let other = *first.entry(accounts[i].shared.cluster).or_insert(c);
            let (a, b) = (root(&mut parent, c), root(&mut parent, other));
            parent[a.max(b) as usize] = a.min(b);
        }
    }
    let mut joined: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (c, members) in (0..).zip(clusters) {
        joined.entry(root(&mut parent, c)).or_default().extend(members);
    }
    let mut clusters: Vec<Vec<usize>> = joined.into_values().collect();
    clusters.iter_mut().for_each(|members| members.sort_unstable());
    clusters
}

/// Whether a cluster is alarming, and how long its review takes.
fn judge(
    rules: &Rules,
    accounts: &[&mut Account],
    members: &[usize],
    memory: &mut [Memory],
) -> Option<u64> {
    let mut sums = [0; 3];
    for &i in members {
        let seen = &accounts[i].seen;
        let now = [seen.answered, seen.alike, seen.elicited];
        sums.iter_mut().zip(now).zip(seen.before).for_each(|((s, now), before)| *s += now - before);
    }
    let lowest = accounts[members[0]].id;
    let log = Log::merged(members.iter().filter_map(|&i| accounts[i].log.as_deref()));
    let seen = Pooled { sums, accounts: members.len() as u64, log: &log };
    let alarms =
        rules.pooled.iter().zip(memory).enumerate().filter_map(|(j, (watcher, memory))| {
            let address =
                Address { draws: &rules.draws, who: lowest, place: rules.watchers.len() + j };
            watcher.observe_pooled(memory, &seen, address).then_some(watcher.review_us)
        });
    alarms.min()
}
