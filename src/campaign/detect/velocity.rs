//! Velocity rules: counts in windows of virtual time, and spend against age.
//!
//! Sign-ups per card, address or phone and day, requests per account and day; dollars faster than an
//! account of its age spends. Cheap and exact on hasty attackers, blind to patient ones. Windows are
//! aligned to the clock, so a count does not depend on who is first; twice the limit may pass
//! across a boundary.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::error::{Error, Result};
use crate::ledger::Tick;

const HOUR_US: u64 = 3_600_000_000;
const DAY_US: u64 = 24 * HOUR_US;

/// Settings of a count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Events that pass in each window; one more alarms.
    pub limit: u64,
    /// Length of a window, hours, 1 to 8,784 (a year).
    #[serde(default = "day")]
    #[schemars(range(min = 1, max = 8784))]
    pub window_h: u64,
}

const fn day() -> u64 {
    24
}

/// At most so many events in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Velocity {
    limit: u64,
    window_us: u64,
}

/// The count of one key: an account, a card, an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VelocityState {
    window: u64,
    count: u64,
}

impl VelocityState {
    /// Events of the window that has begun.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// All of it, for a hash.
    pub const fn words(&self) -> [u64; 2] {
        [self.window, self.count]
    }
}

impl Params {
    /// Checks the range.
    pub fn build(&self) -> Result<Velocity> {
        if !(1..=8784).contains(&self.window_h) {
            return Err(Error::config("window_h", self.window_h.to_string(), "1 to 8784 hours"));
        }
        Ok(Velocity { limit: self.limit, window_us: self.window_h * HOUR_US })
    }
}

impl Velocity {
    /// Counts `events` at `at`. Time does not go back; an event that comes late counts in the window
    /// that has begun.
    pub const fn observe(&self, state: &mut VelocityState, at: Tick, events: u64) -> Verdict {
        let window = at.0 / self.window_us;
        if window > state.window {
            *state = VelocityState { window, count: 0 };
        }
        state.count = state.count.saturating_add(events);
        Verdict::alarm_if(state.count > self.limit)
    }
}

/// Settings of spend against age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendParams {
    /// Younger accounts are taken to be this old, hours, at least 1.
    #[serde(default = "day")]
    #[schemars(range(min = 1))]
    pub min_age_h: u64,
}

/// Dollars per day of an account's age. It has no state of its own: the ledger knows both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpendToAge {
    min_age_us: u64,
}

impl SpendParams {
    /// Checks the range.
    pub fn build(&self) -> Result<SpendToAge> {
        if !(1..=8784).contains(&self.min_age_h) {
            return Err(Error::config("min_age_h", self.min_age_h.to_string(), "1 to 8784 hours"));
        }
        Ok(SpendToAge { min_age_us: self.min_age_h * HOUR_US })
    }
}

impl SpendToAge {
    /// `usd` dollars spent by an account opened `age_us` microseconds ago, a day of its age.
    pub fn usd_per_day(&self, usd: f64, age_us: u64) -> f64 {
        usd * DAY_US as f64 / age_us.max(self.min_age_us) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_sign_up_of_a_card_in_a_day_alarms_and_the_next_day_starts_at_none() {
        let rule = Params { limit: 3, window_h: 24 }.build().unwrap();
        let mut card = VelocityState::default();
        let on = |card: &mut VelocityState, days| rule.observe(card, Tick::days(days), 1);
        for days in [0.1, 0.2, 0.99] {
            assert_eq!(on(&mut card, days), Verdict::Undecided);
        }
        assert_eq!(on(&mut card, 0.995), Verdict::Alarm);
        assert_eq!(on(&mut card, 1.0), Verdict::Undecided);
    }

    #[test]
    fn the_first_day_of_spending_is_judged_as_a_whole_day() {
        let rule = SpendParams { min_age_h: 24 }.build().unwrap();
        assert_eq!(rule.usd_per_day(50.0, HOUR_US), 50.0);
        assert_eq!(rule.usd_per_day(100.0, 2 * DAY_US), 50.0);
    }

    #[test]
    fn settings_outside_their_ranges_are_refused() {
        assert!(Params { limit: 3, window_h: 0 }.build().is_err());
        assert!(SpendParams { min_age_h: 0 }.build().is_err());
    }
}
