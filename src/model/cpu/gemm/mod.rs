//! Matrix products on one thread, for the sizes of students and small teachers.
//!
//! Two kernels. [`multiply`] keeps a tile of results in registers, broadcasts numbers of the left
//! matrix and streams rows of the right one (Goto and van de Geijn 2008). [`multiply_packed`] does the
//! same with a right matrix that lies in the kernel's order already. [`multiply_rows`] is for two matrices
//! whose rows both run along the sum. The instruction set is chosen at run time.
//!
//! A result is one chain of multiply-adds over the sum, whatever the number of rows asked for: a row's
//! answer never depends on the rows computed with it.

#![allow(unsafe_code, reason = "bounds are checked once per product, not once per number")]

mod blocks;
mod packed;
mod rows;
mod tile;

use pulp::{Arch, Simd, WithSimd};

use blocks::{Multiply, Right};
pub(in crate::model) use packed::{Packed, packed};
use rows::MultiplyRows;
use tile::{At, Tile, WIDTH, tile_rows};

/// A matrix inside a slice: number (i, j) lies at `i * row + j * column`.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Matrix<'a, T> {
    pub data: &'a [T],
    pub row: usize,
    pub column: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Row after row, `columns` numbers each.
    pub(in crate::model) const fn rows(data: &'a [T], columns: usize) -> Self {
        Self { data, row: columns, column: 1 }
    }

    /// The same numbers with rows and columns changed.
    pub(in crate::model) const fn turned(self) -> Self {
        Self { data: self.data, row: self.column, column: self.row }
    }

    fn check(&self, rows: usize, columns: usize) {
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * self.row + (columns - 1) * self.column;
            assert!(last < self.data.len(), "a matrix of {rows}x{columns} lies in its slice");
        }
    }
}

/// Rows of a right matrix that lie anywhere in a slice: row k starts at `starts[k]`. May overlap.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Scattered<'a, T> {
    pub data: &'a [T],
    pub starts: &'a [usize],
}

/// What the sums of a product start from.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) enum Start<'a, T> {
    Zero,
    /// The same number for each column.
    Columns(&'a [T]),
    /// What the result holds.
    Result,
}

/// Sizes of a product: `[m, k] x [k, n]`.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Size {
    pub m: usize,
    pub k: usize,
    pub n: usize,
}

/// Most columns that a kernel writes at once: results and scattered rows need this much room.
pub(in crate::model) const LANES: usize = 16;

/// c = start + a b, rows of c `stride` apart. `pack` is room to work in.
pub(in crate::model) fn multiply(
    size: Size,
    a: Matrix<'_, f32>,
    b: Matrix<'_, f32>,
    c: &mut [f32],
    stride: usize,
    start: Start<'_, f32>,
    pack: &mut Vec<f32>,
) {
    let Size { m, k, n } = size;
    if m == 0 || n == 0 {
        return;
    }
    b.check(k, n);
    multiply_any(size, a, Right::Loose(b), c, stride, start, pack);
}

/// c = start + a b for a packed matrix b, `m` rows; otherwise as [`multiply`].
pub(in crate::model) fn multiply_packed(
    m: usize,
    a: Matrix<'_, f32>,
    b: &Packed<f32>,
    c: &mut [f32],
    stride: usize,
    start: Start<'_, f32>,
    pack: &mut Vec<f32>,
) {
    let (k, n) = b.size();
    if m > 0 && n > 0 {
        multiply_any(Size { m, k, n }, a, Right::Packed(b), c, stride, start, pack);
    }
}

fn multiply_any(
    size: Size,
    a: Matrix<'_, f32>,
    b: Right<'_>,
    c: &mut [f32],
    stride: usize,
    start: Start<'_, f32>,
    pack: &mut Vec<f32>,
) {
    let Size { m, k, n } = size;
    a.check(m, k);
    check_result(size, c, stride, start);
    if k == 0 {
        return empty_sums(size, c, stride, start);
    }
    let arch = Arch::new();
    // Parts of a long sum, so that tiles of both matrices stay near.
    let part = k.div_ceil(k.div_ceil(LONGEST_SUM));
    for from in (0..k).step_by(part) {
        let size = Size { m, k: part.min(k - from), n };
        let a = Matrix { data: &a.data[from * a.column..], ..a };
        let start = if from == 0 { start } else { Start::Result };
        arch.dispatch(Multiply { size, from, a, b, c: &mut *c, stride, start, pack: &mut *pack });
    }
}

/// Sums of no terms are what they start from.
fn empty_sums(size: Size, c: &mut [f32], stride: usize, start: Start<'_, f32>) {
    for row in c.chunks_mut(stride).take(size.m) {
        match start {
            Start::Zero => row[..size.n].fill(0.0),
            Start::Columns(values) => row[..size.n].copy_from_slice(&values[..size.n]),
            Start::Result => {}
        }
    }
}

/// Most terms that are added before results are written.
const LONGEST_SUM: usize = 640;

/// c = start + a b for a right matrix of scattered rows, rows of c `stride` apart.
///
/// Both c and the rows of b reach on to the next multiple of [`LANES`] columns; what is computed there
/// has no meaning.
pub(in crate::model) fn multiply_scattered(
    size: Size,
    a: Matrix<'_, f32>,
    b: Scattered<'_, f32>,
    c: &mut [f32],
    stride: usize,
    start: Start<'_, f32>,
) {
    let Size { m, k, n } = size;
    if m == 0 || n == 0 {
        return;
    }
    a.check(m, k);
    let wide = Size { n: n.next_multiple_of(LANES), ..size };
    check_starts(b, k, wide.n);
    check_result(wide, c, stride, start);
    Arch::new().dispatch(MultiplyScattered { size: wide, a, b, c, stride, start });
}

/// c = start + a b^T for matrices whose rows both run along the sum: a `[m, k]`, rows `row` apart and
/// numbers of a row adjacent; row j of b at `starts[j]`. c `[m, n]` row after row.
pub(in crate::model) fn multiply_rows(
    size: Size,
    a: Matrix<'_, f32>,
    b: Scattered<'_, f32>,
    c: &mut [f32],
    start: Start<'_, f32>,
) {
    let Size { m, k, n } = size;
    if m == 0 || n == 0 {
        return;
    }
    assert_eq!(a.column, 1, "rows of the left matrix run along the sum");
    a.check(m, k);
    check_starts(b, n, k);
    check_result(size, c, n, start);
    Arch::new().dispatch(MultiplyRows { size, a, b, c, start });
}

fn check_result(size: Size, c: &[f32], stride: usize, start: Start<'_, f32>) {
    let Size { m, n, .. } = size;
    assert!(stride >= n && (m - 1) * stride + n <= c.len(), "results fit their slice");
    match start {
        Start::Columns(values) => assert!(values.len() >= n, "a start for each column"),
        Start::Zero | Start::Result => {}
    }
}

fn check_starts(b: Scattered<'_, f32>, rows: usize, length: usize) {
    assert!(b.starts.len() >= rows, "a start for each row");
    let last = b.starts[..rows].iter().max().copied().unwrap_or(0);
    assert!(rows == 0 || last + length <= b.data.len(), "scattered rows lie in their slice");
}

struct MultiplyScattered<'a> {
    size: Size,
    a: Matrix<'a, f32>,
    b: Scattered<'a, f32>,
    c: &'a mut [f32],
    stride: usize,
    start: Start<'a, f32>,
}

impl WithSimd for MultiplyScattered<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Size { m, k, n } = self.size;
        let lanes = S::F32_LANES;
        let width = WIDTH * lanes;
        for first in (0..n).step_by(width) {
            let columns = width.min(n - first);
            let mut tile = Tile {
                k,
                a: self.a.data.as_ptr(),
                a_row: self.a.row,
                a_column: self.a.column,
                b: self.b.data[first..].as_ptr(),
                b_rows: At(self.b.starts),
                b_vector: lanes,
                c: self.c[first..].as_mut_ptr(),
                stride: self.stride,
                columns,
                start: self.start,
                first,
            };
            let mut left = m;
            while left > 0 {
                let rows = tile_rows::<S>(left);
                // SAFETY: `multiply_scattered` has checked a, the starts and c for n rounded up to LANES,
                // which is a multiple of the lanes of every instruction set here.
                unsafe {
                    tile.run(simd, rows, columns.div_ceil(lanes));
                    tile = tile.below(rows);
                }
                left -= rows;
            }
        }
    }
}
