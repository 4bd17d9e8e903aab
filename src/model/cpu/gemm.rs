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

use pulp::{Arch, Simd, WithSimd};

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

/// Where row k of a right matrix starts.
trait Place: Copy {
    /// # Safety
    /// k is below the number of rows checked.
    unsafe fn at(self, k: usize) -> usize;
}

#[derive(Clone, Copy)]
struct Every(usize);

impl Place for Every {
    #[inline(always)]
    unsafe fn at(self, k: usize) -> usize {
        k * self.0
    }
}

#[derive(Clone, Copy)]
struct At<'a>(&'a [usize]);

impl Place for At<'_> {
    #[inline(always)]
    unsafe fn at(self, k: usize) -> usize {
        // SAFETY: the caller keeps k below the number of rows, for each of which there is a start.
        unsafe { *self.0.get_unchecked(k) }
    }
}

/// A tile's place: `rows` x `columns` results at `c`.
#[derive(Clone, Copy)]
struct Tile<'a, P> {
    k: usize,
    a: *const f32,
    a_row: usize,
    a_column: usize,
    b: *const f32,
    b_rows: P,
    c: *mut f32,
    stride: usize,
    columns: usize,
    start: Start<'a, f32>,
    /// First column, to find the start.
    first: usize,
}

impl<P: Place> Tile<'_, P> {
    /// # Safety
    /// Every number that the tile names lies inside the slices it was made from, and b can be read up
    /// to `V` whole vectors.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let lanes = S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for (i, row) in sums.iter_mut().enumerate() {
            for (v, sum) in row.iter_mut().enumerate() {
                let left = self.columns.saturating_sub(v * lanes).min(lanes);
                *sum = match self.start {
                    Start::Zero => simd.splat_f32s(0.0),
                    Start::Columns(values) => {
                        let from = self.first + v * lanes;
                        simd.partial_load_f32s(&values[from..from + left])
                    }
                    Start::Result => {
                        // SAFETY: the result's own numbers.
                        let old = unsafe {
                            let at = self.c.add(i * self.stride + v * lanes);
                            std::slice::from_raw_parts(at, left)
                        };
                        simd.partial_load_f32s(old)
                    }
                };
            }
        }
        for k in 0..self.k {
            // SAFETY: as the caller promises.
            unsafe {
                let from = self.b.add(self.b_rows.at(k));
                let right: [S::f32s; V] =
                    std::array::from_fn(|v| from.add(v * lanes).cast::<S::f32s>().read_unaligned());
                let left = self.a.add(k * self.a_column);
                for (i, row) in sums.iter_mut().enumerate() {
                    let left = simd.splat_f32s(*left.add(i * self.a_row));
                    for (sum, &right) in row.iter_mut().zip(&right) {
                        *sum = simd.mul_add_e_f32s(left, right, *sum);
                    }
                }
            }
        }
        for (i, row) in sums.iter().enumerate() {
            for (v, &sum) in row.iter().enumerate() {
                let left = self.columns.saturating_sub(v * lanes).min(lanes);
                // SAFETY: the result's own numbers.
                let to = unsafe {
                    let at = self.c.add(i * self.stride + v * lanes);
                    std::slice::from_raw_parts_mut(at, left)
                };
                match left == lanes {
                    // SAFETY: a whole vector of the result.
                    true => unsafe { to.as_mut_ptr().cast::<S::f32s>().write_unaligned(sum) },
                    false => simd.partial_store_f32s(to, sum),
                }
            }
        }
    }

    /// As [`Self::run`] for `vectors` of up to V.
    ///
    /// # Safety
    /// As for [`Self::run`].
    #[inline(always)]
    unsafe fn run_wide<S: Simd, const R: usize>(self, simd: S, vectors: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            match vectors {
                1 => self.run::<S, R, 1>(simd),
                2 => self.run::<S, R, 2>(simd),
                3 => self.run::<S, R, 3>(simd),
                // Only a single row comes this wide.
                4 => self.run::<S, 1, 4>(simd),
                _ => self.run::<S, 1, ROW_WIDTH>(simd),
            }
        }
    }
}

/// Vectors of a panel.
const WIDTH: usize = 3;
/// Vectors of a panel for a single row: long stretches of the right matrix are read at once.
const ROW_WIDTH: usize = 8;

/// Rows of the next tile when so many are left. Vectors of 8 numbers come with 16 registers, all others
/// here with 32.
#[inline(always)]
const fn tile_rows<S: Simd>(left: usize) -> usize {
    match left {
        8.. if S::F32_LANES != 8 => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// One panel of columns for all rows of the left matrix, tiles of at most R rows.
///
/// A `packed` left matrix holds its tiles one after the other, `[k, rows]` each.
///
/// # Safety
/// As for [`Tile::run`], for every row below `m`.
#[inline(always)]
unsafe fn panel<S: Simd, P: Place>(
    simd: S,
    m: usize,
    tile: Tile<'_, P>,
    vectors: usize,
    packed: bool,
) {
    let mut tile = tile;
    let mut left = m;
    while left > 0 {
        let rows = tile_rows::<S>(left);
        if packed {
            (tile.a_row, tile.a_column) = (1, rows);
        }
        // SAFETY: rows up to m are inside, as the caller promises.
        unsafe {
            match rows {
                8 => tile.run_wide::<S, 8>(simd, vectors),
                4 => tile.run_wide::<S, 4>(simd, vectors),
                2 => tile.run_wide::<S, 2>(simd, vectors),
                _ => tile.run_wide::<S, 1>(simd, vectors),
            }
            tile.a = tile.a.add(rows * if packed { tile.k } else { tile.a_row });
            tile.c = tile.c.add(rows * tile.stride);
        }
        left -= rows;
    }
}

/// Numbers between neighbours of a column from which on a turned left matrix is copied.
const FAR_APART: usize = 256;

/// Copies a left matrix of adjacent rows (`row` is 1) to tiles `[k, rows]`.
#[inline(always)]
fn pack_tiles<S: Simd>(a: Matrix<'_, f32>, m: usize, k: usize, pack: &mut [f32]) {
    let (mut first, mut rest) = (0, pack);
    while first < m {
        let rows = tile_rows::<S>(m - first);
        let (tile, others) = rest.split_at_mut(k * rows);
        for (i, to) in tile.chunks_exact_mut(rows).enumerate() {
            let from = i * a.column + first;
            to.copy_from_slice(&a.data[from..from + rows]);
        }
        (first, rest) = (first + rows, others);
    }
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

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Size { m, k, n } = self.size;
        let lanes = S::F32_LANES;
        let width = WIDTH * lanes;
        // A turned left matrix touches a new line of the cache for each term of the sum; once for each
        // panel of the right one is too often.
        let packed = self.a.row == 1 && self.a.column >= FAR_APART && n > width;
        let room = k * width + if packed { m * k } else { 0 };
        if self.pack.len() < room {
            self.pack.resize(room, 0.0);
        }
        let (for_b, for_a) = self.pack.split_at_mut(k * width);
        if packed {
            pack_tiles::<S>(self.a, m, k, for_a);
        }
        let mut next = 0;
        while next < n {
            let first = next;
            let columns = match (n - first) / lanes {
                whole @ 4.. if m == 1 && self.b.column == 1 => {
                    lanes * if whole >= ROW_WIDTH { ROW_WIDTH } else { 4 }
                }
                _ => width.min(n - first),
            };
            next += columns;
            let vectors = columns.div_ceil(lanes);
            // Few rows do not pay for a copy, if whole vectors can be read in place.
            let in_place = self.b.column == 1 && columns == vectors * lanes && m <= 16;
            let (b, every) = match in_place {
                true => (self.b.data[first..].as_ptr(), self.b.row),
                false => {
                    pack_panel(simd, self.b, k, first, columns, vectors * lanes, for_b);
                    (for_b.as_ptr(), vectors * lanes)
                }
            };
            let tile = Tile {
                k,
                a: if packed { for_a.as_ptr() } else { self.a.data.as_ptr() },
                a_row: self.a.row,
                a_column: self.a.column,
                b,
                b_rows: Every(every),
                c: self.c[first..].as_mut_ptr(),
                stride: self.stride,
                columns,
                start: self.start,
                first,
            };
            // SAFETY: `multiply` has checked a, b and c for these sizes; the panel holds k rows of
            // whole vectors, and reading in place is for whole vectors only.
            unsafe { panel(simd, m, tile, vectors, packed) };
        }
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
            for (to, from) in to.iter_mut().zip(from.chunks(S::F32_LANES)) {
                *to = simd.partial_load_f32s(from);
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
        to.chunks_exact_mut(width).for_each(|row| row[columns..].fill(0.0));
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
            let tile = Tile {
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
            // SAFETY: `multiply_scattered` has checked a, the starts and c for n rounded up to LANES,
            // which is a multiple of the lanes of every instruction set here.
            unsafe { panel(simd, m, tile, columns.div_ceil(lanes), false) };
        }
    }
}

struct MultiplyRows<'a> {
    size: Size,
    a: Matrix<'a, f32>,
    b: Scattered<'a, f32>,
    c: &'a mut [f32],
    start: Start<'a, f32>,
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
