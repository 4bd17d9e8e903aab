//! A gradient bandit: preferences H over arms, chosen by softmax(H) (Sutton and Barto 2018, section 2.8; the policy of
//! Orekondy et al. 2019, section 4.2.2). After arm z gave reward r, with a = 1 / N(z):
//! H(z) += a (r - mean) (1 - pi(z)), and H(z') -= a (r - mean) pi(z') for all others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::seed::uniform;

/// Which mean a reward is compared with; the paper does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// That of the rewards before, 0 at the first.
    #[default]
    Before,
    /// That of all rewards, this one included.
    Including,
}

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct Bandit {
    preference: Vec<f64>,
    /// Times each arm was rewarded.
    times: Vec<u64>,
    /// Of all rewards.
    sum: f64,
    baseline: Baseline,
}

impl Bandit {
    pub(super) fn new(arms: usize, baseline: Baseline) -> Self {
        Self { preference: vec![0.0; arms], times: vec![0; arms], sum: 0.0, baseline }
    }

    /// softmax(H) over the open arms; closed ones have probability 0.
    pub(super) fn policy(&self, open: impl Fn(usize) -> bool) -> Vec<f64> {
        let arms = || (0..self.preference.len()).filter(|&arm| open(arm));
        let top = arms().map(|arm| self.preference[arm]).fold(f64::NEG_INFINITY, f64::max);
        let mut policy = vec![0.0; self.preference.len()];
        arms().for_each(|arm| policy[arm] = libm::exp(self.preference[arm] - top));
        let sum: f64 = policy.iter().sum();
        policy.iter_mut().for_each(|p| *p /= if sum > 0.0 { sum } else { 1.0 });
        policy
    }

    /// An open arm by the policy; none if all are closed.
    pub(super) fn draw(
        &self,
        open: impl Fn(usize) -> bool,
        rng: &mut impl rand::Rng,
    ) -> Option<usize> {
        let policy = self.policy(&open);
        let mut left = uniform(rng);
        let mut last = None;
        for (arm, p) in policy.iter().enumerate().filter(|(arm, _)| open(*arm)) {
            last = Some(arm);
            left -= p;
            if left < 0.0 {
                break;
            }
        }
        last
    }

    /// Learns that `arm` gave `reward`. An arm that is closed counts for no preference.
    pub(super) fn reward(&mut self, arm: usize, reward: f64, open: impl Fn(usize) -> bool) {
        let policy = self.policy(|a| a == arm || open(a));
        let before: u64 = self.times.iter().sum();
        let mean = match self.baseline {
            Baseline::Before if before == 0 => 0.0,
            Baseline::Before => self.sum / before as f64,
            Baseline::Including => (self.sum + reward) / (before + 1) as f64,
        };
        self.sum += reward;
        self.times[arm] += 1;
        let step = (reward - mean) / self.times[arm] as f64;
        for (other, (h, pi)) in self.preference.iter_mut().zip(policy).enumerate() {
            *h += step * (f64::from(u8::from(other == arm)) - pi);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{vectors, whole};
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn reference_policies_are_matched() {
        let cases = vectors("knockoff_adaptive");
        assert_eq!(cases.len(), 6);
        for case in cases {
            let (input, expected) = (&case["input"], &case["expected"]);
            let baseline = serde_json::from_value(input["baseline"].clone()).unwrap();
            let mut bandit = Bandit::new(input["classes"].as_u64().unwrap() as usize, baseline);
            let tolerance = |key: &str| case["tolerance"][key].as_f64().unwrap();
            let near = |got: f64, want: &serde_json::Value| {
                let want = want.as_f64().unwrap();
                (got - want).abs() <= tolerance("abs") + tolerance("rel") * want.abs()
            };
            for (i, arm) in whole(&input["actions"]).into_iter().enumerate() {
                bandit.reward(arm, input["rewards"][i].as_f64().unwrap(), |_| true);
                for (k, p) in bandit.policy(|_| true).into_iter().enumerate() {
                    assert!(near(p, &expected["pi_after_each"][i][k]), "{} {i}", case["id"]);
                }
            }
            for (k, &h) in bandit.preference.iter().enumerate() {
                assert!(near(h, &expected["H"][k]), "{} H", case["id"]);
            }
        }
    }

    #[test]
    fn closed_arms_are_never_drawn_and_keep_their_preference() {
        let mut bandit = Bandit::new(3, Baseline::Before);
        bandit.reward(0, 1.0, |_| true);
        let closed = bandit.preference[1];
        bandit.reward(2, 0.3, |arm| arm == 2);
        assert_eq!(bandit.preference[1], closed);
        let mut rng = Seed::new(1).rng();
        assert!((0..200).all(|_| bandit.draw(|arm| arm != 0, &mut rng) != Some(0)));
        assert_eq!(bandit.draw(|_| false, &mut rng), None);
        assert!(bandit.policy(|_| false).iter().all(|p| *p == 0.0));
    }

    #[test]
    fn the_arm_that_pays_is_drawn_more_often() {
        let mut bandit = Bandit::new(4, Baseline::Before);
        let mut rng = Seed::new(2).rng();
        for _ in 0..300 {
            let arm = bandit.draw(|_| true, &mut rng).unwrap();
            bandit.reward(arm, if arm == 3 { 1.0 } else { 0.2 }, |_| true);
        }
        let policy = bandit.policy(|_| true);
        assert!(policy[3] > 0.35, "{policy:?}");
    }
}
