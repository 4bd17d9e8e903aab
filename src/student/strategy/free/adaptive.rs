//! Adaptive retraining (Tramer et al. 2016, section 6): evenly drawn points in the first of five rounds; in each round
//! after it a copy is trained on all answers so far, and three quarters of the round are points near the boundary of
//! that copy, found by bisection on the copy itself, which costs nothing; the rest are drawn evenly.

use ndarray::{Array2, Axis, Slice, concatenate};

use super::{distance, middle, pair, points};
use crate::error::{Error, Result};
use crate::oracle::top1;
use crate::seed::Seed;
use crate::student::View;
use crate::student::strategy::{Own, Strategy};

/// Share of a round that lies near the boundary of the copy.
const NEAR: f64 = 0.75;
/// Evenly drawn points in which two labels of the copy are looked for.
const LOOKED_AT: usize = 256;
/// Bisections after which a pair is near enough whatever `eps` says.
const HALVINGS: usize = 40;

pub(in crate::student::strategy) struct Adaptive {
    rounds: usize,
    /// L2 distance at which a bisection ends.
    eps: f64,
    seed: Seed,
    done: usize,
}

impl Adaptive {
    pub(in crate::student::strategy) const fn new(rounds: usize, eps: f64, seed: Seed) -> Self {
        Self { rounds, eps, seed, done: 0 }
    }

    /// At most `n` rows near the boundary of the copy: none if it gives one label to all points it was tried on.
    fn near(&self, view: &View<'_>, n: usize, own: &dyn Own, seed: Seed) -> Result<Array2<f32>> {
        let tried = points(LOOKED_AT, view.shape.len(), view.range, seed.child("tried"));
        let classes = top1(&own.probs(tried.view())?);
        let mut rng = seed.child("pairs").rng();
        let pairs: Vec<(usize, usize)> = (0..n).map_while(|_| pair(&classes, &mut rng)).collect();
        let place = |of: fn(&(usize, usize)) -> usize| pairs.iter().map(of).collect::<Vec<_>>();
        let home: Vec<usize> = pairs.iter().map(|(a, _)| classes[*a]).collect();
        let mut low = tried.select(Axis(0), &place(|p| p.0));
        let mut high = tried.select(Axis(0), &place(|p| p.1));
        for _ in 0..HALVINGS {
            let far = |i: usize| distance(low.row(i), high.row(i)) > self.eps;
            if !(0..pairs.len()).any(far) {
                break;
            }
            let mut between = low.clone();
            for (i, mut row) in between.rows_mut().into_iter().enumerate() {
                row.iter_mut().zip(middle(low.row(i), high.row(i))).for_each(|(x, m)| *x = m);
            }
            let classes = top1(&own.probs(between.view())?);
            for (i, row) in between.rows().into_iter().enumerate() {
                let end = if classes[i] == home[i] { &mut low } else { &mut high };
                end.row_mut(i).assign(&row);
            }
        }
        // Both sides in turn, so that neither label is missing.
        for i in (1..pairs.len()).step_by(2) {
            low.row_mut(i).assign(&high.row(i));
        }
        Ok(low)
    }
}

impl Strategy for Adaptive {
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>> {
        let left = self.rounds.saturating_sub(self.done).max(1);
        let n = rows.div_ceil(left).min(rows);
        let seed = self.seed.nth("round", self.done as u64);
        self.done += 1;
        let even = points(n, view.shape.len(), view.range, seed.child("even"));
        let Some(own) = own else { return Ok(even) };
        let near = self.near(view, (n as f64 * NEAR).round() as usize, own, seed)?;
        let rest = even.slice_axis(Axis(0), Slice::from(..n - near.nrows()));
        concatenate(Axis(0), &[near.view(), rest]).map_err(|e| Error::Internal(e.to_string()))
    }

    fn wants_model(&self) -> bool {
        self.done > 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Plain, view_of};
    use super::*;

    #[test]
    fn three_quarters_of_a_round_lie_at_the_boundary_of_the_copy() {
        let pool = Array2::zeros((1, 2));
        let view = view_of(&pool, &pool);
        let mut adaptive = Adaptive::new(5, 0.01, Seed::new(1));
        assert_eq!(adaptive.pick(&view, 200, None).unwrap().nrows(), 40);
        let rows = adaptive.pick(&view, 160, Some(&Plain)).unwrap();
        assert_eq!(rows.nrows(), 40);
        // The boundary of `Plain` is at 0.5 of the first feature.
        let near = rows.column(0).iter().take(30).filter(|x| (**x - 0.5).abs() < 0.011).count();
        assert_eq!(near, 30);
        assert!(rows.column(0).iter().skip(30).any(|x| (x - 0.5).abs() > 0.1));
        let sides = rows.column(0).iter().take(30).filter(|x| **x > 0.5).count();
        assert!((5..=25).contains(&sides), "{sides} on one side");
    }
}
