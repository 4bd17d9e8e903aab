//! Topic or template entropy over a window: a campaign asks narrowly, most honest accounts do not.
//!
//! H = -sum p ln p (Shannon 1948, section 6) of the shares of a full window, plug-in. It is biased down
//! by about (cells - 1)/(2 window), alike for everyone, so the threshold is the benign first percentile
//! at the same window ([`super::Threshold::below`]) rather than a number from theory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::error::{Error, Result};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Requests in a window, 2 to 1,000,000.
    #[schemars(range(min = 2, max = 1_000_000))]
    pub window: u32,
    /// Topics told apart, 2 to 65,536; all above share the last. It bounds the memory of an account:
    /// 4 bytes each.
    #[serde(default = "topics")]
    #[schemars(range(min = 2, max = 65_536))]
    pub cells: u32,
    /// A full window below this alarms, nats.
    pub threshold_nats: f64,
}

const fn topics() -> u32 {
    64
}

/// The detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entropy {
    window: u32,
    cells: u32,
    threshold: f64,
}

/// One account's window: requests by cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntropyState {
    counts: Vec<u32>,
    seen: u32,
}

impl EntropyState {
    /// All of it, for a hash.
    pub fn words(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.seen).chain(self.counts.iter().copied()).map(u64::from)
    }
}

impl Params {
    /// Checks the ranges.
    pub fn build(&self) -> Result<Entropy> {
        if !(2..=1_000_000).contains(&self.window) {
            return Err(Error::config("window", self.window.to_string(), "2 to 1000000 requests"));
        }
        if !(2..=65_536).contains(&self.cells) {
            return Err(Error::config("cells", self.cells.to_string(), "2 to 65536"));
        }
        if !(self.threshold_nats >= 0.0 && self.threshold_nats.is_finite()) {
            let found = self.threshold_nats.to_string();
            return Err(Error::config("threshold_nats", found, "a number from 0 up"));
        }
        Ok(Entropy { window: self.window, cells: self.cells, threshold: self.threshold_nats })
    }
}

impl Entropy {
    /// Takes one request. A full window is judged, and the next begins.
    pub fn observe(&self, state: &mut EntropyState, topic: u32) -> Verdict {
        self.of_full_window(state, topic)
            .map_or(Verdict::Undecided, |nats| Verdict::of(nats < self.threshold))
    }

    /// Takes one request. The entropy of the window that it fills, nats; the next window then begins.
    pub fn of_full_window(&self, state: &mut EntropyState, topic: u32) -> Option<f64> {
        state.counts.resize(self.cells as usize, 0);
        state.counts[topic.min(self.cells - 1) as usize] += 1;
        state.seen += 1;
        if state.seen < self.window {
            return None;
        }
        let nats = entropy(&state.counts);
        state.counts.fill(0);
        state.seen = 0;
        Some(nats)
    }
}

/// Entropy of the shares of `counts`, nats; 0 without counts.
pub fn entropy(counts: &[u32]) -> f64 {
    let n: f64 = counts.iter().map(|c| f64::from(*c)).sum();
    let part = |c: &u32| -f64::from(*c) / n * libm::log(f64::from(*c) / n);
    counts.iter().filter(|c| **c > 0).map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_counts_have_the_entropy_of_their_number_and_one_topic_has_none() {
        assert!((entropy(&[5, 5, 5, 5]) - libm::log(4.0)).abs() < 1e-15);
        assert_eq!(entropy(&[0, 9, 0]), 0.0);
        assert_eq!(entropy(&[]), 0.0);
        // Three in four and one in four: 0.75 ln(4/3) + 0.25 ln 4.
        assert!((entropy(&[3, 1]) - 0.562_335_144_618_808_2).abs() < 1e-15);
    }

    #[test]
    fn a_narrow_window_alarms_and_a_broad_one_clears() {
        let params = Params { window: 8, cells: 4, threshold_nats: 1.0 };
        let detector = params.build().unwrap();
        let mut state = EntropyState::default();
        let mut ask = |topic| detector.observe(&mut state, topic);
        let narrow: Vec<Verdict> = (0..8).map(|i| ask(i % 2)).collect();
        assert_eq!((narrow[6], narrow[7]), (Verdict::Undecided, Verdict::Alarm));
        let broad: Vec<Verdict> = (0..8).map(&mut ask).collect();
        assert_eq!(broad[7], Verdict::Clear); // topics from 3 up share a cell: 1, 1, 1, 5
    }

    #[test]
    fn settings_outside_their_ranges_are_refused() {
        let good = Params { window: 100, cells: 64, threshold_nats: 2.0 };
        assert!(good.build().is_ok());
        assert!(Params { window: 1, ..good.clone() }.build().is_err());
        assert!(Params { cells: 1, ..good.clone() }.build().is_err());
        assert!(Params { threshold_nats: f64::NAN, ..good }.build().is_err());
    }
}
