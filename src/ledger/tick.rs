//! Virtual time: whole microseconds since the start of the run.

use serde::{Deserialize, Serialize};

/// Microseconds since the start of the run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tick(pub u64);

impl Tick {
    /// The start of the run.
    pub const ZERO: Self = Self(0);

    /// A time in milliseconds.
    pub const fn ms(ms: u64) -> Self {
        Self(ms * 1_000)
    }

    /// A time in days, rounded to a whole microsecond; negative or not finite gives zero.
    pub fn days(days: f64) -> Self {
        Self((days * 86_400e6).round() as u64)
    }

    /// This time in days.
    pub fn as_days(self) -> f64 {
        self.0 as f64 / 86_400e6
    }

    /// `us` microseconds later, at most the end of time.
    pub const fn after(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }
}
