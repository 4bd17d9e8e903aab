//! Who asked what, when, at what price.
//!
//! The room holds accounts and actors, budgets, virtual time, rate limits and the exchange log. It
//! knows neither models nor defenses: rows are numbers here. A budget belongs to an *actor*; limits
//! belong to its *accounts*. Nothing in this room reads a clock: time is data.

mod book;
mod bucket;
mod gcra;
mod log;
mod tick;
mod window;

pub use book::{Budget, Ledger, Totals};
pub use bucket::{Bucket, BucketState};
pub use gcra::{Gcra, GcraState, Oversize};
pub use log::{Code, Entry, Log};
pub use tick::Tick;
pub use window::{Window, WindowState};

use serde::{Deserialize, Serialize};

/// One account at the gateway. Ties in time are broken by this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId(pub u32);

/// One person or organisation behind any number of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActorId(pub u32);

/// Why a row was not answered. A refusal is a value, with what the caller needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "denied")]
pub enum Denial {
    /// The actor's budget has `left` units, fewer than this row needs.
    OverBudget { left: u64 },
    /// A rate limit; the same row passes at `retry_at` if nothing else is asked before.
    Throttled { retry_at: Tick },
    /// A layer refuses this input or this account.
    #[serde(skip_deserializing)]
    Blocked { by: &'static str },
    /// A proof of work of this many bits is asked for first.
    WorkRequired { bits: u32 },
}
