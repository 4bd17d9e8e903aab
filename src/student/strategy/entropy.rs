//! Entropy: after a random start, each round asks the pool rows where the student's own prediction
//! has the highest entropy (uncertainty sampling in ActiveThief, Pal et al. 2020, section 4.3).

use ndarray::{Array2, ArrayView1, Axis};

use super::{Own, Rounds, Strategy};
use crate::error::Result;
use crate::student::View;

pub(super) struct Entropy {
    rounds: Rounds,
}

impl Entropy {
    pub(super) fn new(order: Vec<usize>, rounds: usize, seed_share: f64) -> Self {
        Self { rounds: Rounds::new(order, rounds, seed_share) }
    }
}

/// Entropy in nats, 0 log 0 = 0.
pub(super) fn entropy(row: ArrayView1<'_, f64>) -> f64 {
    -row.iter().filter(|p| **p > 0.0).map(|&p| p * libm::log(p)).sum::<f64>()
}

/// Places in descending order of score, the lower place first on ties.
pub(super) fn descending(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order
}

impl Strategy for Entropy {
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>> {
        let n = self.rounds.share(rows);
        let places = match own {
            Some(own) => {
                let waiting = view.pool.select(Axis(0), &self.rounds.waiting);
                let probs = own.probs(waiting.view())?;
                let scores: Vec<f64> = probs.rows().into_iter().map(entropy).collect();
                let mut order = descending(&scores);
                order.truncate(n);
                order
            }
            None => (0..n).collect(),
        };
        Ok(view.pool.select(Axis(0), &self.rounds.take(&places)))
    }

    fn wants_model(&self) -> bool {
        self.rounds.done > 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::{matrix, vectors};
    use super::*;

    #[test]
    fn reference_orders_are_matched() {
        let cases = vectors("uncertainty");
        assert_eq!(cases.len(), 3);
        for case in cases {
            let probs = matrix(&case["input"]["probs"]);
            let scores: Vec<f64> = probs.rows().into_iter().map(entropy).collect();
            for (got, want) in scores.iter().zip(case["expected"]["entropy"].as_array().unwrap()) {
                assert!((got - want.as_f64().unwrap()).abs() < 1e-10, "{}", case["id"]);
            }
            let order: Vec<u64> = descending(&scores).into_iter().map(|i| i as u64).collect();
            let want: Vec<u64> = case["expected"]["order_entropy"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_u64().unwrap())
                .collect();
            assert_eq!(order, want, "{}", case["id"]);
        }
    }
}
