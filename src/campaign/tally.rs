//! Sums of what happened, in whole numbers: they do not depend on who added first.

use serde::{Deserialize, Serialize};

use super::calendar::DAY;
use crate::ledger::Tick;

/// Why a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Requests a minute.
    Requests,
    /// Input tokens a minute.
    InputTokens,
    /// Output tokens a minute.
    OutputTokens,
    /// Requests a day.
    Daily,
    /// Dollars a month.
    MonthlyCap,
    /// Dollars in ten minutes.
    Spend,
    /// Requests in flight.
    Concurrency,
    /// A limit of the account beside its tier, or one shared with others.
    Shared,
    /// A limit shared by all.
    Global,
    /// The account is closed.
    Closed,
}

/// Number of reasons.
pub const REFUSALS: usize = 10;

impl Refusal {
    /// All of them, in order.
    pub const ALL: [Self; REFUSALS] = [
        Self::Requests,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Daily,
        Self::MonthlyCap,
        Self::Spend,
        Self::Concurrency,
        Self::Shared,
        Self::Global,
        Self::Closed,
    ];
}

/// Waits by the power of two of their microseconds.
pub const WAITS: usize = 48;

/// What one party met on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that were wanted, each counted once however often it was tried.
    pub wanted: u64,
    /// Requests answered.
    pub answered: u64,
    /// Answers that belong to a campaign; the rest of an actor's are cover.
    pub attack: u64,
    /// Of those, not changed by a defense and not a repeat.
    pub useful: u64,
    /// Useful ones by capability area.
    pub areas: Vec<u64>,
    /// Answers changed by a defense.
    pub perturbed: u64,
    /// Tokens of useful exchanges, input and output.
    pub useful_tokens: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// List price of the answers, billionths of a dollar.
    pub spend: u64,
    /// Requests given up, by reason.
    pub refused: [u64; REFUSALS],
    /// Tries that a limit sent back to wait.
    pub throttled: u64,
    /// Waits of answered requests: their sum in microseconds, and how many by size.
    pub waited_us: u64,
    pub waits: Vec<u64>,
    /// Hashes asked for.
    pub hashes: u64,
    /// First alarms on its accounts.
    pub alarms: u64,
    /// Accounts closed.
    pub closed: u64,
    /// Accounts opened again after an appeal.
    pub reopened: u64,
    /// Accounts opened.
    pub opened: u64,
    /// Step-up checks that its accounts were asked for.
    pub checks: u64,
}

impl Tally {
    /// Counts a wait.
    pub fn wait(&mut self, us: u64) {
        self.waited_us += us;
        if us > 0 {
            if self.waits.is_empty() {
                self.waits.resize(WAITS, 0);
            }
            self.waits[((64 - us.leading_zeros()) as usize).min(WAITS - 1)] += 1;
        }
    }

    /// Counts a useful exchange of an area.
    pub fn useful(&mut self, area: usize, tokens: u64) {
        if self.areas.len() <= area {
            self.areas.resize(area + 1, 0);
        }
        self.areas[area] += 1;
        self.useful += 1;
        self.useful_tokens += tokens;
    }

    /// Adds another's sums.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.wanted, other.wanted),
            (&mut self.answered, other.answered),
            (&mut self.attack, other.attack),
            (&mut self.useful, other.useful),
            (&mut self.perturbed, other.perturbed),
            (&mut self.useful_tokens, other.useful_tokens),
            (&mut self.tokens_in, other.tokens_in),
            (&mut self.tokens_out, other.tokens_out),
            (&mut self.spend, other.spend),
            (&mut self.throttled, other.throttled),
            (&mut self.waited_us, other.waited_us),
            (&mut self.hashes, other.hashes),
            (&mut self.alarms, other.alarms),
            (&mut self.closed, other.closed),
            (&mut self.reopened, other.reopened),
            (&mut self.opened, other.opened),
            (&mut self.checks, other.checks),
        ];
        for (mine, theirs) in pairs {
            *mine += theirs;
        }
        add_all(&mut self.areas, &other.areas);
        add_all(&mut self.waits, &other.waits);
        self.refused.iter_mut().zip(&other.refused).for_each(|(a, b)| *a += b);
    }

    /// Requests given up.
    pub fn lost(&self) -> u64 {
        self.refused.iter().sum()
    }
}

fn add_all(mine: &mut Vec<u64>, theirs: &[u64]) {
    if mine.len() < theirs.len() {
        mine.resize(theirs.len(), 0);
    }
    mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
}

/// Tallies by day and party: honest people are party 0, actor i is party i + 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Days {
    parties: usize,
    cells: Vec<Tally>,
}

impl Days {
    /// All zero.
    pub fn new(days: usize, parties: usize) -> Self {
        Self { parties, cells: vec![Tally::default(); days * parties] }
    }

    /// The sums of a party on the day of a time before the end.
    pub fn of(&mut self, at: Tick, party: usize) -> &mut Tally {
        &mut self.cells[(at.0 / DAY) as usize * self.parties + party]
    }

    /// Adds all sums to a hash of the state.
    pub fn hash_into(&self, hasher: &mut blake3::Hasher) {
        for t in &self.cells {
            let words = [t.wanted, t.answered, t.attack, t.useful, t.useful_tokens, t.perturbed];
            let money = [t.tokens_in, t.tokens_out, t.spend, t.throttled, t.waited_us, t.hashes];
            let accounts = [t.alarms, t.closed, t.reopened, t.opened, t.checks];
            let all = words.iter().chain(&money).chain(&accounts).chain(&t.refused);
            for word in all.chain(&t.areas).chain(&t.waits) {
                hasher.update(&word.to_le_bytes());
            }
        }
    }

    /// The days of a party, first day first.
    pub fn of_party(&self, party: usize) -> impl Iterator<Item = &Tally> {
        self.cells.iter().skip(party).step_by(self.parties)
    }
}
