//! A gate: half of a position's numbers, bent, opens the other half (SwiGLU; Shazeer 2020, section 2). The products
//! around it are dense layers without biases.

use super::activation::sigmoid;
use super::{Cell, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::{Real, vectors};

/// `[times, 2 * width]`, gates and then what they open, -> silu(gate) times the other `[times, width]`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Gate {
    pub times: usize,
    pub width: usize,
}

impl Gate {
    pub(super) const fn inputs(&self) -> usize {
        2 * self.outputs()
    }

    pub(super) const fn outputs(&self) -> usize {
        self.times * self.width
    }

    pub(super) const fn multiply_adds(&self) -> usize {
        self.outputs()
    }

    pub(super) const fn slots(&self) -> Vec<Slot> {
        Vec::new()
    }

    /// Rows x `[rows, 2 * width]` to y `[rows, width]`.
    pub(in crate::model) fn rows<T: Real>(&self, x: &[T], y: &mut [T]) {
        vectors(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(2 * self.width).zip(y.chunks_exact_mut(self.width));
                for (x, y) in rows {
                    let (gate, up) = x.split_at(self.width);
                    let all = y.iter_mut().zip(gate).zip(up);
                    all.for_each(|((y, &gate), &up)| *y = gate * sigmoid(gate) * up);
                }
            },
        );
    }

    pub(super) fn forward<T: Real>(
        &self,
        n: usize,
        _params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        _room: &mut Room<T>,
        _pass: Pass,
    ) {
        self.rows(x, sized(&mut cell.y, n * self.outputs()));
    }

    pub(super) fn backward<T: Real>(
        &self,
        _n: usize,
        _params: &[T],
        x: &[T],
        _cell: &mut Cell<T>,
        dy: &mut [T],
        _room: &mut Room<T>,
        wanted: Wanted<'_, T>,
    ) {
        let Some(dx) = wanted.input else { return };
        let wide = 2 * self.width;
        vectors(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(wide).zip(dx.chunks_exact_mut(wide));
                for ((x, dx), dy) in rows.zip(dy.chunks_exact(self.width)) {
                    let ((gate, up), (to_gate, to_up)) =
                        (x.split_at(self.width), dx.split_at_mut(self.width));
                    let to = to_gate.iter_mut().zip(to_up);
                    for (((to_gate, to_up), &dy), (&gate, &up)) in
                        to.zip(dy).zip(gate.iter().zip(up))
                    {
                        let s = sigmoid(gate);
                        *to_up = dy * gate * s;
                        *to_gate = dy * up * (s + gate * s * (T::one() - s));
                    }
                }
            },
        );
    }
}
