//! Forward and backward through a list of layers.

use super::Real;
use crate::model::layer::{Cell, Layer, Pass, Room, Wanted, sized};

/// Output `[n, outputs of the last layer]` for x `[n, inputs of the first]`; lies in the last cell.
pub(in crate::model) fn forward<'a, T: Real>(
    layers: &[Layer],
    n: usize,
    params: &[T],
    x: &'a [T],
    cells: &'a mut Vec<Cell<T>>,
    room: &mut Room<T>,
    pass: Pass,
) -> &'a [T] {
    cells.resize_with(layers.len(), Cell::default);
    for (i, layer) in layers.iter().enumerate() {
        let (before, rest) = cells.split_at_mut(i);
        let x = before.last().map_or(x, |cell| &cell.y);
        layer.forward(n, params, x, &mut rest[0], room, pass);
    }
    cells.last().map_or(x, |cell| &cell.y)
}

/// Gradients, given that of the output and the x of the forward pass before: of the parameters into
/// `grads`, and of x if asked.
#[allow(clippy::too_many_arguments, reason = "one pass, one call")]
pub(in crate::model) fn backward<'a, T: Real>(
    layers: &[Layer],
    n: usize,
    params: &[T],
    x: &[T],
    cells: &'a mut [Cell<T>],
    dy: &mut [T],
    room: &mut Room<T>,
    mut grads: Option<&mut [T]>,
    input: bool,
) -> Option<&'a mut [T]> {
    for (i, layer) in layers.iter().enumerate().rev() {
        let (before, rest) = cells.split_at_mut(i);
        let (cell, after) = rest.split_first_mut().expect("a cell for each layer");
        let x = before.last().map_or(x, |cell| &cell.y);
        let dy = after.first_mut().map_or(&mut *dy, |next| &mut next.dx);
        // Taken out while the layer works on the rest of its cell.
        let mut dx = std::mem::take(&mut cell.dx);
        let wanted = Wanted {
            params: grads.as_deref_mut(),
            input: (i > 0 || input).then(|| sized(&mut dx, n * layer.inputs())),
        };
        layer.backward(n, params, x, cell, dy, room, wanted);
        cell.dx = dx;
    }
    match input {
        true => cells.first_mut().map(|cell| &mut cell.dx[..]),
        false => None,
    }
}
