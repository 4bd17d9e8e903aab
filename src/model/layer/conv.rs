//! A convolution with bias, ReLU and, if asked, 2x2 max pooling, in one go, after LeCun et al. 1998 in
//! outline.
//!
//! Images stay `[c, h, w]`. Each is copied once into planes that are `kernel - 1` lines and columns larger,
//! the rest zeros: `pad` of them before the image, the others behind it. Then the patches of all pixels
//! are nothing but the same planes, read from `kernel` x `kernel` starts (an im2col without the copying).
//! The numbers that the border adds to each line are computed and ignored. Gradients of sums lie in planes
//! of the same size, so that both products of the way back read them like images. An odd last row or
//! column enters no window of the pooling. The gradient of a window goes whole to the first of its
//! largest values, as torch has it.

use super::activation::relu;
use super::{Cell, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::{LANES, Matrix, Real, Scattered, Size, Start, fold, vectors};
use crate::model::init::Draw;

/// `[c, h, w]` -> `[filters, h + 2 pad - kernel + 1, ...]`, halved if pooled.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Conv {
    /// Stem of its parameters' names.
    pub name: String,
    pub c: usize,
    pub h: usize,
    pub w: usize,
    pub filters: usize,
    /// Height and width of a patch, at most [`LANES`].
    pub kernel: usize,
    /// Zeros around the image, at most half of `kernel` - 1.
    pub pad: usize,
    /// True for 2x2 max pooling.
    pub pool: bool,
    /// First place of its parameters: weight `[c * kernel^2, filters]`, inputs over channel, row, column;
    /// then bias `[filters]`.
    pub at: usize,
}

impl Conv {
    pub(super) const fn inputs(&self) -> usize {
        self.c * self.h * self.w
    }

    pub(super) const fn outputs(&self) -> usize {
        let (h, w) = self.out();
        self.filters * h * w
    }

    pub(super) const fn multiply_adds(&self) -> usize {
        let (h, w) = self.sums();
        h * w * (self.fan_in() + 1) * self.filters
    }

    pub(super) const fn width(&self) -> usize {
        let (h, w) = self.sums();
        self.inputs() + self.filters * h * w
    }

    /// Height and width of a filter's sums.
    pub(in crate::model) const fn sums(&self) -> (usize, usize) {
        let more = 2 * self.pad + 1;
        (self.h + more - self.kernel, self.w + more - self.kernel)
    }

    /// Height and width of a filter's output.
    pub(in crate::model) const fn out(&self) -> (usize, usize) {
        let (h, w) = self.sums();
        if self.pool { (h / 2, w / 2) } else { (h, w) }
    }

    /// Pixels of a patch.
    const fn patch(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Inputs of a sum.
    const fn fan_in(&self) -> usize {
        self.patch() * self.c
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        let fan_in = self.fan_in();
        let draw = Draw::Fans { into: fan_in, out: self.patch() * self.filters };
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
        self.w + self.kernel - 1
    }

    /// Numbers of a plane with its border.
    const fn plane(&self) -> usize {
        (self.h + self.kernel - 1) * self.line()
    }

    /// Numbers of `planes` planes, and room for vectors that reach beyond the last one.
    const fn padded(&self, planes: usize) -> usize {
        planes * self.plane() + 2 * LANES
    }

    /// Sums of one filter: lines with ignored numbers at their ends.
    const fn grid(&self) -> usize {
        self.sums().0 * self.line()
    }

    /// Place of the first gradient of sums in its plane: as far from its corner as the image's own is from
    /// the other.
    const fn corner(&self) -> usize {
        (self.kernel - 1 - self.pad) * (self.line() + 1)
    }

    /// Starts of the views of each of `planes` planes.
    fn starts(&self, planes: usize, starts: &mut Vec<usize>) {
        starts.clear();
        for plane in 0..planes {
            for row in 0..self.kernel {
                let first = plane * self.plane() + row * self.line();
                starts.extend(first..first + self.kernel);
            }
        }
    }

    /// Copies an image into bordered planes. The border is zero from the start and never written.
    fn pad<T: Real>(&self, image: &[T], planes: &mut [T]) {
        for (plane, from) in image.chunks_exact(self.h * self.w).enumerate() {
            let to = &mut planes[plane * self.plane()..];
            for (y, line) in from.chunks_exact(self.w).enumerate() {
                let at = (y + self.pad) * self.line() + self.pad;
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
        let (weight, bias) = params[self.at..].split_at(self.fan_in() * self.filters);
        let weight = Matrix::rows(weight, self.filters).turned(); // [filters, fan in]
        let size = Size { m: self.filters, k: self.fan_in(), n: self.grid() };
        let outputs = y.chunks_exact_mut(self.outputs());
        let outputs = outputs.zip(cell.marks.chunks_exact_mut(self.outputs()));
        for (i, (image, (y, marks))) in x.chunks_exact(self.inputs()).zip(outputs).enumerate() {
            let from = if keep { i * padded } else { 0 };
            let planes = &mut planes[from..from + padded];
            self.pad(image, planes);
            let patches = Scattered { data: planes, starts: &room.starts };
            T::multiply_scattered(size, weight, patches, sums, stride, Start::Zero);
            if self.pool {
                self.pool(sums, stride, bias, y, marks, &mut room.columns);
            } else {
                self.rectify(sums, stride, bias, y);
            }
        }
    }

    /// Sums without what the border added, plus bias, ReLU.
    fn rectify<T: Real>(&self, sums: &[T], stride: usize, bias: &[T], y: &mut [T]) {
        let (h, w) = self.sums();
        let filters = sums.chunks_exact(stride).zip(bias).zip(y.chunks_exact_mut(h * w));
        for ((sums, &bias), y) in filters {
            for (sums, y) in sums.chunks(self.line()).zip(y.chunks_exact_mut(w)) {
                y.iter_mut().zip(sums).for_each(|(y, &sum)| *y = relu(sum + bias));
            }
        }
    }

    /// Largest sum of each window, plus bias, ReLU. Neither changes which sum is largest. `columns` has
    /// room for the larger of two lines, and where it came from.
    fn pool<T: Real>(
        &self,
        sums: &[T],
        stride: usize,
        bias: &[T],
        y: &mut [T],
        marks: &mut [u8],
        columns: &mut (Vec<T>, Vec<u8>),
    ) {
        let (line, (lines, half)) = (self.line(), self.out());
        let pooled = lines * half;
        columns.0.resize(2 * half, T::zero());
        columns.1.resize(2 * half, 0);
        let (largest, lower) = (&mut columns.0[..2 * half], &mut columns.1[..2 * half]);
        vectors(
            #[inline(always)]
            || {
                let filters = sums.chunks_exact(stride).zip(bias);
                let out = y.chunks_exact_mut(pooled).zip(marks.chunks_exact_mut(pooled));
                for ((sums, &bias), (y, marks)) in filters.zip(out) {
                    let lines = y.chunks_exact_mut(half).zip(marks.chunks_exact_mut(half));
                    for (pair, (y, marks)) in sums.chunks_exact(2 * line).zip(lines) {
                        let (top, bottom) = pair.split_at(line);
                        let both = top.iter().zip(bottom);
                        let column = largest.iter_mut().zip(&mut *lower);
                        for ((max, low), (&t, &b)) in column.zip(both) {
                            let later = b > t || b.is_nan();
                            *max = if later { b } else { t };
                            *low = u8::from(later);
                        }
                        let pairs = largest.chunks_exact(2).zip(lower.chunks_exact(2));
                        for ((y, mark), (max, low)) in y.iter_mut().zip(marks).zip(pairs) {
                            // Of equals the first, line by line.
                            let tie = max[1] == max[0] && low[1] < low[0];
                            let right = max[1] > max[0] || max[1].is_nan() || tie;
                            let (value, down) =
                                if right { (max[1], low[1]) } else { (max[0], low[0]) };
                            *y = relu(value + bias);
                            *mark = down << 1 | u8::from(right);
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
        let (fan_in, patch) = (self.fan_in(), self.patch());
        let weights = fan_in * self.filters;
        let padded = self.padded(self.c);
        // One image's gradient of the sums, in planes with borders like the image's own.
        let dz = sized(&mut room.a, self.padded(self.filters));
        let by_filter = sized(&mut room.b, weights); // [filters, fan in]
        if let Some(grads) = grads.as_deref_mut() {
            by_filter.fill(T::zero());
            grads[self.at + weights..][..self.filters].fill(T::zero());
        }
        let grid = self.h * self.line();
        let stride = grid.next_multiple_of(LANES);
        let turned = sized(&mut room.c, weights + self.c * stride);
        let (turned, wide) = turned.split_at_mut(weights);
        if dx.is_some() {
            self.turn(&params[self.at..][..weights], turned);
        }
        for i in 0..n {
            let out = i * self.outputs()..(i + 1) * self.outputs();
            let (dy, y, marks) = (&mut dy[out.clone()], &cell.y[out.clone()], &cell.marks[out]);
            let bias = grads.as_deref_mut().map(|g| &mut g[self.at + weights..][..self.filters]);
            self.spread(dy, y, marks, dz, bias);
            if grads.is_some() {
                self.starts(self.c, &mut room.starts);
                // The last of the sums' numbers are border.
                let left = Matrix { data: &dz[self.corner()..], row: self.plane(), column: 1 };
                let planes = &cell.kept[i * padded..(i + 1) * padded];
                let right = Scattered { data: planes, starts: &room.starts };
                let size = Size { m: self.filters, k: self.grid() + 1 - self.kernel, n: fan_in };
                T::multiply_rows(size, left, right, by_filter, Start::Result);
            }
            if let Some(dx) = dx.as_deref_mut() {
                self.starts(self.filters, &mut room.starts);
                let size = Size { m: self.c, k: patch * self.filters, n: grid };
                let left = Matrix::rows(turned, patch * self.filters);
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
        dy: &mut [T],
        y: &[T],
        marks: &[u8],
        dz: &mut [T],
        bias: Option<&mut [T]>,
    ) {
        let (line, (lines, half)) = (self.line(), self.out());
        let pooled = lines * half;
        vectors(
            #[inline(always)]
            || {
                dz.fill(T::zero());
                let closed = |y: T| y <= T::zero();
                let all = dy.iter_mut().zip(y);
                all.for_each(|(dy, &y)| *dy = if closed(y) { T::zero() } else { *dy });
                if let Some(bias) = bias {
                    for (bias, dy) in bias.iter_mut().zip(dy.chunks_exact(pooled)) {
                        *bias += fold(dy, T::zero(), |x| x, |a, b| a + b);
                    }
                }
            },
        );
        let planes = dz.chunks_exact_mut(self.plane());
        if !self.pool {
            for (plane, dy) in planes.zip(dy.chunks_exact(pooled)) {
                let lines = plane[self.corner()..].chunks_mut(line).zip(dy.chunks_exact(half));
                lines.for_each(|(to, dy)| to[..half].copy_from_slice(dy));
            }
            return;
        }
        let filters = dy.chunks_exact(pooled).zip(marks.chunks_exact(pooled));
        for (plane, (dy, marks)) in planes.zip(filters) {
            let lines = dy.chunks_exact(half).zip(marks.chunks_exact(half));
            for (pair, (dy, marks)) in plane[self.corner()..].chunks_exact_mut(2 * line).zip(lines)
            {
                for (x, (&g, &mark)) in dy.iter().zip(marks).enumerate() {
                    let (down, right) = (usize::from(mark >> 1), usize::from(mark & 1));
                    pair[down * line + 2 * x + right] = g;
                }
            }
        }
    }

    /// Weights `[fan in, filters]` for the way back, `[c, filters * patch]`: each patch turned by half a circle.
    fn turn<T: Real>(&self, weight: &[T], turned: &mut [T]) {
        let patch = self.patch();
        for (c, row) in turned.chunks_exact_mut(patch * self.filters).enumerate() {
            for (f, row) in row.chunks_exact_mut(patch).enumerate() {
                for (pixel, to) in row.iter_mut().enumerate() {
                    *to = weight[(c * patch + patch - 1 - pixel) * self.filters + f];
                }
            }
        }
    }
}
