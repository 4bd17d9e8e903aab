//! Statistics over what an account has asked, for layers of a gateway and for campaigns alike.
//!
//! A detector is two plain structs. Its parameters are built once from a config; its state is owned by the
//! account that is watched. A call changes the state and returns a [`Verdict`]. The room knows numbers
//! only: no clock, no account, no answer type; what follows from an alarm is decided elsewhere. Thresholds
//! come from benign rows of others, with the bound that their number allows ([`Threshold`]).

pub mod mmd;
pub mod prada;
pub mod seat;
pub mod shapiro;
mod threshold;
pub(crate) mod vector;

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
pub(crate) mod testing;
