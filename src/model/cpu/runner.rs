//! One thread's way through a network: its buffers, and the three things asked of it.

use super::{Real, pass};
use crate::model::layer::texts::Stretch;
use crate::model::layer::{Cell, Layer, Pass, Room};
use crate::model::network::Network;

/// Buffers of one network, used again by every call.
#[derive(Debug)]
pub(in crate::model) struct Runner<T> {
    network: Network,
    cells: Vec<Cell<T>>,
    room: Room<T>,
    dy: Vec<T>,
}

impl<T: Real> Runner<T> {
    /// For parameters that may differ from call to call. No buffer is made before it is needed.
    pub(in crate::model) fn new(network: &Network) -> Self {
        let network = network.clone();
        Self { network, cells: Vec::new(), room: Room::default(), dy: Vec::new() }
    }

    /// For parameters that are the same in every call: weights are put into the kernel's order once.
    pub(in crate::model) fn of_fixed(network: &Network) -> Self {
        Self { room: Room::of_fixed(), ..Self::new(network) }
    }

    /// Where texts lie in the examples of the passes to come; none where each example is one.
    pub(in crate::model) fn lay(&mut self, texts: &[Stretch]) {
        self.room.texts.clear();
        self.room.texts.extend_from_slice(texts);
    }

    /// Outputs of n examples x after the first `layers` layers.
    pub(in crate::model) fn answer<'a>(
        &'a mut self,
        params: &[T],
        x: &'a [T],
        n: usize,
        layers: usize,
    ) -> &'a [T] {
        let layers = &self.network.layers()[..layers];
        pass::forward(layers, n, params, x, &mut self.cells, &mut self.room, Pass::Answer)
    }

    /// Gradients of the parameters for n examples x. `goal` gets the outputs and fills in their gradient.
    pub(in crate::model) fn learn<R>(
        &mut self,
        params: &[T],
        x: &[T],
        n: usize,
        pass: Pass,
        goal: impl FnOnce(&[T], &mut [T]) -> R,
        grads: &mut [T],
    ) -> R {
        self.round(params, x, n, pass, goal, Some(grads), false).0
    }

    /// Gradient of the input for n examples x.
    pub(in crate::model) fn pull(
        &mut self,
        params: &[T],
        x: &[T],
        n: usize,
        goal: impl FnOnce(&[T], &mut [T]),
    ) -> &[T] {
        // The winners and sums of a learning pass are needed, but nothing may be dropped.
        let pass = Pass::Trace;
        let dx = self.round(params, x, n, pass, goal, None, true).1;
        dx.expect("gradients of the input were asked for")
    }

    #[allow(clippy::too_many_arguments, reason = "both questions in one")]
    fn round<R>(
        &mut self,
        params: &[T],
        x: &[T],
        n: usize,
        pass: Pass,
        goal: impl FnOnce(&[T], &mut [T]) -> R,
        grads: Option<&mut [T]>,
        input: bool,
    ) -> (R, Option<&[T]>) {
        let layers: &[Layer] = self.network.layers();
        let y = pass::forward(layers, n, params, x, &mut self.cells, &mut self.room, pass);
        self.dy.resize(y.len(), T::zero());
        let told = goal(y, &mut self.dy);
        let (cells, dy, room) = (&mut self.cells, &mut self.dy, &mut self.room);
        let dx = pass::backward(layers, n, params, x, cells, dy, room, grads, input);
        (told, dx.map(|dx| &*dx))
    }
}
