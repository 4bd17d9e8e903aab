//! A way around some layers: y = x + f(x) (He et al. 2016).

use super::{Cell, Layer, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::{Real, pass, vectors};

/// Layers whose output is added to their input.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Residual {
    pub inner: Vec<Layer>,
}

impl Residual {
    pub(super) fn inputs(&self) -> usize {
        self.inner.first().map_or(0, Layer::inputs)
    }

    pub(super) fn outputs(&self) -> usize {
        self.inputs()
    }

    pub(super) fn multiply_adds(&self) -> usize {
        self.inner.iter().map(Layer::multiply_adds).sum()
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        self.inner.iter().flat_map(Layer::slots).collect()
    }

    pub(super) fn forward<T: Real>(
        &self,
        n: usize,
        params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        room: &mut Room<T>,
        pass: Pass,
    ) {
        let inside = pass::forward(&self.inner, n, params, x, &mut cell.inner, room, pass);
        let y = sized(&mut cell.y, inside.len());
        vectors(
            #[inline(always)]
            || y.iter_mut().zip(x).zip(inside).for_each(|((y, &x), &f)| *y = x + f),
        );
    }

    /// Keeps the gradient that goes around while another goes through.
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
        let around = sized(&mut cell.kept, dy.len());
        around.copy_from_slice(dy);
        let Wanted { params: grads, input: dx } = wanted;
        let through = pass::backward(
            &self.inner,
            n,
            params,
            x,
            &mut cell.inner,
            dy,
            room,
            grads,
            dx.is_some(),
        );
        if let (Some(dx), Some(through)) = (dx, through) {
            let all = dx.iter_mut().zip(&cell.kept).zip(&*through);
            vectors(
                #[inline(always)]
                || all.for_each(|((dx, &around), &through)| *dx = around + through),
            );
        }
    }
}
