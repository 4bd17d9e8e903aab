//! A draw from normal distributions, as a function of their means and variances (Kingma and Welling 2014, section
//! 2.4): y = m + e^(l / 2) times noise of its own, for means m and logarithms l of variances.

use super::{Cell, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::Real;
use crate::seed::{Seed, normal};

/// Draws `len` numbers from 2 `len`: the means, then the logarithms. To answer it gives the means.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Sample {
    /// Names its stream of random numbers.
    pub name: String,
    pub len: usize,
}

impl Sample {
    pub(super) const fn inputs(&self) -> usize {
        2 * self.len
    }

    pub(super) const fn outputs(&self) -> usize {
        self.len
    }

    pub(super) const fn multiply_adds(&self) -> usize {
        self.len
    }

    pub(super) const fn slots(&self) -> Vec<Slot> {
        Vec::new()
    }

    /// Standard normal noise without end, from a stream of the layer's own.
    pub(in crate::model) fn noise(&self, seed: Seed) -> impl Iterator<Item = f64> + use<> {
        let mut rng = seed.child(&self.name).rng();
        std::iter::repeat_with(move || normal(&mut rng))
    }

    /// Keeps what was added to the means.
    pub(super) fn forward<T: Real>(
        &self,
        n: usize,
        _params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        _room: &mut Room<T>,
        pass: Pass,
    ) {
        let Cell { y, kept, .. } = cell;
        let (y, added) = (sized(y, n * self.len), sized(kept, n * self.len));
        let Pass::Learn(seed) = pass else {
            added.fill(T::zero());
            y.chunks_exact_mut(self.len)
                .zip(x.chunks_exact(2 * self.len))
                .for_each(|(y, x)| y.copy_from_slice(&x[..self.len]));
            return;
        };
        let mut noise = self.noise(seed);
        let rows = y.chunks_exact_mut(self.len).zip(added.chunks_exact_mut(self.len));
        for ((y, added), x) in rows.zip(x.chunks_exact(2 * self.len)) {
            let (means, logs) = x.split_at(self.len);
            for (j, (y, added)) in y.iter_mut().zip(added).enumerate() {
                let e = T::of(noise.next().unwrap_or_default());
                *added = e * (T::of(0.5) * logs[j]).fast_exp();
                *y = means[j] + *added;
            }
        }
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
        let rows = dy.chunks_exact(self.len).zip(cell.kept.chunks_exact(self.len));
        for (dx, (dy, added)) in dx.chunks_exact_mut(2 * self.len).zip(rows) {
            let (means, logs) = dx.split_at_mut(self.len);
            means.copy_from_slice(dy);
            // The slope of e^(l / 2) is half of it.
            let pairs = dy.iter().zip(added);
            logs.iter_mut().zip(pairs).for_each(|(l, (&dy, &added))| *l = T::of(0.5) * dy * added);
        }
    }
}
