//! What is true: the rule of a capability area, and the region that a guardrail marks.
//!
//! A rule is a random network of tanh units on standard-normal inputs; its largest output is the right
//! answer. More units bend the borders between answers more often, so more examples are needed to find
//! them. Nothing else differs between areas.

use rand::Rng;

use crate::metric::normal_quantile;
use crate::seed::{Seed, normal};

/// Slope of a unit: the standard deviation of what enters its tanh.
const GAIN: f64 = 2.0;
/// Inputs on which a rule's outputs are levelled.
const SAMPLE: usize = 2_000;
/// Rounds of levelling.
const ROUNDS: usize = 60;

/// The right answers of an area.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `[units][inputs]`
    units: Vec<Vec<f64>>,
    /// `[classes][units]`
    outputs: Vec<Vec<f64>>,
    /// `[classes]` added to the outputs, so that answers are about equally frequent.
    bias: Vec<f64>,
}

/// A half-space of inputs that must be refused, in every area.
#[derive(Clone, Debug)]
pub struct Guard {
    /// `[inputs]`, of length 1.
    direction: Vec<f64>,
    /// Inputs beyond it are marked, standard deviations.
    from: f64,
}

impl Rule {
    /// A rule of `units` tanh units over `inputs` numbers with `classes` answers.
    pub fn draw(units: usize, inputs: usize, classes: usize, seed: Seed) -> Self {
        let mut rng = seed.rng();
        let slope = GAIN / libm::sqrt(inputs as f64);
        let mut rows = |n: usize, width: usize, scale: f64| -> Vec<Vec<f64>> {
            (0..n).map(|_| (0..width).map(|_| scale * normal(&mut rng)).collect()).collect()
        };
        let mut rule = Self {
            units: rows(units, inputs, slope),
            outputs: rows(classes, units, 1.0),
            bias: vec![0.0; classes],
        };
        rule.level(inputs, &mut seed.child("level").rng());
        rule
    }

    /// The right answer to `x`.
    pub fn answer(&self, x: &[f32]) -> usize {
        first_largest(&self.scores(x))
    }

    /// `[classes]`
    fn scores(&self, x: &[f32]) -> Vec<f64> {
        let hidden: Vec<f64> = self.units.iter().map(|w| libm::tanh(dot(w, x))).collect();
        let sum = |row: &[f64]| row.iter().zip(&hidden).map(|(w, h)| w * h).sum::<f64>();
        self.outputs.iter().zip(&self.bias).map(|(row, b)| sum(row) + b).collect()
    }

    /// Scales every output to deviation 1 on a sample, then moves each by the logarithm of how much too
    /// often it wins, in smaller and smaller steps.
    fn level(&mut self, inputs: usize, rng: &mut impl Rng) {
        let sample: Vec<Vec<f32>> = (0..SAMPLE).map(|_| gaussian(rng, inputs)).collect();
        let mut scores: Vec<Vec<f64>> = sample.iter().map(|x| self.scores(x)).collect();
        for (class, row) in self.outputs.iter_mut().enumerate() {
            let square = scores.iter().map(|s| s[class] * s[class]).sum::<f64>();
            let scale = 1.0 / libm::sqrt(square / SAMPLE as f64).max(1e-9);
            row.iter_mut().for_each(|w| *w *= scale);
            scores.iter_mut().for_each(|s| s[class] *= scale);
        }
        let classes = self.bias.len() as f64;
        for round in 0..ROUNDS {
            let mut wins = vec![1.0; self.bias.len()];
            for s in &scores {
                let moved: Vec<f64> = s.iter().zip(&self.bias).map(|(s, b)| s + b).collect();
                wins[first_largest(&moved)] += 1.0;
            }
            let step = 0.5 / (1.0 + 0.1 * round as f64);
            for (bias, wins) in self.bias.iter_mut().zip(wins) {
                *bias -= step * libm::log(wins * classes / (SAMPLE as f64 + classes));
            }
        }
    }
}

impl Guard {
    /// Marks `share` of all inputs, between 0 and 1; at 0 it marks none.
    pub fn draw(share: f64, inputs: usize, seed: Seed) -> Self {
        let mut rng = seed.rng();
        let direction: Vec<f64> = (0..inputs).map(|_| normal(&mut rng)).collect();
        let length = libm::sqrt(direction.iter().map(|w| w * w).sum());
        let from = if share > 0.0 { normal_quantile(1.0 - share) } else { f64::INFINITY };
        Self { direction: direction.iter().map(|w| w / length).collect(), from }
    }

    /// Whether `x` must be refused.
    pub fn marks(&self, x: &[f32]) -> bool {
        dot(&self.direction, x) > self.from
    }
}

/// Independent standard-normal numbers.
pub fn gaussian(rng: &mut impl Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| normal(rng) as f32).collect()
}

fn dot(w: &[f64], x: &[f32]) -> f64 {
    w.iter().zip(x).map(|(w, &x)| w * f64::from(x)).sum()
}

fn first_largest(scores: &[f64]) -> usize {
    crate::oracle::argmax(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_about_equally_frequent() {
        for units in [1, 2, 6, 12, 48] {
            let rule = Rule::draw(units, 16, 4, Seed::new(5).nth("rule", units as u64));
            let mut rng = Seed::new(6).rng();
            let mut counts = [0; 4];
            (0..4_000).for_each(|_| counts[rule.answer(&gaussian(&mut rng, 16))] += 1);
            assert!(counts.iter().all(|&n| (700..1_300).contains(&n)), "{units}: {counts:?}");
        }
    }

    #[test]
    fn a_guard_marks_its_share_and_none_at_zero() {
        let marked = |share| {
            let guard = Guard::draw(share, 16, Seed::new(8));
            let mut rng = Seed::new(9).rng();
            (0..20_000).filter(|_| guard.marks(&gaussian(&mut rng, 16))).count()
        };
        assert_eq!(marked(0.0), 0);
        assert!((900..1_100).contains(&marked(0.05)), "{}", marked(0.05));
    }
}
