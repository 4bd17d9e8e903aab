//! Honest: asks the pool as an honest user would, each row once. In-distribution selection is the
//! counter of gates that look for unnatural queries (Juuti et al. 2019, PRADA).

use ndarray::{Array2, Axis};

use super::{Own, Strategy};
use crate::error::Result;
use crate::seed::Seed;
use crate::student::View;
use crate::student::honest::{User, nearest_first, shifted};

/// Rows of one ask: large enough that batches pay, small enough that limits are met row by row.
const BATCH: usize = 256;

pub(super) struct Honest {
    order: Vec<usize>,
    user: User,
    next: usize,
    seed: Seed,
}

impl Honest {
    pub(super) fn new(order: Vec<usize>, user: User, seed: Seed) -> Self {
        Self { order, user, next: 0, seed }
    }
}

impl Strategy for Honest {
    fn pick(&mut self, view: &View<'_>, rows: usize, _: Option<&dyn Own>) -> Result<Array2<f32>> {
        if self.next == 0
            && self.user == User::NarrowTopic
            && let Some(&centre) = self.order.first()
        {
            self.order = nearest_first(view.pool, centre);
        }
        let end = (self.next + rows.min(BATCH)).min(self.order.len());
        let places = &self.order[self.next..end];
        let mut picked = view.pool.select(Axis(0), places);
        if self.user == User::Shifted {
            for (mut row, &place) in picked.rows_mut().into_iter().zip(places) {
                let moved = shifted(row.view(), view.range, self.seed.nth("row", place as u64));
                row.assign(&moved);
            }
        }
        self.next = end;
        Ok(picked)
    }
}
