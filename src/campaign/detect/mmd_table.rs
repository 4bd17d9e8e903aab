//! The MMD window test as a table of measured rates, for campaigns whose embeddings are not computed.
//!
//! Rates of the traffic-window benchmark (arXiv 2606.05725), averaged over its attack and benign pairs:
//! share of windows flagged by window size and by share of attack queries. Windows of 1,500 take the
//! run with three seeds, which has the most pairs and no rate of zero. The attack sets are academic
//! extraction queries, so agentic traffic is probably harder to tell apart.
//!
//! Between rows a rate is linear in ln(window), between columns linear in the attack share, with the
//! false-positive rate at share 0. Outside the table nothing is extrapolated: the nearest row is
//! taken and the reading says so.
//!
//! How many windows a rate was measured on is not published. Each pair was repeated with 20 draws of
//! reference queries, and a rate as small as .003 needs as many: the upper bound of a false-positive rate counts
//! pairs x 20 (x 3 seeds in the last row) windows. Repeats share queries, so it is the least that the bound can
//! be; counting pairs alone would give 19 to 46 %.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::error::{Error, Result};
use crate::metric::upper_bound;

/// Shares of attack queries of the columns; the first is the false-positive rate.
const SHARES: [f64; 6] = [0.0, 0.05, 0.10, 0.25, 0.50, 1.0];

struct Row {
    window: f64,
    rates: [f64; 6],
    windows: f64,
}

const TABLE: [Row; 5] = [
    Row { window: 100.0, rates: [0.007, 0.013, 0.046, 0.76, 0.99, 1.0], windows: 280.0 },
    Row { window: 200.0, rates: [0.008, 0.016, 0.27, 0.87, 1.0, 1.0], windows: 100.0 },
    Row { window: 500.0, rates: [0.004, 0.15, 0.80, 1.0, 1.0, 1.0], windows: 100.0 },
    Row { window: 1000.0, rates: [0.012, 0.45, 0.87, 1.0, 1.0, 1.0], windows: 100.0 },
    Row { window: 1500.0, rates: [0.003, 0.59, 0.94, 1.0, 1.0, 1.0], windows: 840.0 },
];

/// Rates of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Probability that the window is flagged: the true-positive rate at the share asked for.
    pub flagged: f64,
    /// The measured false-positive rate at this window size.
    pub fpr: f64,
    /// The window was outside 100 to 1,500 and took the nearest row.
    pub clamped: bool,
}

/// Reads the table for a window of `queries`, `share` of them attack queries; a share outside [0, 1]
/// is taken to its end.
pub fn read(queries: u64, share: f64) -> Reading {
    let (low, high, along) = rows(queries);
    let between = |a: f64, b: f64| a + along * (b - a);
    Reading {
        flagged: between(low.at(share), high.at(share)),
        fpr: between(low.rates[0], high.rates[0]),
        clamped: !(100..=1500).contains(&queries),
    }
}

/// Upper 95 % bound of the false-positive rate of a window of `queries` (Clopper and Pearson 1934,
/// one-sided), between rows as the rate itself.
pub fn fpr_upper(queries: u64) -> f64 {
    let (low, high, along) = rows(queries);
    let bound = |r: &Row| upper_bound(r.rates[0] * r.windows, r.windows, 0.95);
    bound(low) + along * (bound(high) - bound(low))
}

/// The rows around a window, and how far along it lies.
fn rows(queries: u64) -> (&'static Row, &'static Row, f64) {
    let size = (queries as f64).clamp(TABLE[0].window, TABLE[TABLE.len() - 1].window);
    let above = TABLE[1..TABLE.len() - 1].iter().take_while(|r| r.window < size).count();
    let (low, high) = (&TABLE[above], &TABLE[above + 1]);
    (low, high, libm::log(size / low.window) / libm::log(high.window / low.window))
}

impl Row {
    fn at(&self, share: f64) -> f64 {
        let share = share.clamp(0.0, 1.0);
        let i = SHARES[1..SHARES.len() - 1].iter().take_while(|s| **s < share).count();
        let along = (share - SHARES[i]) / (SHARES[i + 1] - SHARES[i]);
        self.rates[i] + along * (self.rates[i + 1] - self.rates[i])
    }
}

/// Which false-positive rate honest windows meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FalsePositives {
    /// The measured one.
    #[default]
    Measured,
    /// Its upper 95 % bound: the most harm that the measurement does not rule out.
    Upper,
}

/// Settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Queries in a window, 100 to 1,500: the table's range.
    #[serde(default = "default_window")]
    #[schemars(range(min = 100, max = 1500))]
    pub window: u64,
    /// The false-positive rate of honest windows.
    #[serde(default)]
    pub false_positives: FalsePositives,
}

const fn default_window() -> u64 {
    1500
}

/// The detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MmdTable {
    window: u64,
    /// Least share of windows flagged, whatever they hold.
    floor: f64,
}

/// One account's or cluster's window: counts, so merging is adding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MmdTableState {
    /// Queries in the window.
    pub queries: u64,
    /// Attack queries among them.
    pub attack: u64,
}

impl MmdTableState {
    /// Adds the queries of another state.
    pub const fn merge(&mut self, other: Self) {
        self.queries += other.queries;
        self.attack += other.attack;
    }
}

impl Params {
    /// Checks the range.
    pub fn build(&self) -> Result<MmdTable> {
        if !(100..=1500).contains(&self.window) {
            return Err(Error::config("window", self.window.to_string(), "100 to 1500 queries"));
        }
        let floor = match self.false_positives {
            FalsePositives::Measured => 0.0,
            FalsePositives::Upper => fpr_upper(self.window),
        };
        Ok(MmdTable { window: self.window, floor })
    }
}

impl MmdTable {
    /// Probability that a window with this share of attack queries is flagged.
    pub fn probability(&self, share: f64) -> f64 {
        read(self.window, share).flagged.max(self.floor)
    }

    /// Judges the window if it is full, and begins the next. `draw` is uniform on [0, 1), from a stream
    /// of the account's own, one per full window. A merged state may hold more than one window; it
    /// is judged once, as a window of the table's size.
    pub fn verdict(&self, state: &mut MmdTableState, draw: f64) -> Verdict {
        if state.queries < self.window {
            return Verdict::Undecided;
        }
        let share = state.attack as f64 / state.queries as f64;
        *state = MmdTableState::default();
        Verdict::of(draw < self.probability(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_back_at_its_own_places() {
        for row in &TABLE {
            for (share, rate) in SHARES.iter().zip(row.rates) {
                let reading = read(row.window as u64, *share);
                assert!((reading.flagged - rate).abs() < 1e-15, "{} at {share}", row.window);
                assert!(!reading.clamped);
            }
        }
    }

    #[test]
    fn between_rows_a_rate_is_linear_in_the_log_of_the_window_and_between_columns_in_the_share() {
        let middle = 0.5 * (0.046 + 0.27); // 141 is about 100 sqrt(2)
        assert!((read(141, 0.10).flagged - middle).abs() < 1e-3);
        assert!((read(100, 0.025).flagged - 0.010).abs() < 1e-12);
        assert!((read(500, 0.175).flagged - 0.90).abs() < 1e-12);
    }

    #[test]
    fn outside_the_table_the_nearest_row_answers_and_says_so() {
        assert_eq!(read(50, 0.25), Reading { clamped: true, ..read(100, 0.25) });
        assert_eq!(read(9_000, 0.25), Reading { clamped: true, ..read(1500, 0.25) });
        assert!(Params { window: 99, false_positives: FalsePositives::Measured }.build().is_err());
    }

    #[test]
    fn honest_windows_are_never_free_of_alarms() {
        for window in 100..=1500 {
            let (r, upper) = (read(window, 0.0), fpr_upper(window));
            assert!(
                r.flagged == r.fpr && r.fpr > 0.0029 && upper > r.fpr + 0.003,
                "{window}: {upper}"
            );
        }
    }

    #[test]
    fn a_longer_window_and_a_larger_share_are_never_harder_to_see_above_the_noise() {
        for share in [0.05, 0.1, 0.2, 0.6, 1.0] {
            let rates: Vec<f64> = (100..=1500).map(|n| read(n, share).flagged).collect();
            assert!(rates.is_sorted(), "{share}");
        }
    }

    #[test]
    fn a_full_window_is_judged_once() {
        let table = Params { window: 500, false_positives: FalsePositives::Measured };
        let table = table.build().unwrap();
        let mut state = MmdTableState { queries: 499, attack: 499 };
        assert_eq!(table.verdict(&mut state, 0.0), Verdict::Undecided);
        state.merge(MmdTableState { queries: 1, attack: 0 });
        assert_eq!(table.verdict(&mut state, 0.999), Verdict::Alarm);
        assert_eq!(state, MmdTableState::default());
        let mut honest = MmdTableState { queries: 500, attack: 0 };
        assert_eq!(table.verdict(&mut honest, 0.5), Verdict::Clear);
    }
}
