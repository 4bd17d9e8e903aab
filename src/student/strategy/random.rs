//! Random: pool rows in a seeded order, each once. A larger budget asks the same rows and more.

use ndarray::{Array2, Axis};

use super::{Own, Strategy};
use crate::error::Result;
use crate::student::View;

/// Rows of one ask: large enough that batches pay, small enough that limits are met row by row.
const BATCH: usize = 256;

pub(super) struct Random {
    order: Vec<usize>,
    next: usize,
}

impl Random {
    pub(super) fn new(order: Vec<usize>) -> Self {
        Self { order, next: 0 }
    }
}

impl Strategy for Random {
    fn pick(&mut self, view: &View<'_>, rows: usize, _: Option<&dyn Own>) -> Result<Array2<f32>> {
        let end = (self.next + rows.min(BATCH)).min(self.order.len());
        let picked = view.pool.select(Axis(0), &self.order[self.next..end]);
        self.next = end;
        Ok(picked)
    }
}
