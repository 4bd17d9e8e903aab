//! What is true: the rule of a capability area, and the region that a guardrail marks.
//!
//! A rule is a random network of units on standard-normal inputs; its largest output is the right answer.
//! A unit is lopsided, tanh(u + 1) - tanh(u - 1) / 2: of tanh alone a rule would be nearly linear, and a
//! hundred examples would do. More units bend the borders between answers more often, so more examples
//! are needed to find them. Nothing else differs between areas.

use rand::Rng;

use crate::metric::normal_quantile;
use crate::oracle::argmax;
use crate::seed::{Seed, normal};

/// Slope of a unit: the standard deviation of u.
const GAIN: f64 = 2.0;
/// Inputs on which a rule's outputs are levelled.
const SAMPLE: usize = 2_000;
/// Rounds of levelling.
const ROUNDS: usize = 60;
/// Draws of which the first is taken whose most frequent answer is at most so much too frequent, or the
/// levellest of all: few units can have plateaus that no bias divides.
const DRAWS: u64 = 16;
const LEVEL: f64 = 1.3;

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
    /// A rule of `units` units over `inputs` numbers with `classes` answers.
    pub fn draw(units: usize, inputs: usize, classes: usize, seed: Seed) -> Self {
        let mut best: Option<(f64, Self)> = None;
        for i in 0..DRAWS {
            let (most, rule) = Self::candidate(units, inputs, classes, seed.nth("draw", i));
            if best.as_ref().is_none_or(|(least, _)| most < *least) {
                best = Some((most, rule));
            }
            if most <= LEVEL / classes as f64 {
                break;
            }
        }
        best.expect("at least one draw").1
    }

    /// The right answer to `x`.
    pub fn answer(&self, x: &[f32]) -> usize {
        argmax(&self.scores(x))
    }

    /// A rule, and the share of its most frequent answer.
    fn candidate(units: usize, inputs: usize, classes: usize, seed: Seed) -> (f64, Self) {
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
        let most = rule.level(inputs, &mut seed.child("level").rng());
        (most, rule)
    }

    /// `[classes]`
    fn scores(&self, x: &[f32]) -> Vec<f64> {
        let hidden: Vec<f64> = self.units.iter().map(|w| unit(dot(w, x))).collect();
        let sum = |row: &[f64]| row.iter().zip(&hidden).map(|(w, h)| w * h).sum::<f64>();
        self.outputs.iter().zip(&self.bias).map(|(row, b)| sum(row) + b).collect()
    }

    /// Brings outputs to mean 0 and, all together, to deviation 1 on a sample, then moves each by the
    /// logarithm of how much too often it wins, in smaller and smaller steps. Gives the share of the most
    /// frequent answer.
    fn level(&mut self, inputs: usize, rng: &mut impl Rng) -> f64 {
        let mut scores: Vec<Vec<f64>> =
            (0..SAMPLE).map(|_| self.scores(&gaussian(rng, inputs))).collect();
        self.standardise(&mut scores);
        let classes = self.bias.len();
        let mut most = 1.0_f64;
        for round in 0..ROUNDS {
            let mut wins = vec![0_usize; classes];
            for row in &scores {
                let moved: Vec<f64> = row.iter().zip(&self.bias).map(|(s, b)| s + b).collect();
                wins[argmax(&moved)] += 1;
            }
            most = wins.iter().copied().max().unwrap_or(0) as f64 / SAMPLE as f64;
            if round + 1 == ROUNDS {
                break;
            }
            let step = 0.5 / (1.0 + 0.1 * round as f64);
            for (bias, wins) in self.bias.iter_mut().zip(wins) {
                let share = (wins + 1) as f64 / (SAMPLE + classes) as f64;
                *bias -= step * libm::log(share * classes as f64);
            }
        }
        most
    }

    /// Scales weights and moves biases so that columns of `scores`, `[sample][classes]` without biases,
    /// have mean 0 and a mean variance of 1; `scores` then hold the scaled sums, means still inside. One
    /// scale for all keeps their slopes apart: a rule of one unit with equal slopes has two answers.
    fn standardise(&mut self, scores: &mut [Vec<f64>]) {
        let n = scores.len() as f64;
        let classes = self.bias.len();
        let mean = |class: usize| scores.iter().map(|s| s[class]).sum::<f64>() / n;
        let means: Vec<f64> = (0..classes).map(mean).collect();
        let off = |s: &Vec<f64>| s.iter().zip(&means).map(|(s, m)| (s - m) * (s - m)).sum::<f64>();
        let variance = scores.iter().map(off).sum::<f64>() / (n * classes as f64);
        let scale = 1.0 / libm::sqrt(variance).max(1e-9);
        self.outputs.iter_mut().flatten().for_each(|w| *w *= scale);
        scores.iter_mut().flatten().for_each(|s| *s *= scale);
        self.bias = means.iter().map(|m| -m * scale).collect();
    }
}

/// A unit's answer to what enters it.
fn unit(u: f64) -> f64 {
    libm::tanh(u + 1.0) - 0.5 * libm::tanh(u - 1.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_about_equally_frequent() {
        for (units, seed) in [1, 2, 6, 12, 48].into_iter().flat_map(|u| [(u, 1), (u, 2), (u, 3)]) {
            let rule = Rule::draw(units, 16, 4, Seed::new(seed).nth("rule", units as u64));
            let mut rng = Seed::new(6).rng();
            let mut counts = [0; 4];
            (0..4_000).for_each(|_| counts[rule.answer(&gaussian(&mut rng, 16))] += 1);
            assert!(counts.iter().all(|&n| (500..1_500).contains(&n)), "{units}: {counts:?}");
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
