//! Accounts that share a limit lie side by side, so that one thread meets all of them in time order.

use std::collections::BTreeMap;

use super::account::{Account, Place};
use super::engine::{Engine, Group};
use super::exchange::MOST_SCOPES;
use super::link::graph::root;
use super::rules::Rules;
use super::spec::ScopeKey;
use crate::ledger::{BucketState, Tick};

/// A limit's place in `limits.scope`, and who shares this level of it.
type Key = (usize, u64);

impl Engine<'_> {
    /// Groups accounts anew, by the resources that they use at `now`. Levels stay with their keys.
    pub(super) fn regroup(&mut self, now: Tick) {
        let rules = self.rules;
        let mut levels: BTreeMap<Key, BucketState> = BTreeMap::new();
        let mut accounts: Vec<Account> = Vec::new();
        for shard in &mut self.shards {
            accounts.append(&mut shard.singles);
            shard.idle_until.clear();
            for group in shard.groups.drain(..) {
                levels.extend(group.keys.into_iter().zip(group.shared));
                accounts.extend(group.accounts);
            }
        }
        accounts.sort_unstable_by_key(|a| a.id);
        let mut groups: BTreeMap<u32, Vec<Account>> = BTreeMap::new();
        for (root, account) in roots(rules, &accounts, now).into_iter().zip(accounts) {
            groups.entry(root).or_default().push(account);
        }
        let shards = self.shards.len();
        for (root, members) in groups {
            self.shards[root as usize % shards].groups.push(gather(rules, members, &levels, now));
        }
    }
}

/// For each account the place of the first account of its group.
fn roots(rules: &Rules, accounts: &[Account], now: Tick) -> Vec<u32> {
    let mut parent: Vec<u32> = (0..accounts.len() as u32).collect();
    let mut first: BTreeMap<Key, u32> = BTreeMap::new();
    for (i, account) in (0..).zip(accounts) {
        for key in keys(rules, account, now) {
            let other = *first.entry(key).or_insert(i);
            let (a, b) = (root(&mut parent, i), root(&mut parent, other));
            parent[a.max(b) as usize] = a.min(b);
        }
    }
    (0..accounts.len() as u32).map(|i| root(&mut parent, i)).collect()
}

/// A group with its levels; each member knows the places of its own.
fn gather(
    rules: &Rules,
    mut accounts: Vec<Account>,
    levels: &BTreeMap<Key, BucketState>,
    now: Tick,
) -> Group {
    let mut places: BTreeMap<Key, usize> = BTreeMap::new();
    for account in &mut accounts {
        let mut place: Place = [u32::MAX; MOST_SCOPES];
        for key in keys(rules, account, now) {
            let next = places.len();
            place[key.0] = *places.entry(key).or_insert(next) as u32;
        }
        account.place = place;
    }
    let mut keys: Vec<Key> = places.keys().copied().collect();
    keys.sort_unstable_by_key(|key| places[key]);
    let shared = keys.iter().map(|key| levels.get(key).copied().unwrap_or_default()).collect();
    Group { accounts, keys, shared }
}

/// Who an account shares limits with.
fn keys<'a>(rules: &'a Rules, account: &'a Account, now: Tick) -> impl Iterator<Item = Key> + 'a {
    rules.scopes.iter().enumerate().filter_map(move |(i, scope)| {
        let who = match scope.key {
            ScopeKey::Account | ScopeKey::Global => return None,
            ScopeKey::Ip => account.ip_at(now),
            ScopeKey::Card => account.shared.card,
            ScopeKey::Cluster => u64::from(account.shared.cluster),
        };
        Some((i, who))
    })
}
