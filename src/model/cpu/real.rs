//! Numbers that layers compute with: 32 bits for work, 64 bits to check gradients by differences.

use super::gemm::{self, LANES, Matrix, Packed, Scattered, Size, Start};
use super::math;

/// A floating-point type of the executor.
pub(in crate::model) trait Real:
    num_traits::Float + num_traits::NumAssign + std::iter::Sum + Send + Sync + std::fmt::Debug + 'static
{
    /// The nearest number.
    fn of(value: f64) -> Self;
    /// Exactly, for both types.
    fn wide(self) -> f64;
    /// See [`gemm::multiply`].
    fn multiply(
        size: Size,
        a: Matrix<'_, Self>,
        b: Matrix<'_, Self>,
        c: &mut [Self],
        stride: usize,
        start: Start<'_, Self>,
        pack: &mut Vec<Self>,
    );
    /// See [`gemm::packed`].
    fn packed(k: usize, n: usize, b: Matrix<'_, Self>) -> Packed<Self>;
    /// See [`gemm::multiply_packed`].
    fn multiply_packed(
        m: usize,
        a: Matrix<'_, Self>,
        b: &Packed<Self>,
        c: &mut [Self],
        stride: usize,
        start: Start<'_, Self>,
        pack: &mut Vec<Self>,
    );
    /// See [`gemm::multiply_scattered`].
    fn multiply_scattered(
        size: Size,
        a: Matrix<'_, Self>,
        b: Scattered<'_, Self>,
        c: &mut [Self],
        stride: usize,
        start: Start<'_, Self>,
    );
    /// See [`gemm::multiply_rows`].
    fn multiply_rows(
        size: Size,
        a: Matrix<'_, Self>,
        b: Scattered<'_, Self>,
        c: &mut [Self],
        start: Start<'_, Self>,
    );
    /// e^x; fit for loops over many.
    fn fast_exp(self) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }

    fn multiply(
        size: Size,
        a: Matrix<'_, Self>,
        b: Matrix<'_, Self>,
        c: &mut [Self],
        stride: usize,
        start: Start<'_, Self>,
        pack: &mut Vec<Self>,
    ) {
        gemm::multiply(size, a, b, c, stride, start, pack);
    }

    fn packed(k: usize, n: usize, b: Matrix<'_, Self>) -> Packed<Self> {
        gemm::packed(k, n, b)
    }

    fn multiply_packed(
        m: usize,
        a: Matrix<'_, Self>,
        b: &Packed<Self>,
        c: &mut [Self],
        stride: usize,
        start: Start<'_, Self>,
        pack: &mut Vec<Self>,
    ) {
        gemm::multiply_packed(m, a, b, c, stride, start, pack);
    }

    fn multiply_scattered(
        size: Size,
        a: Matrix<'_, Self>,
        b: Scattered<'_, Self>,
        c: &mut [Self],
        stride: usize,
        start: Start<'_, Self>,
    ) {
        gemm::multiply_scattered(size, a, b, c, stride, start);
    }

    fn multiply_rows(
        size: Size,
        a: Matrix<'_, Self>,
        b: Scattered<'_, Self>,
        c: &mut [Self],
        start: Start<'_, Self>,
    ) {
        gemm::multiply_rows(size, a, b, c, start);
    }

    #[inline(always)]
    fn fast_exp(self) -> Self {
        math::exp32(self)
    }
}

/// The plainest form of each product: the reference that the fast ones are tested against.
impl Real for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }

    fn multiply(
        size: Size,
        a: Matrix<'_, Self>,
        b: Matrix<'_, Self>,
        c: &mut [Self],
        stride: usize,
        start: Start<'_, Self>,
        _pack: &mut Vec<Self>,
    ) {
        let right = |k: usize, j: usize| b.data[k * b.row + j * b.column];
        plain(size, a, right, c, stride, start);
    }

    /// Row after row.
    fn packed(k: usize, n: usize, b: Matrix<'_, Self>) -> Packed<Self> {
        let numbers = (0..k * n).map(|i| b.data[i / n * b.row + i % n * b.column]).collect();
        Packed::of(numbers, k, n)
    }

    fn multiply_packed(
        m: usize,
        a: Matrix<'_, Self>,
        b: &Packed<Self>,
        c: &mut [Self],
        stride: usize,
        start: Start<'_, Self>,
        _pack: &mut Vec<Self>,
    ) {
        let (k, n) = b.size();
        plain(Size { m, k, n }, a, |k, j| b.numbers()[k * n + j], c, stride, start);
    }

    fn multiply_scattered(
        size: Size,
        a: Matrix<'_, Self>,
        b: Scattered<'_, Self>,
        c: &mut [Self],
        stride: usize,
        start: Start<'_, Self>,
    ) {
        let wide = Size { n: size.n.next_multiple_of(LANES), ..size };
        plain(wide, a, |k, j| b.data[b.starts[k] + j], c, stride, start);
    }

    fn multiply_rows(
        size: Size,
        a: Matrix<'_, Self>,
        b: Scattered<'_, Self>,
        c: &mut [Self],
        start: Start<'_, Self>,
    ) {
        plain(size, a, |k, j| b.data[b.starts[j] + k], c, size.n, start);
    }

    #[inline(always)]
    fn fast_exp(self) -> Self {
        math::exp64(self)
    }
}

fn plain(
    size: Size,
    a: Matrix<'_, f64>,
    b: impl Fn(usize, usize) -> f64,
    c: &mut [f64],
    stride: usize,
    start: Start<'_, f64>,
) {
    for i in 0..size.m {
        for j in 0..size.n {
            let from = match start {
                Start::Zero => 0.0,
                Start::Columns(values) => values[j],
                Start::Result => c[i * stride + j],
            };
            let terms = (0..size.k).map(|k| a.data[i * a.row + k * a.column] * b(k, j));
            c[i * stride + j] = from + terms.sum::<f64>();
        }
    }
}
