//! A product cut into tiles: groups of columns that stay near, rows inside them, panels inside those.

use pulp::{Simd, WithSimd};

use super::packed::{Packed, aligned, copy_rows, first_line, pack_columns};
use super::tile::{Every, MOST_ROWS, ROW_WIDTH, Tile, WIDTH, tile_rows};
use super::{Matrix, Size, Start};

/// A right matrix.
#[derive(Clone, Copy)]
pub(super) enum Right<'a> {
    /// Read where it lies, or copied into the kernel's order first.
    Loose(Matrix<'a, f32>),
    Packed(&'a Packed<f32>),
}

/// A part of a product: terms of the sum from `from` on.
pub(super) struct Multiply<'a> {
    pub size: Size,
    pub from: usize,
    pub a: Matrix<'a, f32>,
    pub b: Right<'a>,
    pub c: &'a mut [f32],
    pub stride: usize,
    pub start: Start<'a, f32>,
    pub pack: &'a mut Vec<f32>,
}

/// Numbers of the right matrix that all rows pass by before the next; they stay in the second cache level.
const GROUP: usize = 3 << 16;
/// Numbers between the terms of a turned left matrix from which on it is copied.
const FAR_APART: usize = 100;
/// Fewest rows that pay for copying a right matrix that can be read in place.
const FEW_ROWS: usize = 16;

/// Some columns of the right matrix as the kernel reads them.
#[derive(Clone, Copy)]
struct Group {
    data: *const f32,
    /// Numbers from row to row, and from vector to vector of a row.
    row: usize,
    vector: usize,
    first: usize,
    columns: usize,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Size { m, k, n } = self.size;
        let lanes = S::F32_LANES;
        let panel = WIDTH * lanes;
        let wide = (GROUP / (k * panel)).max(1) * panel;
        let in_place = matches!(self.b, Right::Loose(b) if m <= FEW_ROWS && b.column == 1);
        // A turned left matrix touches a line of the cache for each term of the sum. A large one would be
        // gone before the next panel: once is enough.
        let copied = !in_place && self.a.row == 1 && self.a.column >= FAR_APART && n > panel;
        let copies = if copied { k * MOST_ROWS } else { 0 };
        let most = if matches!(self.b, Right::Packed(_)) {
            0
        } else {
            wide.min(n.next_multiple_of(lanes))
        };
        let (pack, left) = aligned(self.pack, k * most + copies).split_at_mut(k * most);
        let mut first = 0;
        while first < n {
            let mut columns = wide.min(n - first);
            let (data, row, vector) = match self.b {
                Right::Packed(b) => {
                    let all = b.size().0;
                    let numbers = &b.numbers()[first_line(b.numbers())..];
                    let numbers = &numbers[..all * n.next_multiple_of(lanes)];
                    (numbers[first * all + self.from * lanes..].as_ptr(), lanes, all * lanes)
                }
                Right::Loose(b) => {
                    let b = Matrix { data: &b.data[self.from * b.row..], ..b };
                    // Only whole vectors can be read in place.
                    let whole = columns / lanes * lanes;
                    if in_place && whole > 0 {
                        columns = whole;
                        (b.data[first..].as_ptr(), b.row, lanes)
                    } else {
                        pack_columns(simd, b, k, first, columns, pack);
                        (pack.as_ptr(), lanes, k * lanes)
                    }
                }
            };
            let group = Group { data, row, vector, first, columns };
            let (mut from, mut rest) = (0, m);
            while rest > 0 {
                let rows = tile_rows::<S>(rest);
                let a = Matrix { data: &self.a.data[from * self.a.row..], ..self.a };
                let a = if copied {
                    copy_rows(a, k, 0, rows, left);
                    Matrix { data: &*left, row: 1, column: rows }
                } else {
                    a
                };
                let c = &mut self.c[from * self.stride..];
                // SAFETY: a, c and a loose b were checked for these sizes before, a packed b just now; a
                // group holds k rows of whole vectors, and copied rows lie one term after the other.
                unsafe { tiles(simd, rows, k, a, group, c, self.stride, self.start) };
                from += rows;
                rest -= rows;
            }
            first += columns;
        }
    }
}

/// `rows` rows of a group's results.
///
/// # Safety
/// All of these numbers lie in their slices, and the group can be read up to whole vectors.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "what a row of tiles reads and writes")]
unsafe fn tiles<S: Simd>(
    simd: S,
    rows: usize,
    k: usize,
    a: Matrix<'_, f32>,
    group: Group,
    c: &mut [f32],
    stride: usize,
    start: Start<'_, f32>,
) {
    let lanes = S::F32_LANES;
    let all = group.columns.div_ceil(lanes);
    let mut at = 0;
    while at < all {
        let vectors = panel_width(rows, all - at);
        let first = group.first + at * lanes;
        let columns = (vectors * lanes).min(group.columns - at * lanes);
        // SAFETY: as the caller promises.
        unsafe {
            let tile = Tile {
                k,
                a: a.data.as_ptr(),
                a_row: a.row,
                a_column: a.column,
                b: group.data.add(at * group.vector),
                b_rows: Every(group.row),
                b_vector: group.vector,
                c: c[first..].as_mut_ptr(),
                stride,
                columns,
                start,
                first,
            };
            tile.run(simd, rows, vectors);
        }
        at += vectors;
    }
}

/// Vectors of the next panel when so many are left: as equal as can be, because narrow ones are slow.
#[inline(always)]
const fn panel_width(rows: usize, left: usize) -> usize {
    match left {
        ROW_WIDTH.. if rows == 1 => ROW_WIDTH,
        4.. if rows == 1 => 4,
        _ => left.div_ceil(left.div_ceil(WIDTH)),
    }
}
