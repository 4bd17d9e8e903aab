//! k-center: after a random start, each round adds the pool rows that are farthest, in the student's
//! probability space, from everything asked so far (greedy k-center, Gonzalez 1985; ActiveThief).

use ndarray::{Array2, ArrayView1, Axis};

use super::rounds::Rounds;
use super::{Own, Strategy};
use crate::error::Result;
use crate::student::View;

pub(super) struct KCenter {
    rounds: Rounds,
}

impl KCenter {
    pub(super) fn new(order: Vec<usize>, rounds: usize, seed_share: f64) -> Self {
        Self { rounds: Rounds::new(order, rounds, seed_share) }
    }
}

/// Adds `k` of `points`, each time the one farthest (L2) from `centers` and those added before; ties
/// to the lowest place. Distances to the nearest center are kept, so the cost is points x centers.
pub(super) fn farthest(points: &Array2<f64>, centers: &Array2<f64>, k: usize) -> Vec<usize> {
    let squared = |a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>| -> f64 {
        a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
    };
    let mut nearest: Vec<f64> = points
        .rows()
        .into_iter()
        .map(|p| centers.rows().into_iter().map(|c| squared(p, c)).fold(f64::INFINITY, f64::min))
        .collect();
    let mut picked = Vec::with_capacity(k);
    for _ in 0..k.min(points.nrows()) {
        let best = crate::oracle::argmax(&nearest);
        picked.push(best);
        for (i, point) in points.rows().into_iter().enumerate() {
            nearest[i] = nearest[i].min(squared(point, points.row(best)));
        }
        nearest[best] = f64::NEG_INFINITY; // taken
    }
    picked
}

impl Strategy for KCenter {
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>> {
        self.rounds.pick(view, rows, own, |rounds, n, own| {
            let points = own.probs(view.pool.select(Axis(0), &rounds.waiting).view())?;
            let centers = own.probs(view.pool.select(Axis(0), &rounds.asked).view())?;
            Ok(farthest(&points, &centers, n))
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

    /// Largest distance of any point to its nearest center.
    fn cover_radius(points: &Array2<f64>, centers: &Array2<f64>) -> f64 {
        let far = |p: ArrayView1<'_, f64>| {
            let to = |c: ArrayView1<'_, f64>| (&p - &c).mapv(|d| d * d).sum();
            centers.rows().into_iter().map(to).fold(f64::INFINITY, f64::min)
        };
        points.rows().into_iter().map(far).fold(0.0, f64::max).sqrt()
    }

    #[test]
    fn reference_orders_are_matched() {
        let cases = vectors("kcenter");
        assert_eq!(cases.len(), 5);
        for case in cases {
            let all = matrix(&case["input"]["points"]);
            let mut chosen = whole(&case["input"]["labelled"]);
            let rest: Vec<usize> = (0..all.nrows()).filter(|i| !chosen.contains(i)).collect();
            let k = case["input"]["k"].as_u64().unwrap() as usize;
            let picked = farthest(&all.select(Axis(0), &rest), &all.select(Axis(0), &chosen), k);
            let picked: Vec<usize> = picked.into_iter().map(|i| rest[i]).collect();
            assert_eq!(picked, whole(&case["expected"]["selected"]), "{}", case["id"]);
            chosen.extend(picked);
            let radius = cover_radius(&all, &all.select(Axis(0), &chosen));
            let want = case["expected"]["cover_radius"].as_f64().unwrap();
            assert!((radius - want).abs() < 1e-9, "{}", case["id"]);
        }
    }
}
