//! Causal attention of several heads (Vaswani et al. 2017, section 3.2), with rotary positions (Su et
//! al. 2021) if asked, and with keys and values that some query heads share (Ainslie et al. 2023, section 2.2) if
//! asked. The projections around it are dense layers.
//!
//! One head of one text is computed from beginning to end before the next: its queries, keys, values and
//! weights stay in the nearest caches. Rows are taken in blocks, and a block meets only keys that lie
//! before its end. Texts may be shorter than the context (see `texts`): each meets itself alone, at places that
//! begin with its own first.

use super::texts::{self, Stretch};
use super::{Cell, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::{LANES, Matrix, Real, Size, Start, fold, vectors};

/// Queries of all heads, then keys, then values `[positions, row]` -> `[positions, width]`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Attention {
    pub positions: usize,
    /// Numbers of all query heads together.
    pub width: usize,
    pub heads: usize,
    /// Key and value heads; each serves the same number of query heads.
    pub key_heads: usize,
    /// Numbers of a position going in.
    pub row: usize,
    /// For each query head, where its key and its value begin in a row.
    shared: Vec<[usize; 2]>,
    /// Cosines, then sines, `[positions, width / heads / 2]` each; none without rotary positions.
    angles: Vec<f32>,
}

/// Rows of a block.
const BLOCK: usize = 32;
/// Usual base of the rotary frequencies (Su et al. 2021, section 3.2.2).
const BASE: f64 = 10_000.0;

/// What one head of one text keeps: queries (scaled), keys, values `[len, d]`, and weights `[len, len]`.
struct Head<'a, T> {
    q: &'a mut [T],
    k: &'a mut [T],
    v: &'a mut [T],
    weights: &'a mut [T],
}

impl Attention {
    /// For heads that divide the width; with rotary positions, into even parts.
    pub(in crate::model) fn new(
        positions: usize,
        width: usize,
        heads: usize,
        rotary: bool,
    ) -> Self {
        Self::grouped(positions, [heads, heads], width / heads, rotary.then_some(BASE))
    }

    /// For so many query heads and key heads of `d` numbers each; the latter must divide the former. With a base of
    /// rotary frequencies, d must be even.
    pub(in crate::model) fn grouped(
        positions: usize,
        [heads, key_heads]: [usize; 2],
        d: usize,
        base: Option<f64>,
    ) -> Self {
        let half = base.map_or(0, |_| d / 2);
        let angle = |at: usize| {
            let (place, pair) = (at / half, at % half);
            place as f64 * libm::pow(base.unwrap_or(BASE), -(pair as f64) / half as f64)
        };
        let all = || (0..positions * half).map(angle);
        let angles = all().map(libm::cos).chain(all().map(libm::sin)).map(|v| v as f32).collect();
        let group = heads / key_heads;
        let places = |h: usize| [heads + h / group, heads + key_heads + h / group].map(|at| at * d);
        let (shared, row) = ((0..heads).map(places).collect(), (heads + 2 * key_heads) * d);
        Self { positions, width: heads * d, heads, key_heads, row, shared, angles }
    }

    /// Cosines and sines of the rotary angles, `[positions, width / heads / 2]` each.
    pub(in crate::model) fn angles(&self) -> (&[f32], &[f32]) {
        self.angles.split_at(self.angles.len() / 2)
    }

    /// True with rotary positions.
    pub(in crate::model) fn rotary(&self) -> bool {
        !self.angles.is_empty()
    }

    pub(super) const fn inputs(&self) -> usize {
        self.positions * self.row
    }

    pub(super) const fn outputs(&self) -> usize {
        self.positions * self.width
    }

    /// Two products of `[positions, positions]` and `[positions, width]`.
    pub(super) const fn multiply_adds(&self) -> usize {
        2 * self.positions * self.outputs()
    }

    pub(super) const fn slots(&self) -> Vec<Slot> {
        Vec::new()
    }

    const fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Numbers that one head of a text of `len` tokens keeps.
    const fn kept(&self, len: usize) -> usize {
        len * (3 * self.head_width() + len)
    }

    fn head<'a, T>(&self, kept: &'a mut [T], len: usize) -> Head<'a, T> {
        let size = len * self.head_width();
        let (q, rest) = kept.split_at_mut(size);
        let (k, rest) = rest.split_at_mut(size);
        let (v, weights) = rest.split_at_mut(size);
        Head { q, k, v, weights }
    }

    /// 1 / sqrt(d)
    fn scale<T: Real>(&self) -> T {
        T::one() / T::of(self.head_width() as f64).sqrt()
    }

    /// Turns the pairs (i, i + d/2) of a row by the angles of its place; backwards if `back`.
    #[inline(always)]
    fn rotate<T: Real>(&self, row: &mut [T], place: usize, back: bool) {
        if self.angles.is_empty() {
            return;
        }
        let half = row.len() / 2;
        let (cosines, sines) = self.angles();
        let (cosines, sines) = (&cosines[place * half..][..half], &sines[place * half..][..half]);
        let (left, right) = row.split_at_mut(half);
        let pairs = left.iter_mut().zip(right).zip(cosines.iter().zip(sines));
        for ((a, b), (&c, &s)) in pairs {
            let (c, s) = (T::of(f64::from(c)), T::of(f64::from(s)));
            let s = if back { -s } else { s };
            (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
        }
    }

    /// A row of queries or keys of one head into its place.
    #[inline(always)]
    pub(in crate::model) fn place<T: Real>(
        &self,
        from: &[T],
        place: usize,
        scale: T,
        to: &mut [T],
    ) {
        to.iter_mut().zip(from).for_each(|(to, &x)| *to = x * scale);
        self.rotate(to, place, false);
    }

    pub(super) fn forward<T: Real>(
        &self,
        n: usize,
        _params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        room: &mut Room<T>,
        _pass: Pass,
    ) {
        let texts = std::mem::take(&mut room.texts);
        let all = || texts::lying(&texts, n, self.positions);
        let size = all().map(|text| self.heads * self.kept(text.len)).sum();
        let mut kept = sized(&mut cell.kept, size);
        let y = sized(&mut cell.y, n * self.outputs());
        let mut end = 0;
        for Stretch { at, len } in all() {
            let (own, rest) = kept.split_at_mut(self.heads * self.kept(len));
            (kept, end) = (rest, at + len);
            let x = &x[at * self.row..end * self.row];
            let y = &mut y[at * self.width..end * self.width];
            for (h, own) in own.chunks_exact_mut(self.kept(len)).enumerate() {
                let head = self.head(own, len);
                self.gather(x, h, head.q, head.k, head.v);
                self.attend(&head.q[..], &head.k[..], &head.v[..], head.weights, y, h, room);
            }
        }
        y[end * self.width..].fill(T::zero());
        room.texts = texts;
    }

    /// The rows of one head.
    fn gather<T: Real>(&self, x: &[T], h: usize, q: &mut [T], k: &mut [T], v: &mut [T]) {
        let d = self.head_width();
        let scale = self.scale();
        vectors(
            #[inline(always)]
            || {
                let [at_k, at_v] = self.shared[h];
                let rows =
                    q.chunks_exact_mut(d).zip(k.chunks_exact_mut(d)).zip(v.chunks_exact_mut(d));
                for (place, (((q, k), v), x)) in rows.zip(x.chunks_exact(self.row)).enumerate() {
                    self.place(&x[h * d..][..d], place, scale, q);
                    self.place(&x[at_k..][..d], place, T::one(), k);
                    v.copy_from_slice(&x[at_v..][..d]);
                }
            },
        );
    }

    /// Weights of every row, and the mix of values into the head's columns of y.
    fn attend<T: Real>(
        &self,
        q: &[T],
        k: &[T],
        v: &[T],
        weights: &mut [T],
        y: &mut [T],
        h: usize,
        room: &mut Room<T>,
    ) {
        let d = self.head_width();
        let t = q.len() / d;
        for first in (0..t).step_by(BLOCK) {
            let rows = BLOCK.min(t - first);
            let seen = first + rows;
            let block = &mut weights[first * t..seen * t];
            let size = Size { m: rows, k: d, n: seen };
            let (q, k) = (Matrix::rows(&q[first * d..], d), Matrix::rows(k, d).turned());
            T::multiply(size, q, k, block, t, Start::Zero, &mut room.pack);
            for (i, row) in block.chunks_exact_mut(t).enumerate() {
                softmax(row, first + i + 1);
            }
            let size = Size { m: rows, k: seen, n: d };
            let (block, v) = (Matrix::rows(block, t), Matrix::rows(v, d));
            let y = &mut y[first * self.width + h * d..];
            T::multiply(size, block, v, y, self.width, Start::Zero, &mut room.pack);
        }
    }

    pub(super) fn backward<T: Real>(
        &self,
        n: usize,
        _params: &[T],
        _x: &[T],
        cell: &mut Cell<T>,
        dy: &mut [T],
        room: &mut Room<T>,
        wanted: Wanted<'_, T>,
    ) {
        let Some(dx) = wanted.input else { return };
        let texts = std::mem::take(&mut room.texts);
        let (mut kept, mut end) = (&mut cell.kept[..], 0);
        for Stretch { at, len } in texts::lying(&texts, n, self.positions) {
            let (own, rest) = kept.split_at_mut(self.heads * self.kept(len));
            (kept, end) = (rest, at + len);
            let dx = &mut dx[at * self.row..end * self.row];
            let dy = &dy[at * self.width..end * self.width];
            for (h, own) in own.chunks_exact_mut(self.kept(len)).enumerate() {
                self.back_head(self.head(own, len), h, dy, dx, room);
            }
        }
        dx[end * self.row..].fill(T::zero());
        room.texts = texts;
    }

    /// Gradients of one head's queries, keys and values into its columns of dx. Those of keys and values that several
    /// heads share are the sum over these, which come one after another.
    fn back_head<T: Real>(
        &self,
        head: Head<'_, T>,
        h: usize,
        dy: &[T],
        dx: &mut [T],
        room: &mut Room<T>,
    ) {
        let (d, wide) = (self.head_width(), self.row);
        let t = head.q.len() / d;
        let (at_q, [at_k, at_v]) = (h * d, self.shared[h]);
        let group = self.heads / self.key_heads;
        let (opens, closes) = (h.is_multiple_of(group), (h + 1).is_multiple_of(group));
        let own = Matrix::rows(&dy[h * d..], self.width); // [t, d]
        let slopes = sized(&mut room.a, t * t);
        for first in (0..t).step_by(BLOCK) {
            let rows = BLOCK.min(t - first);
            let seen = first + rows;
            let block = &mut slopes[first * t..seen * t];
            let size = Size { m: rows, k: d, n: seen };
            let mine = Matrix { data: &own.data[first * self.width..], ..own };
            let v = Matrix::rows(&*head.v, d).turned();
            T::multiply(size, mine, v, block, t, Start::Zero, &mut room.pack);
            let weights = &head.weights[first * t..seen * t];
            for (i, (s, w)) in block.chunks_exact_mut(t).zip(weights.chunks_exact(t)).enumerate() {
                back_softmax(s, w, first + i + 1);
            }
            let size = Size { m: rows, k: seen, n: d };
            let (block, k) = (Matrix::rows(&*block, t), Matrix::rows(&*head.k, d));
            let to = &mut dx[first * wide + at_q..];
            T::multiply(size, block, k, to, wide, Start::Zero, &mut room.pack);
        }
        // Rows of a block of keys are met only by queries from its beginning on.
        for first in (0..t).step_by(BLOCK) {
            let size = Size { m: BLOCK.min(t - first), k: t - first, n: d };
            let from = first * t + first;
            let below = |square: &[T], right: Matrix<'_, T>, to: &mut [T], pack: &mut Vec<T>| {
                let left = Matrix::rows(&square[from..], t).turned();
                let right = Matrix { data: &right.data[first * right.row..], ..right };
                let start = if opens { Start::Zero } else { Start::Result };
                T::multiply(size, left, right, to, wide, start, pack);
            };
            let to = &mut dx[first * wide + at_v..];
            below(head.weights, own, to, &mut room.pack);
            let to = &mut dx[first * wide + at_k..];
            below(slopes, Matrix::rows(&*head.q, d), to, &mut room.pack);
        }
        let scale = self.scale::<T>();
        vectors(
            #[inline(always)]
            || {
                for (place, row) in dx.chunks_exact_mut(wide).enumerate() {
                    row[at_q..][..d].iter_mut().for_each(|v| *v *= scale);
                    self.rotate(&mut row[at_q..][..d], place, true);
                    if closes {
                        self.rotate(&mut row[at_k..][..d], place, true);
                    }
                }
            },
        );
    }

    /// One more position of one text: its queries, keys and values `[row]` to y `[width]`, with the
    /// keys and values of all `place` positions before in `memory`, which grows by this one.
    pub(in crate::model) fn step<T: Real>(
        &self,
        x: &[T],
        place: usize,
        memory: &mut Memory<T>,
        y: &mut [T],
        room: &mut Room<T>,
    ) {
        let (d, t) = (self.head_width(), self.positions.next_multiple_of(LANES));
        let (scale, size) = (self.scale(), LANES * self.width);
        let (queries, weights) =
            (sized(&mut room.a, self.width), sized(&mut room.b, self.heads * t));
        // Whole blocks: what lies ahead weighs nothing.
        let blocks = place / LANES + 1;
        let last = (blocks - 1) * size..blocks * size;
        vectors(
            #[inline(always)]
            || {
                let keys = memory.keys[last.clone()].chunks_exact_mut(d * LANES);
                let values = memory.values[last].chunks_exact_mut(LANES * d);
                let heads = queries.chunks_exact_mut(d).zip(keys).zip(values).zip(&self.shared);
                for (h, (((row, keys), values), &[at_k, at_v])) in heads.enumerate() {
                    self.place(&x[at_k..][..d], place, T::one(), row);
                    for (lanes, &k) in keys.chunks_exact_mut(LANES).zip(&*row) {
                        lanes[place % LANES] = k;
                    }
                    values[place % LANES * d..][..d].copy_from_slice(&x[at_v..][..d]);
                    self.place(&x[h * d..][..d], place, scale, row);
                }
                weights.fill(T::zero());
                for (b, keys) in memory.keys.chunks_exact(size).take(blocks).enumerate() {
                    let heads = queries.chunks_exact(d).zip(keys.chunks_exact(d * LANES));
                    for ((row, keys), weights) in heads.zip(weights.chunks_exact_mut(t)) {
                        combine(row, keys, LANES, &mut weights[b * LANES..][..LANES]);
                    }
                }
                for weights in weights.chunks_exact_mut(t) {
                    let weights = &mut weights[..blocks * LANES];
                    weights[place + 1..].fill(T::neg_infinity());
                    soften(weights);
                }
                y.fill(T::zero());
                for (b, values) in memory.values.chunks_exact(size).take(blocks).enumerate() {
                    let heads = y.chunks_exact_mut(d).zip(values.chunks_exact(LANES * d));
                    for ((y, values), weights) in heads.zip(weights.chunks_exact(t)) {
                        let seen = &weights[b * LANES..=place.min(b * LANES + LANES - 1)];
                        for (at, y) in y.chunks_mut(LANES).enumerate() {
                            combine(seen, &values[at * LANES..], d, y);
                        }
                    }
                }
            },
        );
    }
}

/// Keys and values of the positions that one text has passed. Those that several heads share lie here once for each,
/// so that a step reads straight on.
#[derive(Clone, Debug)]
pub(in crate::model) struct Memory<T> {
    /// `[positions / LANES, heads, d, LANES]`, rotated. A step reads both from beginning to end: memories
    /// of many texts are larger than the near caches, and far ones are quick only at that.
    keys: Vec<T>,
    /// `[positions / LANES, heads, LANES, d]`
    values: Vec<T>,
}

impl<T: Real> Memory<T> {
    /// Empty, for as many positions as the attention has.
    pub(in crate::model) fn new(attention: &Attention) -> Self {
        let size = attention.positions.next_multiple_of(LANES) * attention.width;
        Self { keys: vec![T::zero(); size], values: vec![T::zero(); size] }
    }
}

/// Adds rows, each times its share, first row first. They start `every` numbers apart and are as long as
/// `to`, at most [`LANES`]; sums of so many stay in registers.
#[inline(always)]
fn combine<T: Real>(shares: &[T], rows: &[T], every: usize, to: &mut [T]) {
    if let Ok(to) = <&mut [T; LANES]>::try_from(&mut *to) {
        let mut sums = *to;
        for (&share, row) in shares.iter().zip(rows.chunks(every)) {
            sums.iter_mut().zip(&row[..LANES]).for_each(|(sum, &x)| *sum += share * x);
        }
        *to = sums;
        return;
    }
    for (&share, row) in shares.iter().zip(rows.chunks(every)) {
        to.iter_mut().zip(row).for_each(|(sum, &x)| *sum += share * x);
    }
}

/// Softmax of the first `seen` numbers; zero for the others.
fn softmax<T: Real>(row: &mut [T], seen: usize) {
    vectors(
        #[inline(always)]
        || {
            // Whole vectors: what lies ahead weighs nothing.
            let (row, rest) = row.split_at_mut(seen.next_multiple_of(LANES).min(row.len()));
            row[seen..].fill(T::neg_infinity());
            soften(row);
            rest.fill(T::zero());
        },
    );
}

#[inline(always)]
fn soften<T: Real>(row: &mut [T]) {
    let largest = fold(row, T::neg_infinity(), |x| x, |a, b| if b > a { b } else { a });
    row.iter_mut().for_each(|x| *x = (*x - largest).fast_exp());
    let over = T::one() / fold(row, T::zero(), |x| x, |a, b| a + b);
    row.iter_mut().for_each(|x| *x *= over);
}

/// Gradient of the weights to that of what they are the softmax of; weights that lie ahead are zero.
fn back_softmax<T: Real>(slopes: &mut [T], weights: &[T], seen: usize) {
    vectors(
        #[inline(always)]
        || {
            let upto = seen.next_multiple_of(LANES).min(slopes.len());
            slopes[seen..].fill(T::zero());
            let (slopes, weights) = (&mut slopes[..upto], &weights[..upto]);
            slopes.iter_mut().zip(weights).for_each(|(s, &w)| *s *= w);
            let sum = fold(slopes, T::zero(), |x| x, |a, b| a + b);
            slopes.iter_mut().zip(weights).for_each(|(s, &w)| *s -= w * sum);
        },
    );
}
