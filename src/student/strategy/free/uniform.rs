//! Uniform: points drawn evenly from the valid range of every feature (Tramer et al. 2016, section 6, "uniform
//! queries"). A larger budget asks the same points and more.

use ndarray::Array2;

use super::{BATCH, points};
use crate::error::Result;
use crate::seed::Seed;
use crate::student::View;
use crate::student::strategy::{Own, Strategy};

pub(in crate::student::strategy) struct Uniform {
    seed: Seed,
    asked: u64,
}

impl Uniform {
    pub(in crate::student::strategy) const fn new(seed: Seed) -> Self {
        Self { seed, asked: 0 }
    }
}

impl Strategy for Uniform {
    fn pick(&mut self, view: &View<'_>, rows: usize, _: Option<&dyn Own>) -> Result<Array2<f32>> {
        let n = rows.min(BATCH);
        let mut all = Array2::zeros((n, view.shape.len()));
        for mut row in all.rows_mut() {
            let seed = self.seed.nth("point", self.asked);
            row.assign(&points(1, view.shape.len(), view.range, seed).row(0));
            self.asked += 1;
        }
        Ok(all)
    }
}
