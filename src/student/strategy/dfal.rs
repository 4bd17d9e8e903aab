//! Adversarial active learning (Ducoffe and Precioso 2018, arXiv:1802.09841; ActiveThief, Pal et al. 2020): after a
//! random start, each round asks the pool rows that lie nearest to the decision boundary of the student's own model, by
//! DeepFool. With a filter it takes more of those than it can ask, and of them the ones that cover the model's
//! probability space (DFAL + k-center in ActiveThief).

use ndarray::{Array2, Axis};

use super::deep_fool::distances;
use super::k_center::farthest;
use super::rounds::Rounds;
use super::{Own, Strategy};
use crate::error::Result;
use crate::student::View;

pub(super) struct Dfal {
    rounds: Rounds,
    /// Steps of DeepFool.
    iterations: usize,
    /// Waiting rows looked at in a round.
    candidates: usize,
    /// Rows that pass DeepFool for each row asked; none where it decides alone.
    filter: Option<usize>,
}

impl Dfal {
    pub(super) const fn new(
        rounds: Rounds,
        iterations: usize,
        candidates: usize,
        filter: Option<usize>,
    ) -> Self {
        Self { rounds, iterations, candidates, filter }
    }
}

impl Strategy for Dfal {
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>> {
        let Self { rounds, iterations, candidates, filter } = self;
        rounds.pick(view, rows, own, |rounds, n, own| {
            let looked_at = rounds.waiting.len().min(n.max(*candidates));
            let rows = view.pool.select(Axis(0), &rounds.waiting[..looked_at]);
            let far = distances(rows.view(), own, *iterations)?;
            let mut near_first: Vec<usize> = (0..looked_at).collect();
            near_first.sort_by(|&a, &b| far[a].total_cmp(&far[b]).then(a.cmp(&b)));
            let Some(filter) = filter else { return Ok(near_first) };
            near_first.truncate(n.saturating_mul(*filter));
            let points = own.probs(rows.select(Axis(0), &near_first).view())?;
            let centers = own.probs(view.pool.select(Axis(0), &rounds.asked).view())?;
            Ok(farthest(&points, &centers, n).into_iter().map(|i| near_first[i]).collect())
        })
    }

    fn wants_model(&self) -> bool {
        self.rounds.wants_model()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Plain, view_of};
    use super::*;
    use ndarray::array;

    #[test]
    fn rows_next_to_the_boundary_come_first_and_the_filter_spreads_them() {
        // The boundary of `Plain` is at 0.5.
        let pool = array![[0.1_f32], [0.52], [0.9], [0.47], [0.3], [0.51], [0.05], [0.49]];
        let view = view_of(&pool, &pool);
        let of = |filter| {
            let rounds = Rounds::new((0..8).collect(), 1, 0.2);
            let mut dfal = Dfal::new(rounds, 20, 100, filter);
            dfal.pick(&view, 3, None).unwrap(); // the row at 0.1
            dfal.pick(&view, 2, Some(&Plain)).unwrap()
        };
        let near = of(None);
        assert!(near.iter().all(|x| (x - 0.5).abs() < 0.011), "{near}");
        // Of the four nearest: the farthest from 0.1, then the farthest from both.
        assert_eq!(of(Some(2)), array![[0.52], [0.47]]);
    }
}
