//! What an answer is worth to the adaptive strategy (Orekondy et al. 2019, section 4.2.2): how certain the teacher is,
//! how new the answer is, how wrong the student was; each brought to 0..1 over a window, so that they can be added.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rewards that a value is compared with.
const WINDOW: usize = 100;
/// Smallest probability of the student whose logarithm counts.
const LEAST: f64 = 1e-12;

/// What counts as worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reward {
    /// Gap between the two largest probabilities of the answer.
    Certainty,
    /// Sum of what the answer's probabilities have above their mean over earlier answers.
    Diversity,
    /// Cross-entropy of the answer to the student's own prediction.
    Loss,
    /// All three, each of them from 0 to 1.
    #[default]
    Sum,
}

impl Reward {
    const fn has(self, part: Self) -> bool {
        matches!(self, Self::Sum) || self as u8 == part as u8
    }

    /// True if it looks at the student's own prediction.
    pub(in crate::student::strategy) const fn needs_model(self) -> bool {
        self.has(Self::Loss)
    }
}

/// p1 - p2.
fn certainty(p: &[f64]) -> f64 {
    let (first, second) = p.iter().fold((0.0_f64, 0.0_f64), |(first, second), &p| {
        if p > first { (p, first) } else { (first, second.max(p)) }
    });
    first - second
}

/// sum of max(0, p - mean).
fn diversity(p: &[f64], mean: &[f64]) -> f64 {
    p.iter().zip(mean).map(|(p, m)| (p - m).max(0.0)).sum()
}

/// -sum p log max(q, 1e-12).
fn loss(p: &[f64], q: &[f64]) -> f64 {
    -p.iter().zip(q).map(|(p, q)| p * libm::log(q.max(LEAST))).sum::<f64>()
}

/// Values of the window, each brought to 0..1 by its smallest and largest.
#[derive(Debug, Default)]
struct Scale {
    window: VecDeque<f64>,
}

impl Scale {
    /// 0 while all values are equal: what does not differ says nothing.
    fn scaled(&mut self, value: f64) -> f64 {
        self.window.push_back(value);
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        let low = self.window.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = high - low;
        if spread > 1e-12 * high.abs().max(1.0) { (value - low) / spread } else { 0.0 }
    }
}

/// Turns answers into rewards, one after another.
#[derive(Debug)]
pub(super) struct Judge {
    reward: Reward,
    /// Of earlier answers.
    sum: Vec<f64>,
    seen: u64,
    scales: [Scale; 3],
}

impl Judge {
    pub(super) fn new(reward: Reward) -> Self {
        Self { reward, sum: Vec::new(), seen: 0, scales: Default::default() }
    }

    /// Worth of answer `p`, when the student predicted `q`.
    pub(super) fn worth(&mut self, p: &[f64], q: &[f64]) -> f64 {
        self.sum.resize(p.len(), 0.0);
        let over = self.seen.max(1) as f64;
        let mean: Vec<f64> = self.sum.iter().map(|sum| sum / over).collect();
        let parts = [Reward::Certainty, Reward::Diversity, Reward::Loss];
        let values = [certainty(p), diversity(p, &mean), loss(p, q)];
        self.sum.iter_mut().zip(p).for_each(|(sum, p)| *sum += p);
        self.seen += 1;
        let mut worth = 0.0;
        for ((part, value), scale) in parts.into_iter().zip(values).zip(&mut self.scales) {
            if self.reward.has(part) {
                worth += scale.scaled(value);
            }
        }
        worth
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{matrix, vectors};
    use super::*;

    #[test]
    fn reference_rewards_are_matched() {
        let cases = vectors("knockoff_rewards");
        assert_eq!(cases.len(), 3);
        for case in cases {
            let row = |key: &str| -> Vec<f64> {
                let values = case["input"][key].as_array().unwrap().iter();
                values.map(|v| v.as_f64().unwrap()).collect()
            };
            let (p, q) = (row("p"), row("q"));
            let earlier = matrix(&case["input"]["earlier"]);
            let mean = earlier.mean_axis(ndarray::Axis(0)).unwrap().to_vec();
            let got = [
                ("certainty", certainty(&p)),
                ("diversity", diversity(&p, &mean)),
                ("loss", loss(&p, &q)),
            ];
            for (name, got) in got {
                let want = case["expected"][name].as_f64().unwrap();
                assert!((got - want).abs() <= 1e-10 + 1e-9 * want.abs(), "{} {name}", case["id"]);
            }
            let mut judge = Judge::new(Reward::Diversity);
            for row in earlier.rows() {
                judge.worth(&row.to_vec(), &q);
            }
            judge.worth(&p, &q);
            let want = case["expected"]["diversity"].as_f64().unwrap();
            assert!(
                (judge.scales[1].window.back().unwrap() - want).abs() < 1e-10,
                "{}",
                case["id"]
            );
        }
    }

    #[test]
    fn degenerate_answers_are_worth_something_finite() {
        let mut judge = Judge::new(Reward::Sum);
        let one_hot = [1.0, 0.0, 0.0];
        for (p, q) in [(one_hot, [0.0, 1.0, 0.0]), (one_hot, one_hot), ([0.0; 3], [0.0; 3])] {
            let worth = judge.worth(&p, &q);
            assert!((0.0..=3.0).contains(&worth), "{worth}");
        }
    }

    #[test]
    fn equal_rewards_are_worth_nothing() {
        let mut judge = Judge::new(Reward::Sum);
        let p = [0.7, 0.2, 0.1];
        judge.worth(&p, &p); // the first answer is new, those after it are not
        let mut judge = Judge { sum: judge.sum, seen: 1, ..Judge::new(Reward::Sum) };
        assert!((0..4).all(|_| judge.worth(&p, &p) == 0.0));
    }
}
