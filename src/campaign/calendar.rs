//! Hours of the day and days of the week on virtual time.

use super::spec::{BenignSpec, Weekday};
use crate::ledger::Tick;

/// Microseconds.
pub const SECOND: u64 = 1_000_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;
/// The month of spending caps.
pub const MONTH: u64 = 30 * DAY;

/// How much honest people ask, hour by hour of a week; the mean over working days is 1.
#[derive(Clone, Debug)]
pub struct Calendar {
    factor: [f64; 168],
    most: f64,
}

impl Calendar {
    /// 1 + a sin(2 pi (hour - 9) / 24), times the weekend's factor: highest at 15 h, lowest at 3 h.
    pub fn new(benign: &BenignSpec, start: Weekday) -> Self {
        let mut factor = [0.0; 168];
        for (hour, factor) in factor.iter_mut().enumerate() {
            let angle = std::f64::consts::TAU * ((hour % 24) as f64 - 9.0) / 24.0;
            let weekday = (hour / 24 + start as usize) % 7;
            let week = if weekday >= Weekday::Sat as usize { benign.weekend_factor } else { 1.0 };
            *factor = week * (1.0 + benign.diurnal_amplitude * libm::sin(angle));
        }
        let most = factor.iter().fold(0.0, |a: f64, &b| a.max(b));
        Self { factor, most }
    }

    /// The factor at a time.
    #[inline]
    pub fn factor(&self, at: Tick) -> f64 {
        self.factor[((at.0 / HOUR) % 168) as usize]
    }

    /// The largest factor of the week.
    pub const fn most(&self) -> f64 {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn afternoons_are_busy_and_weekends_are_quiet() {
        let calendar = Calendar::new(&BenignSpec::default(), Weekday::Fri);
        let at = |day: u64, hour: u64| calendar.factor(Tick(day * DAY + hour * HOUR));
        assert_eq!((at(0, 15), at(0, 3)), (1.25, 0.75));
        assert_eq!(at(1, 15), 0.8 * 1.25);
        assert_eq!(at(3, 15), 1.25);
        assert_eq!(calendar.most(), 1.25);
    }
}
