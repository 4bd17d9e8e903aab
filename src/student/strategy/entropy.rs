//! Entropy: after a random start, each round asks the pool rows where the student's own prediction
//! is most uncertain (uncertainty sampling in ActiveThief, Pal et al. 2020).

use ndarray::{Array2, ArrayView1, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rounds::Rounds;
use super::{Own, Strategy};
use crate::error::Result;
use crate::student::View;

/// What counts as uncertain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// High entropy of the whole row.
    #[default]
    Entropy,
    /// Low largest probability.
    LeastConfidence,
    /// Small gap between the two largest probabilities.
    Margin,
}

pub(super) struct Entropy {
    rounds: Rounds,
    measure: Measure,
}

impl Entropy {
    pub(super) fn new(order: Vec<usize>, rounds: usize, seed_share: f64, measure: Measure) -> Self {
        Self { rounds: Rounds::new(order, rounds, seed_share), measure }
    }
}

impl Measure {
    /// Higher is less certain. Entropy is in nats, 0 log 0 = 0.
    fn score(self, row: ArrayView1<'_, f64>) -> f64 {
        let (first, second) = row.iter().fold((0.0_f64, 0.0_f64), |(first, second), &p| {
            if p > first { (p, first) } else { (first, second.max(p)) }
        });
        match self {
            Self::Entropy => {
                -row.iter().filter(|p| **p > 0.0).map(|&p| p * libm::log(p)).sum::<f64>()
            }
            Self::LeastConfidence => 1.0 - first,
            Self::Margin => second - first,
        }
    }
}

/// Places of the rows from least to most certain, the lower place first on ties.
fn uncertain_first(probs: &Array2<f64>, measure: Measure) -> Vec<usize> {
    let scores: Vec<f64> = probs.rows().into_iter().map(|row| measure.score(row)).collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order
}

impl Strategy for Entropy {
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>> {
        self.rounds.pick(view, rows, own, |rounds, _, own| {
            let waiting = view.pool.select(Axis(0), &rounds.waiting);
            Ok(uncertain_first(&own.probs(waiting.view())?, self.measure))
        })
    }

    fn wants_model(&self) -> bool {
        self.rounds.wants_model()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{matrix, vectors, whole};
    use super::*;

    #[test]
    fn reference_orders_are_matched() {
        let cases = vectors("uncertainty");
        assert_eq!(cases.len(), 3);
        for case in cases {
            let probs = matrix(&case["input"]["probs"]);
            for (row, want) in
                probs.rows().into_iter().zip(case["expected"]["entropy"].as_array().unwrap())
            {
                let got = Measure::Entropy.score(row);
                assert!((got - want.as_f64().unwrap()).abs() < 1e-10, "{}", case["id"]);
            }
            for (measure, name) in [
                (Measure::Entropy, "order_entropy"),
                (Measure::LeastConfidence, "order_least_confidence"),
                (Measure::Margin, "order_margin"),
            ] {
                let got = uncertain_first(&probs, measure);
                assert_eq!(got, whole(&case["expected"][name]), "{} {name}", case["id"]);
            }
        }
    }
}
