//! Matrix products on one thread, for the sizes of students and small teachers.
//!
//! Two kernels. [`multiply`] keeps a tile of results in registers, broadcasts numbers of the left
//! matrix and streams rows of the right one (Goto and van de Geijn 2008, without their outer blocking:
//! a panel of the right matrix fits the second cache level for every network here). [`multiply_rows`]
//! is for two matrices whose rows both run along the sum. The instruction set is chosen at run time.
//!
//! A result is one chain of multiply-adds over the sum, whatever the number of rows asked for: a row's
//! answer never depends on the rows computed with it.

#![allow(unsafe_code, reason = "bounds are checked once per product, not once per number")]

mod rows;
mod tile;

use pulp::{Arch, Simd, WithSimd};

use rows::MultiplyRows;
use tile::{At, Every, MOST_ROWS, ROW_WIDTH, Tile, WIDTH, tile_rows};

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
    a.check(m, k);
    b.check(k, n);
    check_result(size, c, stride, start);
    if k == 0 {
        return empty_sums(size, c, stride, start);
    }
    let arch = Arch::new();
    // Parts of a long sum, so that tiles of both matrices stay near.
    let part = k.div_ceil(k.div_ceil(LONGEST_SUM).max(1));
    let mut from = 0;
    loop {
        let size = Size { m, k: part.min(k - from), n };
        let a = Matrix { data: &a.data[(from * a.column).min(a.data.len())..], ..a };
        let b = Matrix { data: &b.data[(from * b.row).min(b.data.len())..], ..b };
        let start = if from == 0 { start } else { Start::Result };
        arch.dispatch(Multiply { size, a, b, c: &mut *c, stride, start, pack: &mut *pack });
        from += part;
        if from >= k {
            return;
        }
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

struct Multiply<'a> {
    size: Size,
    a: Matrix<'a, f32>,
    b: Matrix<'a, f32>,
    c: &'a mut [f32],
    stride: usize,
    start: Start<'a, f32>,
    pack: &'a mut Vec<f32>,
}

/// Numbers of a line of the cache.
const LINE: usize = 16;
/// Numbers of the right matrix that are copied at once; they stay in the second cache level.
const GROUP: usize = 3 << 16;
/// Numbers between the terms of a turned left matrix from which on it is copied.
const FAR_APART: usize = 100;
/// Fewest rows that pay for copying a right matrix that can be read in place.
const FEW_ROWS: usize = 16;

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Size { m, k, n } = self.size;
        let lanes = S::F32_LANES;
        let width = WIDTH * lanes;
        let few = m <= FEW_ROWS && self.b.column == 1;
        let panels = if few { 1 } else { (GROUP / (k * width).max(1)).clamp(1, n.div_ceil(width)) };
        // A turned left matrix touches a line of the cache for each term of the sum. A large one would be
        // gone before the next panel: once is enough.
        let copied = !few && self.a.row == 1 && self.a.column >= FAR_APART && n > width;
        let room = panels * k * width + LINE + if copied { k * MOST_ROWS } else { 0 };
        if self.pack.len() < room {
            self.pack.resize(room, 0.0);
        }
        // Vectors that cross lines of the cache cost twice.
        let aligned = self.pack.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        let (pack, left_rows) = self.pack[aligned..].split_at_mut(panels * k * width);
        let tile =
            |c: &mut [f32], b: *const f32, every: usize, first: usize, columns: usize| Tile {
                k,
                a: self.a.data.as_ptr(),
                a_row: self.a.row,
                a_column: self.a.column,
                b,
                b_rows: Every(every),
                c: c[first..].as_mut_ptr(),
                stride: self.stride,
                columns,
                start: self.start,
                first,
            };
        if few {
            let mut first = 0;
            while first < n {
                let columns = match (n - first) / lanes {
                    whole @ 4.. if m == 1 => lanes * if whole >= ROW_WIDTH { ROW_WIDTH } else { 4 },
                    _ => width.min(n - first),
                };
                let vectors = columns.div_ceil(lanes);
                let (b, every) = match columns == vectors * lanes {
                    true => (self.b.data[first..].as_ptr(), self.b.row),
                    false => {
                        pack_panel(simd, self.b, k, first, columns, vectors * lanes, pack);
                        (pack.as_ptr(), vectors * lanes)
                    }
                };
                let mut tile = tile(self.c, b, every, first, columns);
                let mut left = m;
                while left > 0 {
                    let rows = tile_rows::<S>(left);
                    // SAFETY: `multiply` has checked a, b and c for these sizes; reading b in place is
                    // for whole vectors only, and a packed panel holds k rows of them.
                    unsafe {
                        tile.run(simd, rows, vectors);
                        tile = tile.below(rows);
                    }
                    left -= rows;
                }
                first += columns;
            }
            return;
        }
        // A group of panels at a time: each tile's rows of a and c are met once for all of them.
        for group in (0..n).step_by(panels * width) {
            let columns = (panels * width).min(n - group);
            for (panel, pack) in pack.chunks_mut((k * width).max(1)).enumerate().take(panels) {
                let at = panel * width;
                let Some(columns) = columns.checked_sub(at).filter(|c| *c > 0) else { break };
                let columns = columns.min(width);
                let wide = columns.next_multiple_of(lanes);
                pack_panel(simd, self.b, k, group + at, columns, wide, pack);
            }
            let (mut from, mut left) = (0, m);
            while left > 0 {
                let rows = tile_rows::<S>(left);
                if copied {
                    copy_rows(self.a, k, from, rows, left_rows);
                }
                for at in (0..columns).step_by(width) {
                    let columns = width.min(columns - at);
                    let vectors = columns.div_ceil(lanes);
                    let b = pack[at * k..].as_ptr();
                    let tile = tile(self.c, b, vectors * lanes, group + at, columns);
                    // SAFETY: as above; copied rows lie one term after the other.
                    unsafe {
                        let mut tile = tile.below(from);
                        if copied {
                            (tile.a, tile.a_row, tile.a_column) = (left_rows.as_ptr(), 1, rows);
                        }
                        tile.run(simd, rows, vectors);
                    }
                }
                from += rows;
                left -= rows;
            }
        }
    }
}

/// Copies `rows` rows of a turned left matrix from row `from` on, `[k, rows]`.
#[inline(always)]
fn copy_rows(a: Matrix<'_, f32>, k: usize, from: usize, rows: usize, to: &mut [f32]) {
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

/// Copies `columns` columns of b to rows of `width`, filled up with zeros.
#[inline(always)]
fn pack_panel<S: Simd>(
    simd: S,
    b: Matrix<'_, f32>,
    k: usize,
    first: usize,
    columns: usize,
    width: usize,
    pack: &mut [f32],
) {
    if b.column == 1 {
        for (row, to) in pack.chunks_exact_mut(width).take(k).enumerate() {
            let from = &b.data[row * b.row + first..][..columns];
            let (to, _) = S::as_mut_simd_f32s(to);
            let (whole, rest) = S::as_simd_f32s(from);
            to.iter_mut().zip(whole).for_each(|(to, from)| *to = *from);
            if !rest.is_empty() {
                to[whole.len()] = simd.partial_load_f32s(rest);
            }
        }
        return;
    }
    // Blocks of rows keep both sides of the turn in the first cache level.
    const BLOCK: usize = 16;
    for top in (0..k).step_by(BLOCK) {
        let rows = BLOCK.min(k - top);
        let to = &mut pack[top * width..(top + rows) * width];
        for j in 0..columns {
            let from = &b.data[(first + j) * b.column + top * b.row..];
            if b.row == 1 && rows == BLOCK {
                let from: &[f32; BLOCK] = from[..BLOCK].try_into().expect("a block of numbers");
                for (i, &value) in from.iter().enumerate() {
                    to[i * width + j] = value;
                }
            } else {
                for i in 0..rows {
                    to[i * width + j] = from[i * b.row];
                }
            }
        }
        if columns < width {
            to.chunks_exact_mut(width).for_each(|row| row[columns..].fill(0.0));
        }
    }
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
