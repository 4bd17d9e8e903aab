//! What goes into some layers, told beside what comes out of them: y = [x, f(x)]. A loss that looks into a network
//! reads it from the outputs.

use super::{Cell, Layer, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::{Real, pass};

/// Layers whose output follows their input.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Beside {
    /// At least one.
    pub inner: Vec<Layer>,
}

impl Beside {
    pub(super) fn inputs(&self) -> usize {
        self.inner.first().map_or(0, Layer::inputs)
    }

    pub(super) fn outputs(&self) -> usize {
        self.inputs() + self.inside()
    }

    /// Numbers that come out of the layers inside.
    fn inside(&self) -> usize {
        self.inner.last().map_or(0, Layer::outputs)
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
        let (wide, deep) = (self.inputs(), self.inside());
        let Cell { y, inner, .. } = cell;
        let inside = pass::forward(&self.inner, n, params, x, inner, room, pass);
        let y = sized(y, n * (wide + deep));
        for ((y, x), inside) in
            y.chunks_exact_mut(wide + deep).zip(x.chunks_exact(wide)).zip(inside.chunks_exact(deep))
        {
            y[..wide].copy_from_slice(x);
            y[wide..].copy_from_slice(inside);
        }
    }

    /// Keeps the gradient that goes inside.
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
        let (wide, deep) = (self.inputs(), self.inside());
        let Cell { kept, inner, .. } = cell;
        let inside = sized(kept, n * deep);
        for (inside, dy) in inside.chunks_exact_mut(deep).zip(dy.chunks_exact(wide + deep)) {
            inside.copy_from_slice(&dy[wide..]);
        }
        let Wanted { params: grads, input: dx } = wanted;
        let input = dx.is_some();
        let through = pass::backward(&self.inner, n, params, x, inner, inside, room, grads, input);
        let (Some(dx), Some(through)) = (dx, through) else { return };
        for ((dx, dy), through) in dx
            .chunks_exact_mut(wide)
            .zip(dy.chunks_exact(wide + deep))
            .zip(through.chunks_exact(wide))
        {
            let all = dx.iter_mut().zip(dy).zip(through);
            all.for_each(|((dx, &told), &through)| *dx = told + through);
        }
    }
}
