//! Pool rows that wait to be asked, and how many go in each round: shared by the active strategies.

use std::collections::BTreeSet;

pub(super) struct Rounds {
    /// Pool rows not asked yet, in seeded order.
    pub waiting: Vec<usize>,
    /// Rounds done, the random start included.
    pub done: usize,
    rounds: usize,
    seed_share: f64,
}

impl Rounds {
    /// A random start with `seed_share` of the budget, then `rounds` equal parts.
    pub fn new(order: Vec<usize>, rounds: usize, seed_share: f64) -> Self {
        Self { waiting: order, rounds, seed_share, done: 0 }
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
