//! Detectors: statistics over what an account, or a cluster of linked accounts, has asked.
//!
//! A detector is two plain structs. Its parameters are built once from a config; its state is owned by
//! the account or the cluster that is watched. A call changes the state and returns a [`Verdict`].
//! Nothing here reads a clock, dispatches per exchange or knows who asks; what follows from an alarm
//! is decided elsewhere. States that are whole numbers can be merged, so an account's part and its
//! cluster's are the same evidence.
//!
//! A single query is no evidence, since every query of a campaign could be an honest one: windows,
//! accounts and clusters are tested. Thresholds come from benign traffic of other accounts, with the
//! bound that its size allows ([`Threshold`]).

pub mod arl;
pub mod cusum;
pub mod entropy;
pub mod ks;
pub mod mmd;
pub mod mmd_features;
pub mod mmd_table;
pub mod prada;
pub mod seat;
pub mod shapiro;
pub mod sprt;
pub mod synchrotrap;
mod threshold;
mod vector;
pub mod velocity;

use serde::{Deserialize, Serialize};

pub use threshold::Threshold;

/// What a detector says after an observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The evidence does not suffice yet.
    #[default]
    Undecided,
    /// A test was finished and passed.
    Clear,
    /// The evidence is over its threshold.
    Alarm,
}

impl Verdict {
    /// The verdict of a finished test.
    pub const fn of(alarm: bool) -> Self {
        if alarm { Self::Alarm } else { Self::Clear }
    }

    /// The verdict of a test that only ever alarms.
    pub const fn alarm_if(alarm: bool) -> Self {
        if alarm { Self::Alarm } else { Self::Undecided }
    }
}

#[cfg(test)]
mod testing;
