//! Many accounts on one virtual clock.
//!
//! Accounts meet only at barriers, one an epoch: in between each runs through its own events, however
//! many cores there are (conservative synchronisation; reactions that need others are late by at most
//! an epoch). Accounts that share a limit within an epoch form a group, merged in time order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::account::{Account, NEVER};
use super::barrier::Camp;
use super::cluster::Linked;
use super::demand;
use super::exchange::{Closing, Desk, MOST_SCOPES, step};
use super::population;
use super::rules::Rules;
use super::tally::Days;
use crate::error::Result;
use crate::ledger::{BucketState, Tick};

/// Parts of the population. More than there are cores, so that none waits long.
const SHARDS: usize = 64;

/// A part of the population.
#[derive(Default)]
pub struct Shard {
    pub singles: Vec<Account>,
    /// For each of them a time before which it has nothing to do: a short list is read faster.
    pub idle_until: Vec<Tick>,
    pub groups: Vec<Group>,
}

/// Accounts that share limits, and the levels of these.
pub struct Group {
    pub accounts: Vec<Account>,
    /// Who shares each level.
    pub keys: Vec<(usize, u64)>,
    pub shared: Vec<BucketState>,
}

/// A campaign under way.
pub struct Engine<'a> {
    pub(super) rules: &'a Rules,
    pub(super) shards: Vec<Shard>,
    pub(super) days: Days,
    pub(super) camps: Vec<Camp>,
    /// Closings to come, first due last.
    pub(super) closings: Vec<Closing>,
    pub(super) next_id: u32,
    pub(super) epoch: u32,
    /// What limits shared by all counted in the epoch before, and the share that they let through.
    pub(super) asked: [u64; MOST_SCOPES],
    pub(super) admitted: u64,
    /// Accounts of each actor that wait for a limit beyond the epoch.
    pub(super) stuck: Vec<u32>,
    pub(super) clusters: Linked,
}

/// How epochs are run. Both ways give the same state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Account by account, on so many threads.
    Accounts { threads: usize },
    /// Event by event from one heap: slow, plain, and the reference for the other.
    Heap,
}

impl<'a> Engine<'a> {
    /// Everyone who is there at the start.
    pub fn new(rules: &'a Rules) -> Self {
        let days = (rules.end / super::calendar::DAY) as usize;
        let mut engine = Self {
            rules,
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            days: Days::new(days, rules.actors.len() + 1),
            camps: rules.actors.iter().map(Camp::new).collect(),
            closings: Vec::new(),
            next_id: 0,
            epoch: 0,
            asked: [0; MOST_SCOPES],
            admitted: 1 << 32,
            stuck: vec![0; rules.actors.len()],
            clusters: Linked::default(),
        };
        for id in 0..rules.honest.spec.accounts {
            engine.admit(population::person(rules, id));
        }
        engine.next_id = rules.honest.spec.accounts;
        for (i, actor) in rules.actors.iter().enumerate() {
            for _ in 0..actor.spec.accounts {
                engine.open(i, Tick(actor.start_us));
            }
        }
        engine
    }

    pub(super) fn admit(&mut self, account: Account) {
        let shard = &mut self.shards[account.id as usize % SHARDS];
        shard.singles.push(account);
        shard.idle_until.push(Tick::ZERO);
    }

    /// Runs to the end.
    pub fn run(&mut self, way: Way) -> Result<()> {
        while !self.done() {
            self.advance(way)?;
        }
        Ok(())
    }

    /// Whether the end is reached.
    pub fn done(&self) -> bool {
        self.now() >= self.rules.end
    }

    /// Runs one epoch.
    pub fn advance(&mut self, way: Way) -> Result<()> {
        let rates = self.meet()?;
        let rules = self.rules;
        let (admitted, epoch) = (self.admitted, self.epoch);
        let desk = || Desk { admitted, rates: rates.clone(), ..Desk::new(rules, epoch) };
        let desks = match way {
            Way::Heap => vec![run_heap(rules, &mut self.shards, desk())],
            Way::Accounts { threads } => run_shards(rules, &mut self.shards, threads, desk),
        };
        self.asked.fill(0);
        self.stuck.fill(0);
        let now = Tick(self.now());
        for desk in desks {
            self.asked.iter_mut().zip(desk.asked).for_each(|(sum, asked)| *sum += asked);
            self.stuck.iter_mut().zip(&desk.stuck).for_each(|(a, b)| *a += b);
            self.take(now, desk);
        }
        self.epoch += 1;
        Ok(())
    }

    /// Adds what a desk holds to the books of the day at `now`.
    pub(super) fn take(&mut self, now: Tick, desk: Desk) {
        for (party, sums) in desk.sums.iter().enumerate() {
            self.days.of(now, party).add(sums);
        }
        for closing in &desk.closings {
            if closing.at.0 < self.rules.end {
                self.days.of(closing.at, usize::from(closing.party)).closed += 1;
            }
        }
        for &at in desk.reopenings.iter().filter(|at| at.0 < self.rules.end) {
            self.days.of(at, 0).reopened += 1;
        }
        self.closings.extend(desk.closings);
        self.closings.sort_unstable_by_key(|c| Reverse(*c));
    }

    /// Virtual time of the next barrier, microseconds.
    pub fn now(&self) -> u64 {
        u64::from(self.epoch) * self.rules.epoch_us
    }

    /// All accounts, in no order that means anything.
    pub(super) fn every_account(&self) -> impl Iterator<Item = &Account> {
        self.shards
            .iter()
            .flat_map(|s| s.singles.iter().chain(s.groups.iter().flat_map(|g| &g.accounts)))
    }

    /// All accounts, in order of their numbers.
    pub fn accounts(&self) -> Vec<&Account> {
        let mut all: Vec<&Account> = self.every_account().collect();
        all.sort_unstable_by_key(|a| a.id);
        all
    }

    /// Sums by day and party.
    pub fn days(&self) -> &Days {
        &self.days
    }

    /// What became of each actor's plan.
    pub fn camps(&self) -> &[Camp] {
        &self.camps
    }

    /// A hash over all accounts and sums: equal states have equal hashes. 16 hex digits.
    pub fn state_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for account in self.accounts() {
            account.hash_into(&mut hasher);
        }
        self.days.hash_into(&mut hasher);
        hasher.finalize().to_hex()[..16].to_string()
    }
}

fn run_shards(
    rules: &Rules,
    shards: &mut [Shard],
    threads: usize,
    desk: impl Fn() -> Desk + Sync,
) -> Vec<Desk> {
    if threads <= 1 {
        let mut desk = desk();
        shards.iter_mut().for_each(|shard| run_shard(rules, shard, &mut desk));
        return vec![desk];
    }
    let each = shards.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let work: Vec<_> = shards
            .chunks_mut(each)
            .map(|part| {
                let desk = &desk;
                scope.spawn(move || {
                    let mut desk = desk();
                    part.iter_mut().for_each(|shard| run_shard(rules, shard, &mut desk));
                    desk
                })
            })
            .collect();
        let done = work.into_iter().map(|thread| match thread.join() {
            Ok(desk) => desk,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.collect()
    })
}

fn run_shard(rules: &Rules, shard: &mut Shard, desk: &mut Desk) {
    let barrier = barrier(rules, desk.epoch);
    for (account, idle_until) in shard.singles.iter_mut().zip(&mut shard.idle_until) {
        if *idle_until >= barrier {
            continue;
        }
        rouse(rules, account, desk);
        while account.next < barrier {
            step(rules, account, &mut [], desk);
        }
        note_stuck(rules, account, desk);
        if account.party == 0 {
            *idle_until = account.next;
        }
    }
    for group in &mut shard.groups {
        run_group(rules, group, desk);
    }
}

/// Accounts of a group in the order of time, ties by number.
fn run_group(rules: &Rules, group: &mut Group, desk: &mut Desk) {
    let barrier = barrier(rules, desk.epoch);
    let Group { accounts, shared, .. } = group;
    accounts.iter_mut().for_each(|a| rouse(rules, a, desk));
    let due = |(i, a): (usize, &Account)| (a.next < barrier).then_some(Reverse((a.next, a.id, i)));
    let mut heap: BinaryHeap<_> = accounts.iter().enumerate().filter_map(due).collect();
    while let Some(Reverse((_, id, i))) = heap.pop() {
        let account = &mut accounts[i];
        step(rules, account, shared, desk);
        if account.next < barrier {
            heap.push(Reverse((account.next, id, i)));
        }
    }
    accounts.iter().for_each(|a| note_stuck(rules, a, desk));
}

/// The plain way: one heap for everybody.
fn run_heap(rules: &Rules, shards: &mut [Shard], mut desk: Desk) -> Desk {
    let barrier = barrier(rules, desk.epoch);
    let mut levels: Vec<&mut Vec<BucketState>> = Vec::new();
    let mut accounts: Vec<(&mut Account, Option<usize>)> = Vec::new();
    for shard in shards {
        accounts.extend(shard.singles.iter_mut().map(|a| (a, None)));
        for Group { accounts: members, shared, .. } in &mut shard.groups {
            accounts.extend(members.iter_mut().map(|a| (a, Some(levels.len()))));
            levels.push(shared);
        }
    }
    let mut heap = BinaryHeap::new();
    for (i, (account, _)) in accounts.iter_mut().enumerate() {
        rouse(rules, account, &desk);
        heap.push(Reverse((account.next, account.id, i)));
    }
    while let Some(Reverse((at, id, i))) = heap.pop() {
        if at >= barrier {
            break;
        }
        let (account, group) = &mut accounts[i];
        match group {
            None => step(rules, account, &mut [], &mut desk),
            Some(group) => step(rules, account, levels[*group], &mut desk),
        }
        heap.push(Reverse((account.next, id, i)));
    }
    for (account, _) in &accounts {
        note_stuck(rules, account, &mut desk);
    }
    desk
}

fn barrier(rules: &Rules, epoch: u32) -> Tick {
    Tick((u64::from(epoch) + 1) * rules.epoch_us)
}

/// An actor's account without an event learns the epoch's rate.
fn rouse(rules: &Rules, account: &mut Account, desk: &Desk) {
    let start = Tick(u64::from(desk.epoch) * rules.epoch_us);
    if account.party > 0 && account.next == NEVER && !account.closed(start) {
        demand::wake(rules, account, start, desk);
    }
}

/// An open account of an actor that waits for longer than the next epoch is no help to it.
fn note_stuck(rules: &Rules, account: &Account, desk: &mut Desk) {
    let later = barrier(rules, desk.epoch + 1);
    let waits = account.next >= later && account.next < NEVER;
    if account.party > 0 && waits && !account.closed(barrier(rules, desk.epoch)) {
        desk.stuck[usize::from(account.party) - 1] += 1;
    }
}
