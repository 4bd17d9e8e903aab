//! Products of matrices whose rows both run along the sum: each result is a dot product in lanes.

use pulp::{Simd, WithSimd};

use super::{Matrix, Scattered, Size, Start};

/// See [`super::multiply_rows`].
pub(super) struct MultiplyRows<'a> {
    pub size: Size,
    pub a: Matrix<'a, f32>,
    pub b: Scattered<'a, f32>,
    pub c: &'a mut [f32],
    pub start: Start<'a, f32>,
}

impl WithSimd for MultiplyRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Size { m, n, .. } = self.size;
        for j in (0..n).step_by(3) {
            let columns = 3.min(n - j);
            let mut i = 0;
            while i < m {
                let rows = if m - i >= 4 { 4 } else { 1 };
                match (rows, columns) {
                    (4, 3) => self.dots::<S, 4, 3>(simd, i, j),
                    (4, _) => (0..columns).for_each(|c| self.dots::<S, 4, 1>(simd, i, j + c)),
                    (_, 3) => self.dots::<S, 1, 3>(simd, i, j),
                    _ => (0..columns).for_each(|c| self.dots::<S, 1, 1>(simd, i, j + c)),
                }
                i += rows;
            }
        }
    }
}

impl MultiplyRows<'_> {
    /// Results (i.., j..): sums along rows, lane by lane, then across lanes.
    #[inline(always)]
    fn dots<S: Simd, const R: usize, const C: usize>(&mut self, simd: S, i: usize, j: usize) {
        let Size { k, n, .. } = self.size;
        let left: [&[f32]; R] = std::array::from_fn(|r| {
            let from = (i + r) * self.a.row;
            &self.a.data[from..from + k]
        });
        let right: [&[f32]; C] = std::array::from_fn(|c| {
            let from = self.b.starts[j + c];
            &self.b.data[from..from + k]
        });
        let mut sums = [[simd.splat_f32s(0.0); C]; R];
        let lanes = S::F32_LANES;
        let whole = k / lanes * lanes;
        let mut at = 0;
        while at < whole {
            // SAFETY: `at + lanes` is at most k, the length of each of these slices.
            unsafe {
                let load = |from: &[f32]| from.as_ptr().add(at).cast::<S::f32s>().read_unaligned();
                let right: [S::f32s; C] = std::array::from_fn(|c| load(right[c]));
                for (row, left) in sums.iter_mut().zip(&left) {
                    let left = load(left);
                    for (sum, &right) in row.iter_mut().zip(&right) {
                        *sum = simd.mul_add_e_f32s(left, right, *sum);
                    }
                }
            }
            at += lanes;
        }
        if whole < k {
            let right: [S::f32s; C] =
                std::array::from_fn(|c| simd.partial_load_f32s(&right[c][whole..]));
            for (row, left) in sums.iter_mut().zip(&left) {
                let left = simd.partial_load_f32s(&left[whole..]);
                for (sum, &right) in row.iter_mut().zip(&right) {
                    *sum = simd.mul_add_e_f32s(left, right, *sum);
                }
            }
        }
        for (r, row) in sums.iter().enumerate() {
            for (c, &sum) in row.iter().enumerate() {
                let at = (i + r) * n + j + c;
                let start = match self.start {
                    Start::Zero => 0.0,
                    Start::Columns(values) => values[j + c],
                    Start::Result => self.c[at],
                };
                self.c[at] = start + simd.reduce_sum_f32s(sum);
            }
        }
    }
}
