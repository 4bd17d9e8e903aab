//! A right matrix in the kernel's order: vector after vector of its columns, each `[k, lanes]`, the last
//! one filled up with zeros.

use pulp::{Arch, Simd, WithSimd};

use super::Matrix;
use super::tile::WIDTH;

/// Numbers of a line of the cache: vectors that cross lines cost twice.
const LINE: usize = 16;

/// Right matrix of products to come.
#[derive(Debug)]
pub(in crate::model) struct Packed<T> {
    numbers: Vec<T>,
    k: usize,
    n: usize,
}

impl<T> Packed<T> {
    /// Of numbers in the order that the products of this type expect.
    pub(in crate::model) const fn of(numbers: Vec<T>, k: usize, n: usize) -> Self {
        Self { numbers, k, n }
    }

    /// Its rows and columns.
    pub(in crate::model) const fn size(&self) -> (usize, usize) {
        (self.k, self.n)
    }

    /// Its numbers as they lie.
    pub(in crate::model) fn numbers(&self) -> &[T] {
        &self.numbers
    }
}

/// A copy of b `[k, n]`.
pub(in crate::model) fn packed(k: usize, n: usize, b: Matrix<'_, f32>) -> Packed<f32> {
    b.check(k, n);
    let mut numbers = Vec::new();
    if k > 0 {
        Arch::new().dispatch(Pack { k, n, b, numbers: &mut numbers });
    }
    Packed::of(numbers, k, n)
}

struct Pack<'a> {
    k: usize,
    n: usize,
    b: Matrix<'a, f32>,
    numbers: &'a mut Vec<f32>,
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { k, n, b, numbers } = self;
        let to = aligned(numbers, k * n.next_multiple_of(S::F32_LANES));
        pack_columns(simd, b, k, 0, n, to);
    }
}

/// `len` numbers that start with a line of the cache, in a buffer that grows if it must.
pub(super) fn aligned(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len + LINE {
        buffer.resize(len + LINE, 0.0);
    }
    let first = first_line(buffer);
    &mut buffer[first..first + len]
}

/// Where the first whole line of the cache starts.
pub(super) fn first_line(buffer: &[f32]) -> usize {
    buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE)
}

/// Copies `columns` columns of b from column `first` on into the kernel's order.
#[inline(always)]
pub(super) fn pack_columns<S: Simd>(
    simd: S,
    b: Matrix<'_, f32>,
    k: usize,
    first: usize,
    columns: usize,
    to: &mut [f32],
) {
    let width = WIDTH * S::F32_LANES;
    for at in (0..columns).step_by(width) {
        let columns = width.min(columns - at);
        let to = &mut to[at * k..][..columns.next_multiple_of(S::F32_LANES) * k];
        match b.column {
            1 => pack_rows(simd, b, k, first + at, columns, to),
            _ => pack_turned::<S>(b, k, first + at, columns, to),
        }
    }
}

/// Columns of a matrix whose rows lie together.
#[inline(always)]
fn pack_rows<S: Simd>(
    simd: S,
    b: Matrix<'_, f32>,
    k: usize,
    first: usize,
    columns: usize,
    to: &mut [f32],
) {
    // A place for each vector of the panel, so that a row is read once.
    let mut places = to.chunks_exact_mut(k * S::F32_LANES).map(|to| S::as_mut_simd_f32s(to).0);
    let mut places: [&mut [S::f32s]; WIDTH] =
        std::array::from_fn(|_| places.next().unwrap_or_default());
    for row in 0..k {
        let from = &b.data[row * b.row + first..][..columns];
        let (whole, rest) = S::as_simd_f32s(from);
        places.iter_mut().zip(whole).for_each(|(to, &from)| to[row] = from);
        if !rest.is_empty() {
            places[whole.len()][row] = simd.partial_load_f32s(rest);
        }
    }
}

/// Columns of a matrix whose rows do not.
#[inline(always)]
fn pack_turned<S: Simd>(
    b: Matrix<'_, f32>,
    k: usize,
    first: usize,
    columns: usize,
    to: &mut [f32],
) {
    // Blocks of rows keep both sides of the turn in the first cache level.
    const BLOCK: usize = 16;
    let lanes = S::F32_LANES;
    for (v, to) in to.chunks_exact_mut(k * lanes).enumerate() {
        let (first, columns) = (first + v * lanes, lanes.min(columns - v * lanes));
        for (block, to) in to.chunks_mut(BLOCK * lanes).enumerate() {
            let top = block * BLOCK;
            for j in 0..columns {
                let from = &b.data[(first + j) * b.column + top * b.row..];
                let rows = to.chunks_exact_mut(lanes);
                if b.row == 1 {
                    rows.zip(from).for_each(|(to, &from)| to[j] = from);
                } else {
                    rows.enumerate().for_each(|(i, to)| to[j] = from[i * b.row]);
                }
            }
            if columns < lanes {
                to.chunks_exact_mut(lanes).for_each(|to| to[columns..].fill(0.0));
            }
        }
    }
}

/// Copies `rows` rows of a turned left matrix from row `from` on, `[k, rows]`.
#[inline(always)]
pub(super) fn copy_rows(a: Matrix<'_, f32>, k: usize, from: usize, rows: usize, to: &mut [f32]) {
    match rows {
        8 => copy_rows_of::<8>(a, k, from, to),
        4 => copy_rows_of::<4>(a, k, from, to),
        2 => copy_rows_of::<2>(a, k, from, to),
        _ => copy_rows_of::<1>(a, k, from, to),
    }
}

#[inline(always)]
fn copy_rows_of<const R: usize>(a: Matrix<'_, f32>, k: usize, from: usize, to: &mut [f32]) {
    let (to, _) = to.as_chunks_mut::<R>();
    for (i, to) in to.iter_mut().take(k).enumerate() {
        let at = i * a.column + from;
        to.copy_from_slice(&a.data[at..at + R]);
    }
}
