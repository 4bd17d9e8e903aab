//! Once a day: which accounts asked alike at the same times.

use super::cluster::all_accounts;
use super::detect::synchrotrap::{Acts, groups};
use super::engine::Engine;
use super::exchange::{Desk, alarm};
use crate::ledger::Tick;

/// Accounts that did less in a day say nothing about each other.
const LEAST_ACTS: usize = 5;
/// An act that more accounts share than this is no evidence, and would make pairs without end.
const MOST_SHARED: usize = 500;

impl Engine<'_> {
    /// Compares what accounts did since the last look.
    pub(super) fn look_at_synchrony(&mut self, now: Tick) {
        let rules = self.rules;
        let mut desk = Desk::new(rules, self.epoch);
        let mut accounts = all_accounts(&mut self.shards);
        for (place, watcher) in rules.watchers.iter().enumerate() {
            let Some(min_size) = watcher.synchrotrap() else { continue };
            let mut acts: Vec<(usize, Acts)> = Vec::new();
            for (i, account) in accounts.iter_mut().enumerate() {
                let Some(done) = account.watch[place].acts() else { continue };
                let done = std::mem::take(done);
                if done.len() >= LEAST_ACTS && !account.closed(now) {
                    acts.push((i, done));
                }
            }
            let scores = groups(&similar(&acts), acts.len(), min_size);
            for ((i, _), score) in acts.iter().zip(scores) {
                let account = &mut *accounts[*i];
                let Some(score) = score else { continue };
                if watcher.judge(&mut account.watch[place], score) {
                    alarm(rules, account, now, watcher.review_us, &mut desk);
                }
            }
        }
        self.take(now, desk);
    }
}

/// Pairs that share an act, with their similarity, in order.
fn similar(acts: &[(usize, Acts)]) -> Vec<(u32, u32, f64)> {
    let mut uses: Vec<((u64, u32), u32)> = (0..)
        .zip(acts)
        .flat_map(|(i, (_, acts))| acts.tuples().iter().map(move |tuple| (*tuple, i)))
        .collect();
    uses.sort_unstable();
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for of_one in uses.chunk_by(|x, y| x.0 == y.0).filter(|of_one| of_one.len() <= MOST_SHARED) {
        for (n, (_, a)) in of_one.iter().enumerate() {
            pairs.extend(of_one[n + 1..].iter().map(|(_, b)| (*a, *b)));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    let each = pairs.into_iter().map(|(a, b)| {
        let similarity = acts[a as usize].1.jaccard(&acts[b as usize].1);
        (a, b, similarity)
    });
    each.collect()
}
