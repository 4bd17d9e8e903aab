//! Pool rows that wait to be asked, and how many go in each round: shared by the active strategies.

use std::collections::BTreeSet;

use ndarray::{Array2, Axis};

use super::Own;
use crate::error::Result;
use crate::student::View;

pub(super) struct Rounds {
    /// Pool rows not asked yet, in seeded order.
    pub waiting: Vec<usize>,
    /// Pool rows asked so far.
    pub asked: Vec<usize>,
    /// Rounds done, the random start included.
    pub done: usize,
    rounds: usize,
    seed_share: f64,
}

impl Rounds {
    /// A random start with `seed_share` of the budget, then `rounds` equal parts.
    pub fn new(order: Vec<usize>, rounds: usize, seed_share: f64) -> Self {
        Self { waiting: order, asked: Vec::new(), rounds, seed_share, done: 0 }
    }

    /// Rows of this round, when `rows` can be paid for in all. At least one, while any are left.
    pub fn share(&self, rows: usize) -> usize {
        let want = if self.done == 0 {
            (rows as f64 * self.seed_share).round() as usize
        } else {
            rows.div_ceil((self.rounds + 1).saturating_sub(self.done).max(1))
        };
        want.max(1).min(rows).min(self.waiting.len())
    }

    /// The rows of a round, when `rows` can be paid for in all: the first of `places(self, n, own)`, places in the
    /// waiting list, or of the list itself while there is no model.
    pub fn pick(
        &mut self,
        view: &View<'_>,
        rows: usize,
        own: Option<&dyn Own>,
        places: impl FnOnce(&Self, usize, &dyn Own) -> Result<Vec<usize>>,
    ) -> Result<Array2<f32>> {
        let n = self.share(rows);
        let mut places = match own {
            Some(own) if n > 0 => places(self, n, own)?,
            _ => (0..n).collect(),
        };
        places.truncate(n);
        let picked = self.take(&places);
        self.asked.extend(&picked);
        Ok(view.pool.select(Axis(0), &picked))
    }

    /// True once the random start is over, while rows wait.
    pub const fn wants_model(&self) -> bool {
        self.done > 0 && !self.waiting.is_empty()
    }

    /// Takes the rows at these places of the waiting list, in the order given.
    pub fn take(&mut self, places: &[usize]) -> Vec<usize> {
        let picked: Vec<usize> = places.iter().map(|&i| self.waiting[i]).collect();
        let gone: BTreeSet<usize> = places.iter().copied().collect();
        let mut place = 0;
        self.waiting.retain(|_| {
            place += 1;
            !gone.contains(&(place - 1))
        });
        self.done += 1;
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_spent_exactly_in_the_rounds_announced() {
        for (budget, rounds) in [(100, 4), (101, 3), (7, 10), (1, 4)] {
            let mut plan = Rounds::new((0..500).collect(), rounds, 0.25);
            let mut left = budget;
            while left > 0 {
                let n = plan.share(left);
                assert!(n > 0);
                left -= plan.take(&(0..n).collect::<Vec<_>>()).len();
            }
            assert!(plan.done <= rounds + 1, "{} rounds of {rounds}", plan.done);
        }
    }

    #[test]
    fn rows_leave_the_waiting_list_in_the_order_asked() {
        let mut plan = Rounds::new(vec![5, 6, 7, 8], 2, 0.5);
        assert_eq!(plan.take(&[3, 0]), [8, 5]);
        assert_eq!(plan.waiting, [6, 7]);
    }
}
