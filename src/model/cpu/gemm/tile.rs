//! The kernel: a tile of results that stays in registers while rows of the right matrix stream by.

#![allow(clippy::needless_range_loop, reason = "loops that compilers unroll without fail")]

use pulp::{NullaryFnOnce, Simd};

use super::Start;

/// Vectors of a panel.
pub(super) const WIDTH: usize = 3;
/// Vectors of a panel for a single row: long stretches of the right matrix are read at once.
pub(super) const ROW_WIDTH: usize = 8;

/// Most rows of a tile.
pub(super) const MOST_ROWS: usize = 8;

/// Rows of the next tile when so many are left. Vectors of 8 numbers come with 16 registers, all others
/// here with 32.
#[inline(always)]
pub(super) const fn tile_rows<S: Simd>(left: usize) -> usize {
    match left {
        8.. if S::F32_LANES != 8 => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Where row k of a right matrix starts.
pub(super) trait Place: Copy {
    /// # Safety
    /// k is below the number of rows checked.
    unsafe fn at(self, k: usize) -> usize;
}

/// Rows so far apart.
#[derive(Clone, Copy)]
pub(super) struct Every(pub usize);

impl Place for Every {
    #[inline(always)]
    unsafe fn at(self, k: usize) -> usize {
        k * self.0
    }
}

/// Rows at these places.
#[derive(Clone, Copy)]
pub(super) struct At<'a>(pub &'a [usize]);

impl Place for At<'_> {
    #[inline(always)]
    unsafe fn at(self, k: usize) -> usize {
        // SAFETY: the caller keeps k below the number of rows, for each of which there is a start.
        unsafe { *self.0.get_unchecked(k) }
    }
}

/// A tile's place: results of `columns` columns at `c`.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a, P> {
    pub k: usize,
    pub a: *const f32,
    pub a_row: usize,
    pub a_column: usize,
    pub b: *const f32,
    pub b_rows: P,
    /// Numbers from a vector of a row of b to the next vector of that row.
    pub b_vector: usize,
    pub c: *mut f32,
    pub stride: usize,
    pub columns: usize,
    pub start: Start<'a, f32>,
    /// First column, to find the start.
    pub first: usize,
}

impl<P: Place> Tile<'_, P> {
    /// The tile `rows` further down.
    ///
    /// # Safety
    /// It still lies in the slices.
    #[inline(always)]
    pub(super) unsafe fn below(self, rows: usize) -> Self {
        // SAFETY: as the caller promises.
        let (a, c) = unsafe { (self.a.add(rows * self.a_row), self.c.add(rows * self.stride)) };
        Self { a, c, ..self }
    }

    /// Computes `rows` rows, as [`tile_rows`] gives them, in `vectors` vectors.
    ///
    /// # Safety
    /// Every number that the tile names lies inside the slices it was made from, and b can be read up
    /// to that many whole vectors.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(self, simd: S, rows: usize, vectors: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            match rows {
                8 => self.run_wide::<S, 8>(simd, vectors),
                4 => self.run_wide::<S, 4>(simd, vectors),
                2 => self.run_wide::<S, 2>(simd, vectors),
                _ => self.run_wide::<S, 1>(simd, vectors),
            }
        }
    }

    /// # Safety
    /// As for [`Self::run`], for R rows.
    #[inline(always)]
    unsafe fn run_wide<S: Simd, const R: usize>(self, simd: S, vectors: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            match vectors {
                1 => self.call::<S, R, 1>(simd),
                2 => self.call::<S, R, 2>(simd),
                3 => self.call::<S, R, 3>(simd),
                // Only a single row comes this wide.
                4 => self.call::<S, 1, 4>(simd),
                _ => self.call::<S, 1, ROW_WIDTH>(simd),
            }
        }
    }

    /// A function of its own for each shape, so that the compiler keeps its sums in registers.
    ///
    /// # Safety
    /// As for [`Self::run`], for R rows and V vectors: the kernel relies on it.
    #[inline(always)]
    unsafe fn call<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        simd.vectorize(Kernel::<'_, S, P, R, V> { simd, tile: self });
    }
}

/// A tile of R rows and V vectors.
struct Kernel<'a, S, P, const R: usize, const V: usize> {
    simd: S,
    tile: Tile<'a, P>,
}

impl<S: Simd, P: Place, const R: usize, const V: usize> NullaryFnOnce for Kernel<'_, S, P, R, V> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, tile } = self;
        let mut sums = self.begin();
        let (mut a, a_row) = (tile.a, tile.a_row);
        for k in 0..tile.k {
            // SAFETY: as `Tile::run` asks: k rows of V whole vectors in b, R rows of k numbers in a.
            unsafe {
                let b = tile.b.add(tile.b_rows.at(k));
                let mut right = [simd.splat_f32s(0.0); V];
                for v in 0..V {
                    right[v] = b.add(v * tile.b_vector).cast::<S::f32s>().read_unaligned();
                }
                for i in 0..R {
                    let left = simd.splat_f32s(*a.add(i * a_row));
                    for v in 0..V {
                        sums[i][v] = simd.mul_add_e_f32s(left, right[v], sums[i][v]);
                    }
                }
                a = a.wrapping_add(tile.a_column);
            }
        }
        self.end(sums);
    }
}

impl<S: Simd, P: Place, const R: usize, const V: usize> Kernel<'_, S, P, R, V> {
    /// Columns of the last vector.
    #[inline(always)]
    fn rest(&self) -> usize {
        self.tile.columns - (V - 1) * S::F32_LANES
    }

    /// Vector v of row i of the result.
    #[inline(always)]
    fn result(&self, i: usize, v: usize) -> *mut f32 {
        // SAFETY: a place inside the result, as `Tile::run` asks.
        unsafe { self.tile.c.add(i * self.tile.stride + v * S::F32_LANES) }
    }

    /// What the sums start from.
    #[inline(always)]
    fn begin(&self) -> [[S::f32s; V]; R] {
        let (simd, lanes, rest) = (self.simd, S::F32_LANES, self.rest());
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        match self.tile.start {
            Start::Zero => {}
            Start::Columns(values) => {
                let values = &values[self.tile.first..][..self.tile.columns];
                for v in 0..V {
                    let end = if v + 1 < V { lanes } else { rest };
                    let row = simd.partial_load_f32s(&values[v * lanes..v * lanes + end]);
                    for i in 0..R {
                        sums[i][v] = row;
                    }
                }
            }
            Start::Result => {
                for i in 0..R {
                    for v in 0..V {
                        let from = self.result(i, v);
                        // SAFETY: the result's own numbers.
                        sums[i][v] = unsafe {
                            match v + 1 < V || rest == lanes {
                                true => from.cast::<S::f32s>().read_unaligned(),
                                false => {
                                    simd.partial_load_f32s(std::slice::from_raw_parts(from, rest))
                                }
                            }
                        };
                    }
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn end(&self, sums: [[S::f32s; V]; R]) {
        let (simd, lanes, rest) = (self.simd, S::F32_LANES, self.rest());
        for i in 0..R {
            for v in 0..V {
                let to = self.result(i, v);
                // SAFETY: the result's own numbers.
                unsafe {
                    match v + 1 < V || rest == lanes {
                        true => to.cast::<S::f32s>().write_unaligned(sums[i][v]),
                        false => {
                            let to = std::slice::from_raw_parts_mut(to, rest);
                            simd.partial_store_f32s(to, sums[i][v]);
                        }
                    }
                }
            }
        }
    }
}
