//! An output layer that shares the rows of the embedding (Press and Wolf 2017).

use super::{Cell, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::{Matrix, Real, Size, Start};

/// y = x Eᵀ for each of `times` positions, E the rows of an embedding that knows that it is tied. Without parameters of
/// its own.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Tied {
    pub times: usize,
    pub width: usize,
    pub vocabulary: usize,
    /// First place of the embedding's rows `[vocabulary, width]`.
    pub at: usize,
}

impl Tied {
    pub(super) const fn inputs(&self) -> usize {
        self.times * self.width
    }

    pub(super) const fn outputs(&self) -> usize {
        self.times * self.vocabulary
    }

    pub(super) const fn multiply_adds(&self) -> usize {
        self.inputs() * self.vocabulary
    }

    pub(super) const fn slots(&self) -> Vec<Slot> {
        Vec::new()
    }

    fn table<'a, T: Real>(&self, params: &'a [T]) -> Matrix<'a, T> {
        Matrix::rows(&params[self.at..][..self.vocabulary * self.width], self.width)
    }

    /// x Eᵀ of `rows` rows into y.
    pub(in crate::model) fn rows<T: Real>(
        &self,
        rows: usize,
        params: &[T],
        x: &[T],
        y: &mut [T],
        room: &mut Room<T>,
    ) {
        let (k, n) = (self.width, self.vocabulary);
        let (x, weight) = (Matrix::rows(x, k), self.table(params).turned());
        let Room { ready, pack, .. } = room;
        match ready {
            Some(ready) => {
                let weight = ready.entry(self.at).or_insert_with(|| T::packed(k, n, weight));
                T::multiply_packed(rows, x, weight, y, n, Start::Zero, pack);
            }
            None => T::multiply(Size { m: rows, k, n }, x, weight, y, n, Start::Zero, pack),
        }
    }

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
        self.rows(n * self.times, params, x, y, room);
    }

    /// Writes its part of the gradient of the embedding's rows, to which the embedding, met later on the way back,
    /// adds its own.
    pub(super) fn backward<T: Real>(
        &self,
        n: usize,
        params: &[T],
        x: &[T],
        _cell: &mut Cell<T>,
        dy: &mut [T],
        room: &mut Room<T>,
        wanted: Wanted<'_, T>,
    ) {
        let (rows, width, vocabulary) = (n * self.times, self.width, self.vocabulary);
        let dy = Matrix::rows(&*dy, vocabulary);
        if let Some(grads) = wanted.params {
            let size = Size { m: vocabulary, k: rows, n: width };
            let to = &mut grads[self.at..][..vocabulary * width];
            let (dy, x) = (dy.turned(), Matrix::rows(x, width));
            T::multiply(size, dy, x, to, width, Start::Zero, &mut room.pack);
        }
        if let Some(dx) = wanted.input {
            let size = Size { m: rows, k: vocabulary, n: width };
            T::multiply(size, dy, self.table(params), dx, width, Start::Zero, &mut room.pack);
        }
    }
}
