//! Thresholds from benign scores, with what their number can show about false alarms.

use serde::{Deserialize, Serialize};

use crate::metric::upper_bound;

/// A threshold set on benign scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Scores beyond it, equality excluded, alarm.
    pub value: f64,
    /// Share of the benign scores beyond it.
    pub rate: f64,
    /// Upper 95 % bound of that rate (Clopper and Pearson 1934, one-sided). With none of n beyond it
    /// is about 3/n, never zero.
    pub rate_upper: f64,
}

impl Threshold {
    /// The smallest benign score that at most `share` of the `benign` ones exceed; 0.05 gives the 95th
    /// percentile. Fewer than 1/`share` scores give the largest, and `rate_upper` says what that is
    /// worth. None without scores.
    pub fn above(benign: &[f64], share: f64) -> Option<Self> {
        let mut sorted = benign.to_vec();
        sorted.sort_by(f64::total_cmp);
        let allowed = (share * sorted.len() as f64 + 1e-9) as usize; // 1e-9: 0.1 * 30 is 3
        let last = sorted.len().checked_sub(1)?;
        let value = sorted[last.saturating_sub(allowed)];
        let beyond = sorted.iter().filter(|s| **s > value).count() as f64;
        let n = sorted.len() as f64;
        Some(Self { value, rate: beyond / n, rate_upper: upper_bound(beyond, n, 0.95) })
    }

    /// The same for scores that alarm when they are low, such as an entropy.
    pub fn below(benign: &[f64], share: f64) -> Option<Self> {
        let mirrored: Vec<f64> = benign.iter().map(|s| -s).collect();
        let threshold = Self::above(&mirrored, share)?;
        Some(Self { value: -threshold.value, ..threshold })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_the_asked_share_of_benign_scores_is_beyond() {
        let scores: Vec<f64> = (1..=100).map(f64::from).collect();
        let high = Threshold::above(&scores, 0.05).unwrap();
        assert_eq!((high.value, high.rate), (95.0, 0.05));
        let low = Threshold::below(&scores, 0.01).unwrap();
        assert_eq!((low.value, low.rate), (2.0, 0.01));
        assert_eq!(Threshold::above(&[1.0, 1.0, 1.0], 0.5).unwrap().rate, 0.0);
        assert_eq!(Threshold::above(&[], 0.05), None);
    }

    #[test]
    fn a_rate_finer_than_the_number_of_scores_is_bounded_by_about_three_over_it() {
        let scores: Vec<f64> = (0..1000).map(f64::from).collect();
        let threshold = Threshold::above(&scores, 1e-4).unwrap();
        assert_eq!((threshold.value, threshold.rate), (999.0, 0.0));
        // Closed form without events: 1 - 0.05^(1/n).
        assert!((threshold.rate_upper - (1.0 - 0.05_f64.powf(1e-3))).abs() < 1e-12);
    }
}
