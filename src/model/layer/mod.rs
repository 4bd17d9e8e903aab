//! What networks are made of: one layer per file, each with its sizes, its parameters and both of its
//! passes on flat slices.
//!
//! A layer maps each *example* of `inputs()` numbers to one of `outputs()` numbers. An example is a row of
//! features, an image `[c, h, w]`, or a text: one token number per position going in, `[positions, width]`
//! from there on (or as many tokens of texts of any length: `texts`). Parameters of a whole network lie in one slice; a layer knows where its own start.
//!
//! `forward` leaves the layer's output in its [`Cell`], with what `backward` needs beside it. `backward`
//! takes the gradient of the output, which it may spoil, to those of the parameters (written, not added)
//! and of the input (likewise), whichever are wanted. Buffers grow in the first pass and are used again
//! in all later ones: a step allocates nothing.

#![allow(clippy::too_many_arguments, reason = "passes name what they read and write")]

mod activation;
mod attention;
mod beside;
mod conv;
mod dense;
mod dropout;
mod embed;
mod gate;
mod norm;
mod residual;
mod sample;
pub(super) mod texts;
mod tied;

pub(super) use activation::Activation;
pub(super) use attention::{Attention, Memory};
pub(super) use beside::Beside;
pub(super) use conv::Conv;
pub(super) use dense::Dense;
pub(super) use dropout::Dropout;
pub(super) use embed::Embed;
pub(super) use gate::Gate;
pub(super) use norm::{EPS, Norm, NormKind};
pub(super) use residual::Residual;
pub(super) use sample::Sample;
pub(super) use tied::Tied;

use std::collections::BTreeMap;

use super::cpu::{Packed, Real};
use super::init::Draw;
use crate::seed::Seed;

/// A layer of a network.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layer {
    Dense(Dense),
    Conv(Conv),
    Norm(Norm),
    Embed(Embed),
    Attention(Attention),
    Gate(Gate),
    Tied(Tied),
    Dropout(Dropout),
    Residual(Residual),
    Beside(Beside),
    Sample(Sample),
}

/// A parameter: its name, shape, first place among all parameters, and how it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slot {
    pub name: String,
    pub shape: Vec<usize>,
    pub at: usize,
    pub draw: Draw,
}

impl Slot {
    /// Numbers it holds.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What a layer gave in the last pass, and what it keeps for the way back.
#[derive(Debug)]
pub(super) struct Cell<T> {
    /// Its output, `outputs()` numbers per example.
    pub y: Vec<T>,
    /// The gradient of its input.
    pub dx: Vec<T>,
    /// Numbers that the way back needs; each layer says which.
    pub kept: Vec<T>,
    /// Choices that the way back needs: winners of pooling, survivors of dropout.
    pub marks: Vec<u8>,
    /// Cells of the layers inside this one.
    pub inner: Vec<Self>,
}

impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self {
            y: Vec::new(),
            dx: Vec::new(),
            kept: Vec::new(),
            marks: Vec::new(),
            inner: Vec::new(),
        }
    }
}

/// Room to work in, shared by all layers of a pass.
#[derive(Debug)]
pub(super) struct Room<T> {
    /// For matrix products.
    pub pack: Vec<T>,
    /// Weights in the kernel's order by their place among the parameters, made when first met. Only for
    /// parameters that never move.
    pub ready: Option<BTreeMap<usize, Packed<T>>>,
    pub a: Vec<T>,
    pub b: Vec<T>,
    pub c: Vec<T>,
    pub starts: Vec<usize>,
    /// Where texts lie, if not one an example. Set before a pass forward, kept for the way back.
    pub texts: Vec<texts::Stretch>,
    /// Two lines of a pooling, as one.
    pub columns: (Vec<T>, Vec<u8>),
}

impl<T> Default for Room<T> {
    fn default() -> Self {
        let [pack, a, b, c] = [(); 4].map(|()| Vec::new());
        let columns = (Vec::new(), Vec::new());
        let (starts, texts) = (Vec::new(), Vec::new());
        Self { pack, ready: None, a, b, c, starts, texts, columns }
    }
}

impl<T> Room<T> {
    /// For parameters that never move.
    pub(super) fn of_fixed() -> Self {
        Self { ready: Some(BTreeMap::new()), ..Self::default() }
    }
}

/// Why a forward pass is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pass {
    /// To answer: nothing is dropped, nothing need be kept.
    Answer,
    /// To find gradients of the answer: nothing is dropped.
    Trace,
    /// To learn; random choices come from this seed.
    Learn(Seed),
}

/// Gradients that a backward pass fills in.
pub(super) struct Wanted<'a, T> {
    /// Of all parameters of the network.
    pub params: Option<&'a mut [T]>,
    /// Of this layer's input.
    pub input: Option<&'a mut [T]>,
}

/// Makes `buffer` `len` long; what it holds then is to be overwritten.
pub(super) fn sized<T: Real>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() != len {
        buffer.resize(len, T::zero());
    }
    buffer
}

macro_rules! each {
    ($layer:expr, $l:ident => $call:expr) => {
        match $layer {
            Layer::Dense($l) => $call,
            Layer::Conv($l) => $call,
            Layer::Norm($l) => $call,
            Layer::Embed($l) => $call,
            Layer::Attention($l) => $call,
            Layer::Gate($l) => $call,
            Layer::Tied($l) => $call,
            Layer::Dropout($l) => $call,
            Layer::Residual($l) => $call,
            Layer::Beside($l) => $call,
            Layer::Sample($l) => $call,
        }
    };
}

impl Layer {
    /// Numbers of an example that it takes.
    pub(super) fn inputs(&self) -> usize {
        each!(self, l => l.inputs())
    }

    /// Numbers of an example that it gives.
    pub(super) fn outputs(&self) -> usize {
        each!(self, l => l.outputs())
    }

    /// Its parameters in order.
    pub(super) fn slots(&self) -> Vec<Slot> {
        each!(self, l => l.slots())
    }

    /// Multiply-adds of one example, forward; a bias counts as one more input.
    pub(super) fn multiply_adds(&self) -> usize {
        each!(self, l => l.multiply_adds())
    }

    /// Numbers that one example needs at its widest.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Residual(r) => r.inner.iter().map(Self::width).max().unwrap_or(0) + r.inputs(),
            Self::Beside(b) => b.inner.iter().map(Self::width).max().unwrap_or(0) + b.outputs(),
            Self::Conv(c) => c.width(),
            _ => self.inputs() + self.outputs(),
        }
    }

    /// Output of `n` examples x `[n, inputs]` into the cell.
    pub(super) fn forward<T: Real>(
        &self,
        n: usize,
        params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        room: &mut Room<T>,
        pass: Pass,
    ) {
        debug_assert_eq!(x.len(), n * self.inputs());
        each!(self, l => l.forward(n, params, x, cell, room, pass));
    }

    /// Gradients, given that of the output, dy `[n, outputs]`, and the x of the pass before.
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
        debug_assert_eq!(dy.len(), n * self.outputs());
        each!(self, l => l.backward(n, params, x, cell, dy, room, wanted));
    }
}

#[cfg(test)]
mod tests;
