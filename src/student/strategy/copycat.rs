//! Copycat (Correia-Silva et al. 2018, arXiv:1806.05476): random pool rows with the label only, and moved copies of
//! them. A copy is a row of its own: it is asked, it is paid for, and it is learnt with the answer that it got.
//! Images are shifted by whole pixels and get noise; rows without an order get noise.

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::{Own, Strategy};
use crate::error::Result;
use crate::model::InputShape;
use crate::seed::{Seed, below, normal};
use crate::student::View;

/// Rows of one ask, copies included.
const BATCH: usize = 256;

pub(super) struct Copycat {
    order: Vec<usize>,
    next: usize,
    /// Moved copies of each row.
    copies: usize,
    /// Most pixels of a shift, in each direction.
    shift: usize,
    /// Standard deviation of the noise, as a share of the feature range.
    noise: f64,
    seed: Seed,
}

impl Copycat {
    pub(super) fn new(
        order: Vec<usize>,
        copies: usize,
        shift: usize,
        noise: f64,
        seed: Seed,
    ) -> Self {
        Self { order, next: 0, copies, shift, noise, seed }
    }

    /// Copy number `copy` of pool row `row`, the same whatever is asked beside it.
    fn moved(&self, view: &View<'_>, row: usize, copy: usize) -> Array1<f32> {
        let mut rng = self.seed.nth("row", row as u64).nth("copy", copy as u64).rng();
        let mut by = || below(&mut rng, 2 * self.shift + 1) as isize - self.shift as isize;
        let by = (by(), by());
        let mut moved = shifted(view.pool.row(row), view.shape, by, view.range.0);
        let sd = self.noise * f64::from(view.range.1 - view.range.0);
        moved.mapv_inplace(|x| {
            ((f64::from(x) + sd * normal(&mut rng)) as f32).clamp(view.range.0, view.range.1)
        });
        moved
    }
}

/// An image moved down and right by `by` pixels; what comes in is `empty`. Other rows stay as they are.
fn shifted(
    row: ArrayView1<'_, f32>,
    shape: InputShape,
    by: (isize, isize),
    empty: f32,
) -> Array1<f32> {
    let InputShape::Image { c, h, w } = shape else { return row.to_owned() };
    let mut out = Array1::from_elem(row.len(), empty);
    for channel in 0..c {
        for y in 0..h {
            for x in 0..w {
                let from = (y.checked_add_signed(-by.0), x.checked_add_signed(-by.1));
                if let (Some(from_y), Some(from_x)) = from
                    && from_y < h
                    && from_x < w
                {
                    out[(channel * h + y) * w + x] = row[(channel * h + from_y) * w + from_x];
                }
            }
        }
    }
    out
}

impl Strategy for Copycat {
    fn pick(&mut self, view: &View<'_>, rows: usize, _: Option<&dyn Own>) -> Result<Array2<f32>> {
        let each = self.copies + 1;
        let all = self.order.len() * each;
        let end = all.min(self.next + rows.min(BATCH));
        let mut picked = Array2::zeros((end - self.next, view.pool.ncols()));
        for (at, mut out) in (self.next..end).zip(picked.axis_iter_mut(Axis(0))) {
            let row = self.order[at / each];
            match at % each {
                0 => out.assign(&view.pool.row(row)),
                copy => out.assign(&self.moved(view, row, copy)),
            }
        }
        self.next = end;
        Ok(picked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::view_of;
    use super::*;
    use ndarray::array;

    #[test]
    fn an_image_moves_by_whole_pixels() {
        let shape = InputShape::Image { c: 1, h: 2, w: 3 };
        let row = array![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let to = |by| shifted(row.view(), shape, by, 0.0).to_vec();
        assert_eq!(to((0, 1)), [0.0, 1.0, 2.0, 0.0, 4.0, 5.0]);
        assert_eq!(to((-1, 0)), [4.0, 5.0, 6.0, 0.0, 0.0, 0.0]);
        assert_eq!(to((0, 0)), row.to_vec());
        assert_eq!(shifted(row.view(), InputShape::Flat(6), (1, 1), 0.0), row);
    }

    #[test]
    fn every_row_is_asked_with_its_copies_and_they_count() {
        let pool = Array2::from_shape_fn((5, 4), |(i, j)| (i + j) as f32 / 10.0);
        let mut view = view_of(&pool, &pool);
        view.shape = InputShape::Image { c: 1, h: 2, w: 2 };
        let new = || Copycat::new(vec![4, 2, 0, 1, 3], 2, 1, 0.01, Seed::new(1));
        let all = new().pick(&view, 100, None).unwrap();
        assert_eq!(all.nrows(), 15);
        assert_eq!(all.row(3), pool.row(2));
        assert!((0..15).all(|i| i % 3 == 0 || all.row(i) != all.row(i - i % 3)));
        // The same rows, however they are cut.
        let mut cut = new();
        let parts: Vec<_> = (0..5).map(|_| cut.pick(&view, 3, None).unwrap()).collect();
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        assert_eq!(ndarray::concatenate(Axis(0), &views).unwrap(), all);
    }
}
