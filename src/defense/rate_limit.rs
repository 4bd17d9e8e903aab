//! A rate limit per account: so many queries per period, spread evenly, with a burst.
//!
//! The mechanics are the ledger's ([`Gcra`]); this layer configures one and keeps a state per account.
//! Its counter is more accounts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counter, Defense, Method, Next, Promise, Workshop, rows};
use crate::error::{Error, Result};
use crate::oracle::{Batch, Card, Denial, Reply, Tick};
use crate::oracle::{Gcra, GcraState};
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Queries of one account in each period, 1 to a million.
    #[schemars(range(min = 1))]
    pub queries: u64,
    /// The period.
    pub per: Period,
    /// Queries that a rested account may ask at once, 1 to a million.
    #[serde(default = "one")]
    pub burst: u64,
}

/// Periods of virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    Second,
    Minute,
    Hour,
    Day,
}

const fn one() -> u64 {
    1
}

impl Period {
    /// Its length, microseconds.
    pub const fn us(self) -> u64 {
        match self {
            Self::Second => 1_000_000,
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
        }
    }
}

/// The layer.
pub struct RateLimit {
    limit: Gcra,
    /// By account number.
    states: Vec<GcraState>,
}

impl Params {
    /// Checks the ranges.
    pub fn build(&self) -> Result<RateLimit> {
        for (key, value) in [("queries", self.queries), ("burst", self.burst)] {
            if !(1..=1_000_000).contains(&value) {
                return Err(Error::config(key, value.to_string(), "1 to 1000000"));
            }
        }
        Ok(RateLimit {
            limit: Gcra::per(self.queries, self.per.us(), self.burst),
            states: Vec::new(),
        })
    }
}

impl RateLimit {
    /// Takes one query of `account` at `at`, or says when to come back.
    fn admit(&mut self, account: usize, at: Tick) -> std::result::Result<(), Denial> {
        if self.states.len() <= account {
            self.states.resize(account + 1, GcraState::default());
        }
        let taken = self.limit.admit(&mut self.states[account], at, 1);
        taken.map_err(|retry| Denial::Throttled { retry_at: retry.unwrap_or(Tick(u64::MAX)) })
    }
}

impl Defense for RateLimit {
    fn name(&self) -> &'static str {
        "rate-limit"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        rows::pass(batch, next, |row| self.admit(batch.account[row].0 as usize, batch.at[row]))
    }
}
impl Method for Params {
    fn kind(&self) -> &'static str {
        "rate-limit"
    }

    fn paper(&self) -> &'static str {
        "GCRA, ITU-T I.371 annex A"
    }

    fn check(&self) -> Result<()> {
        Self::build(self).map(|_| ())
    }

    fn card(&self, below: Card) -> Result<Card> {
        Ok(below)
    }

    fn promise(&self) -> Promise {
        Promise { l1_bound: 0.0, stateful: true, refuses: true, ..Promise::BASE }
    }

    fn counter(&self) -> Counter {
        Counter::MoreAccounts
    }

    fn waits(&self) -> bool {
        true
    }

    fn build(&self, _key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(Self::build(self)?))
    }
}
