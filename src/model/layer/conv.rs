//! A 3x3 convolution (zero-padded by 1) with bias, ReLU and 2x2 max pooling, in one go, after LeCun et
//! al. 1998 in outline.
//!
//! Images stay `[c, h, w]`. Each is copied once into planes with a border of zeros; then the patches of
//! all pixels are nothing but the same planes, read from nine starts (an im2col without the copying). The
//! two numbers that the border adds to each line are computed and ignored. An odd last row or column
//! enters no window of the pooling. The gradient of a window goes whole to the first of its largest
//! values, as torch has it.

use super::activation::relu;
use super::{Cell, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::{LANES, Matrix, Real, Scattered, Size, Start, vectors};
use crate::model::init::Draw;

/// `[c, h, w]` -> `[filters, h/2, w/2]`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Conv {
    /// Stem of its parameters' names.
    pub name: String,
    pub c: usize,
    pub h: usize,
    pub w: usize,
    pub filters: usize,
    /// First place of its parameters: weight `[c * 9, filters]`, inputs over channel, row, column; then
    /// bias `[filters]`.
    pub at: usize,
}

/// Pixels of a 3x3 patch.
const PATCH: usize = 9;

impl Conv {
    pub(super) const fn inputs(&self) -> usize {
        self.c * self.h * self.w
    }

    pub(super) const fn outputs(&self) -> usize {
        self.filters * (self.h / 2) * (self.w / 2)
    }

    pub(super) const fn multiply_adds(&self) -> usize {
        self.h * self.w * (PATCH * self.c + 1) * self.filters
    }

    pub(super) const fn width(&self) -> usize {
        self.inputs() + self.filters * self.h * self.w
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        let fan_in = PATCH * self.c;
        let draw = Draw::uniform(fan_in);
        let slot = |name: &str, shape: Vec<usize>, at: usize| Slot {
            name: format!("{}.{name}", self.name),
            shape,
            at,
            draw,
        };
        vec![
            slot("weight", vec![fan_in, self.filters], self.at),
            slot("bias", vec![self.filters], self.at + fan_in * self.filters),
        ]
    }

    /// Numbers of a line with its border.
    const fn line(&self) -> usize {
        self.w + 2
    }

    /// Numbers of a plane with its border.
    const fn plane(&self) -> usize {
        (self.h + 2) * self.line()
    }

    /// Numbers of `planes` planes, and room for vectors that reach beyond the last one.
    const fn padded(&self, planes: usize) -> usize {
        planes * self.plane() + 2 * LANES
    }

    /// Sums of one filter: lines of the image with two ignored numbers each.
    const fn grid(&self) -> usize {
        self.h * self.line()
    }

    /// Starts of the nine views of each of `planes` planes.
    fn starts(&self, planes: usize, starts: &mut Vec<usize>) {
        starts.clear();
        for plane in 0..planes {
            for pixel in 0..PATCH {
                starts.push(plane * self.plane() + (pixel / 3) * self.line() + pixel % 3);
            }
        }
    }

    /// Copies an image into bordered planes. The border is zero from the start and never written.
    fn pad<T: Real>(&self, image: &[T], planes: &mut [T]) {
        for (plane, from) in image.chunks_exact(self.h * self.w).enumerate() {
            let to = &mut planes[plane * self.plane()..];
            for (y, line) in from.chunks_exact(self.w).enumerate() {
                let at = (y + 1) * self.line() + 1;
                to[at..at + self.w].copy_from_slice(line);
            }
        }
    }

    /// Keeps the bordered images when learning, and the winners of the windows.
    pub(super) fn forward<T: Real>(
        &self,
        n: usize,
        params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        room: &mut Room<T>,
        pass: Pass,
    ) {
        let keep = !matches!(pass, Pass::Answer);
        let padded = self.padded(self.c);
        let planes = sized(&mut cell.kept, if keep { n * padded } else { padded });
        let y = sized(&mut cell.y, n * self.outputs());
        cell.marks.resize(n * self.outputs(), 0);
        self.starts(self.c, &mut room.starts);
        let stride = self.grid().next_multiple_of(LANES);
        let sums = sized(&mut room.a, self.filters * stride);
        let (weight, bias) = params[self.at..].split_at(PATCH * self.c * self.filters);
        let weight = Matrix::rows(weight, self.filters).turned(); // [filters, 9c]
        let size = Size { m: self.filters, k: PATCH * self.c, n: self.grid() };
        let outputs = y.chunks_exact_mut(self.outputs());
        let outputs = outputs.zip(cell.marks.chunks_exact_mut(self.outputs()));
        for (i, (image, (y, marks))) in x.chunks_exact(self.inputs()).zip(outputs).enumerate() {
            let from = if keep { i * padded } else { 0 };
            let planes = &mut planes[from..from + padded];
            self.pad(image, planes);
            let patches = Scattered { data: planes, starts: &room.starts };
            T::multiply_scattered(size, weight, patches, sums, stride, Start::Zero);
            self.pool(sums, stride, bias, y, marks);
        }
    }

    /// Largest sum of each window, plus bias, ReLU. Neither changes which sum is largest.
    fn pool<T: Real>(&self, sums: &[T], stride: usize, bias: &[T], y: &mut [T], marks: &mut [u8]) {
        let (line, half) = (self.line(), self.w / 2);
        vectors(
            #[inline(always)]
            || {
                let filters = sums.chunks_exact(stride).zip(bias);
                let pooled = (self.h / 2) * half;
                let out = y.chunks_exact_mut(pooled).zip(marks.chunks_exact_mut(pooled));
                for ((sums, &bias), (y, marks)) in filters.zip(out) {
                    let lines = y.chunks_exact_mut(half).zip(marks.chunks_exact_mut(half));
                    for (pair, (y, marks)) in sums.chunks_exact(2 * line).zip(lines) {
                        let (top, bottom) = pair.split_at(line);
                        let top = top[..2 * half].chunks_exact(2);
                        let bottom = bottom[..2 * half].chunks_exact(2);
                        let out = y.iter_mut().zip(marks);
                        for ((top, bottom), (y, mark)) in top.zip(bottom).zip(out) {
                            let (upper, right) = first_largest(top[0], top[1]);
                            let (lower, low_right) = first_largest(bottom[0], bottom[1]);
                            let (largest, down) = first_largest(upper, lower);
                            let side = if down { low_right } else { right };
                            *y = relu(largest + bias);
                            *mark = u8::from(down) << 1 | u8::from(side);
                        }
                    }
                }
            },
        );
    }

    pub(super) fn backward<T: Real>(
        &self,
        n: usize,
        params: &[T],
        _x: &[T],
        cell: &mut Cell<T>,
        dy: &mut [T],
        room: &mut Room<T>,
        wanted: Wanted<'_, T>,
    ) {
        let Wanted { params: mut grads, input: mut dx } = wanted;
        let fan_in = PATCH * self.c;
        let weights = fan_in * self.filters;
        let padded = self.padded(self.c);
        // One image's gradient of the sums, in planes with borders like the image's own.
        let dz = sized(&mut room.a, self.padded(self.filters));
        dz.fill(T::zero());
        let by_filter = sized(&mut room.b, weights); // [filters, 9c]
        if let Some(grads) = grads.as_deref_mut() {
            by_filter.fill(T::zero());
            grads[self.at + weights..][..self.filters].fill(T::zero());
        }
        let stride = self.grid().next_multiple_of(LANES);
        let turned = sized(&mut room.c, weights + self.c * stride);
        let (turned, wide) = turned.split_at_mut(weights);
        if dx.is_some() {
            self.turn(&params[self.at..][..weights], turned);
        }
        for i in 0..n {
            let out = i * self.outputs()..(i + 1) * self.outputs();
            let (dy, y, marks) = (&dy[out.clone()], &cell.y[out.clone()], &cell.marks[out]);
            let bias = grads.as_deref_mut().map(|g| &mut g[self.at + weights..][..self.filters]);
            self.spread(dy, y, marks, dz, bias);
            if grads.is_some() {
                self.starts(self.c, &mut room.starts);
                // The sums lie one line and one number into the planes; their last two are border.
                let left = Matrix { data: &dz[self.line() + 1..], row: self.plane(), column: 1 };
                let planes = &cell.kept[i * padded..(i + 1) * padded];
                let right = Scattered { data: planes, starts: &room.starts };
                let size = Size { m: self.filters, k: self.grid() - 2, n: fan_in };
                T::multiply_rows(size, left, right, by_filter, Start::Result);
            }
            if let Some(dx) = dx.as_deref_mut() {
                self.starts(self.filters, &mut room.starts);
                let size = Size { m: self.c, k: PATCH * self.filters, n: self.grid() };
                let left = Matrix::rows(turned, PATCH * self.filters);
                let right = Scattered { data: &*dz, starts: &room.starts };
                T::multiply_scattered(size, left, right, wide, stride, Start::Zero);
                let dx = &mut dx[i * self.inputs()..(i + 1) * self.inputs()];
                for (from, to) in
                    wide.chunks_exact(stride).zip(dx.chunks_exact_mut(self.h * self.w))
                {
                    let lines = from.chunks_exact(self.line()).zip(to.chunks_exact_mut(self.w));
                    lines.for_each(|(from, to)| to.copy_from_slice(&from[..self.w]));
                }
            }
        }
        if let Some(grads) = grads {
            let grads = &mut grads[self.at..][..weights];
            for (k, row) in grads.chunks_exact_mut(self.filters).enumerate() {
                row.iter_mut().enumerate().for_each(|(f, g)| *g = by_filter[f * fan_in + k]);
            }
        }
    }

    /// The gradient of one image's output back to its sums, and its part of the bias's.
    fn spread<T: Real>(
        &self,
        dy: &[T],
        y: &[T],
        marks: &[u8],
        dz: &mut [T],
        bias: Option<&mut [T]>,
    ) {
        let (line, half) = (self.line(), self.w / 2);
        let pooled = (self.h / 2) * half;
        let mut bias = bias;
        for f in 0..self.filters {
            let own = f * pooled..(f + 1) * pooled;
            let plane = &mut dz[f * self.plane()..(f + 1) * self.plane()];
            let values = dy[own.clone()].chunks_exact(half).zip(y[own.clone()].chunks_exact(half));
            let lines = values.zip(marks[own].chunks_exact(half));
            let mut sum = T::zero();
            for (pair, ((dy, y), marks)) in plane[line..].chunks_exact_mut(2 * line).zip(lines) {
                let (top, bottom) = pair.split_at_mut(line);
                let tops = top[1..=2 * half].chunks_exact_mut(2);
                let windows = tops.zip(bottom[1..=2 * half].chunks_exact_mut(2));
                for ((top, bottom), ((&dy, &y), &mark)) in windows.zip(dy.iter().zip(y).zip(marks))
                {
                    let g = if y <= T::zero() { T::zero() } else { dy };
                    sum += g;
                    let at = |place: u8| if mark == place { g } else { T::zero() };
                    (top[0], top[1]) = (at(0), at(1));
                    (bottom[0], bottom[1]) = (at(2), at(3));
                }
            }
            if let Some(bias) = bias.as_deref_mut() {
                bias[f] += sum;
            }
        }
    }

    /// Weights `[9c, filters]` for the way back, `[c, filters * 9]`: each patch turned by half a circle.
    fn turn<T: Real>(&self, weight: &[T], turned: &mut [T]) {
        for (c, row) in turned.chunks_exact_mut(PATCH * self.filters).enumerate() {
            for (at, to) in row.iter_mut().enumerate() {
                let (f, pixel) = (at / PATCH, at % PATCH);
                *to = weight[(c * PATCH + PATCH - 1 - pixel) * self.filters + f];
            }
        }
    }
}

/// The larger of two, and whether it is the second; the first of equals. NaN wins, so that it is not lost.
#[inline(always)]
fn first_largest<T: Real>(first: T, second: T) -> (T, bool) {
    let later = second > first || second.is_nan();
    (if later { second } else { first }, later)
}
