//! A matrix product with bias and activation, in one go.

use super::{Activation, Cell, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::{Matrix, Real, Size, Start, vectors};
use crate::model::init::Draw;

/// y = f(x W + b) for each of `times` positions of an example.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Dense {
    /// Stem of its parameters' names.
    pub name: String,
    pub times: usize,
    pub from: usize,
    pub to: usize,
    pub activation: Activation,
    pub bias: bool,
    pub draw: Draw,
    /// First place of its parameters: weight `[from, to]`, then bias `[to]`.
    pub at: usize,
}

impl Dense {
    pub(super) const fn inputs(&self) -> usize {
        self.times * self.from
    }

    pub(super) const fn outputs(&self) -> usize {
        self.times * self.to
    }

    pub(super) const fn multiply_adds(&self) -> usize {
        self.times * (self.from + self.bias as usize) * self.to
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        let slot = |name: &str, shape: Vec<usize>, at: usize, draw: Draw| Slot {
            name: format!("{}.{name}", self.name),
            shape,
            at,
            draw,
        };
        let weight = slot("weight", vec![self.from, self.to], self.at, self.draw);
        let draw = self.draw.of_bias();
        let bias = slot("bias", vec![self.to], self.at + self.from * self.to, draw);
        if self.bias { vec![weight, bias] } else { vec![weight] }
    }

    /// Weight and bias, or their gradients.
    fn split<'a, T>(&self, params: &'a [T]) -> (&'a [T], &'a [T]) {
        let size = self.from * self.to;
        let (weight, rest) = params[self.at..].split_at(size);
        (weight, &rest[..if self.bias { self.to } else { 0 }])
    }

    /// f(x W + b) of `rows` rows into y; `kept` takes the sums if the activation needs them.
    pub(in crate::model) fn rows<T: Real>(
        &self,
        rows: usize,
        params: &[T],
        x: &[T],
        y: &mut [T],
        kept: &mut Vec<T>,
        room: &mut Room<T>,
    ) {
        if self.activation.needs_sums() {
            let z = sized(kept, y.len());
            self.sums(rows, params, x, z, room);
            self.activation.apply(z, y);
        } else {
            self.sums(rows, params, x, y, room);
            self.activation.apply_in_place(y);
        }
    }

    /// x W + b of `rows` rows into z.
    fn sums<T: Real>(&self, rows: usize, params: &[T], x: &[T], z: &mut [T], room: &mut Room<T>) {
        let (weight, bias) = self.split(params);
        let (k, n) = (self.from, self.to);
        let start = if self.bias { Start::Columns(bias) } else { Start::Zero };
        let (x, weight) = (Matrix::rows(x, k), Matrix::rows(weight, n));
        let Room { ready, pack, .. } = room;
        match ready {
            Some(ready) => {
                let weight = ready.entry(self.at).or_insert_with(|| T::packed(k, n, weight));
                T::multiply_packed(rows, x, weight, z, n, start, pack);
            }
            None => T::multiply(Size { m: rows, k, n }, x, weight, z, n, start, pack),
        }
    }

    /// Keeps the sums if the activation needs them.
    pub(super) fn forward<T: Real>(
        &self,
        n: usize,
        params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        room: &mut Room<T>,
        _pass: Pass,
    ) {
        let y = sized(&mut cell.y, n * self.outputs());
        self.rows(n * self.times, params, x, y, &mut cell.kept, room);
    }

    pub(super) fn backward<T: Real>(
        &self,
        n: usize,
        params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        dy: &mut [T],
        room: &mut Room<T>,
        wanted: Wanted<'_, T>,
    ) {
        let Self { from, to, .. } = *self;
        let kept = if self.activation.needs_sums() { &cell.kept } else { &cell.y };
        self.activation.pull(kept, dy);
        let rows = n * self.times;
        if let Some(grads) = wanted.params {
            let grads = &mut grads[self.at..];
            let (weight, rest) = grads.split_at_mut(from * to);
            let size = Size { m: from, k: rows, n: to };
            let (x, dz) = (Matrix::rows(x, from).turned(), Matrix::rows(dy, to));
            T::multiply(size, x, dz, weight, to, Start::Zero, &mut room.pack);
            if self.bias {
                add_rows(&mut rest[..to], dy);
            }
        }
        if let Some(dx) = wanted.input {
            let (weight, _) = self.split(params);
            let (dz, weight) = (Matrix::rows(dy, to), Matrix::rows(weight, to));
            let Room { pack, a, .. } = room;
            if rows >= FEW_ROWS && from >= MUCH_WIDER * rows {
                let size = Size { m: from, k: to, n: rows };
                let turned = sized(a, from * rows);
                T::multiply(size, weight, dz.turned(), turned, rows, Start::Zero, pack);
                turn(turned, dx, rows);
            } else {
                let size = Size { m: rows, k: to, n: from };
                T::multiply(size, dz, weight.turned(), dx, from, Start::Zero, pack);
            }
        }
    }
}

/// A product with turned weights copies all of them into another order. For weights much larger than
/// the batch it is cheaper to compute the turned result, of the same sums, and to turn that.
const MUCH_WIDER: usize = 8;
/// Fewer rows would leave the kernel's vectors half empty.
const FEW_ROWS: usize = 64;

/// Matrix `[n, rows]` to `[rows, n]`.
fn turn<T: Real>(from: &[T], to: &mut [T], rows: usize) {
    // A line of the cache on both sides.
    const BLOCK: usize = 16;
    let n = from.len() / rows;
    for first in (0..n).step_by(BLOCK) {
        let from = &from[first * rows..];
        for (j, to) in to.chunks_exact_mut(n).enumerate() {
            let to = to[first..].iter_mut().take(BLOCK);
            to.zip(from[j..].iter().step_by(rows)).for_each(|(to, &x)| *to = x);
        }
    }
}

/// Sum of the rows, first row first.
fn add_rows<T: Real>(sum: &mut [T], rows: &[T]) {
    vectors(
        #[inline(always)]
        || {
            sum.fill(T::zero());
            for row in rows.chunks_exact(sum.len()) {
                sum.iter_mut().zip(row).for_each(|(s, &v)| *s += v);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_of_the_input_is_the_same_in_any_batch() {
        let (rows, from, to) = (FEW_ROWS, MUCH_WIDER * FEW_ROWS + 5, 7);
        let layer = Dense {
            name: String::new(),
            times: 1,
            from,
            to,
            activation: Activation::None,
            bias: false,
            draw: Draw::Constant(0.0),
            at: 0,
        };
        let numbers = |n: usize| (0..n).map(|i| (i * i % 97) as f32 - 48.0).collect::<Vec<_>>();
        let (weight, mut dy) = (numbers(from * to), numbers(rows * to));
        let mut back = |first: usize, n: usize| {
            let mut dx = vec![0.0; n * from];
            let wanted = Wanted { params: None, input: Some(&mut dx[..]) };
            let dy = &mut dy[first * to..(first + n) * to];
            let (mut cell, mut room) = (Cell::default(), Room::default());
            layer.backward(n, &weight, &[], &mut cell, dy, &mut room, wanted);
            dx
        };
        let all = back(0, rows);
        assert_eq!(all[..3 * from], back(0, 3));
        assert_eq!(all[3 * from..], back(3, rows - 3));
    }
}
