//! Dropout (Srivastava et al. 2014), scaled while learning so that answers need no change.

use rand::Rng;

use super::{Cell, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::Real;
use crate::seed::Seed;

/// Drops each number with a chance of `share` while learning.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Dropout {
    /// Names its stream of random numbers.
    pub name: String,
    pub len: usize,
    /// 0 up to, but not, 1.
    pub share: f64,
}

impl Dropout {
    pub(super) const fn inputs(&self) -> usize {
        self.len
    }

    pub(super) const fn outputs(&self) -> usize {
        self.len
    }

    pub(super) const fn multiply_adds(&self) -> usize {
        0
    }

    pub(super) const fn slots(&self) -> Vec<Slot> {
        Vec::new()
    }

    /// 1 for each survivor, from a stream of the layer's own. Chances come in steps of 2^-32.
    pub(in crate::model) fn draw(&self, seed: Seed, marks: &mut [u8]) {
        let mut rng = seed.child(&self.name).rng();
        let bar = (self.share * 4_294_967_296.0) as u32;
        marks.iter_mut().for_each(|m| *m = u8::from(rng.next_u32() >= bar));
    }

    /// Marks the survivors.
    pub(super) fn forward<T: Real>(
        &self,
        n: usize,
        _params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        _room: &mut Room<T>,
        pass: Pass,
    ) {
        let y = sized(&mut cell.y, n * self.len);
        let Pass::Learn(seed) = pass else {
            y.copy_from_slice(x);
            cell.marks.clear();
            return;
        };
        cell.marks.resize(y.len(), 0);
        self.draw(seed, &mut cell.marks);
        let scale = T::of(1.0 / (1.0 - self.share));
        let all = y.iter_mut().zip(x).zip(&cell.marks);
        all.for_each(|((y, &x), &kept)| *y = if kept == 1 { x * scale } else { T::zero() });
    }

    pub(super) fn backward<T: Real>(
        &self,
        _n: usize,
        _params: &[T],
        _x: &[T],
        cell: &mut Cell<T>,
        dy: &mut [T],
        _room: &mut Room<T>,
        wanted: Wanted<'_, T>,
    ) {
        let Some(dx) = wanted.input else { return };
        if cell.marks.is_empty() {
            dx.copy_from_slice(dy);
            return;
        }
        let scale = T::of(1.0 / (1.0 - self.share));
        let all = dx.iter_mut().zip(&*dy).zip(&cell.marks);
        all.for_each(|((dx, &dy), &kept)| *dx = if kept == 1 { dy * scale } else { T::zero() });
    }
}
