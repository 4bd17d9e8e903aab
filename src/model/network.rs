//! A network as both executors read it: layers in order, and where each parameter lies.

use std::sync::Arc;

use super::Parameter;
use super::init::{self, Init};
use super::layer::{Beside, Dropout, Layer, Slot};
use crate::seed::Seed;

/// Layers, input to output, and their parameters. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Network {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    layers: Vec<Layer>,
    slots: Vec<Slot>,
    len: usize,
}

impl Network {
    /// Of layers whose parameters fill a slice without gaps.
    pub(super) fn new(layers: Vec<Layer>) -> Self {
        let slots: Vec<Slot> = layers.iter().flat_map(Layer::slots).collect();
        let len = slots.iter().map(Slot::len).sum();
        debug_assert!(slots.windows(2).all(|s| s[0].at + s[0].len() == s[1].at), "no gaps");
        Self { inner: Arc::new(Inner { layers, slots, len }) }
    }

    /// The same network that drops numbers while it learns: a share of its inputs, and one of what enters each
    /// later dense layer. Parameters keep their places.
    pub(super) fn dropping(&self, input: f64, later: f64) -> Self {
        let mut layers = Vec::new();
        for (i, layer) in self.layers().iter().enumerate() {
            let share = match layer {
                _ if i == 0 => input,
                Layer::Dense(_) => later,
                _ => 0.0,
            };
            if share > 0.0 {
                let (name, len) = (format!("dropout{i}"), layer.inputs());
                layers.push(Layer::Dropout(Dropout { name, len, share }));
            }
            layers.push(layer.clone());
        }
        Self::new(layers)
    }

    /// The same network that tells what its hidden layers gave before what it gives:
    /// [first hidden layer, ..., last hidden layer, outputs]. Parameters keep their places.
    pub(super) fn telling(&self) -> Self {
        let mut layers = self.layers().to_vec();
        for i in self.hidden().into_iter().rev() {
            let inner = layers.split_off(i + 1);
            layers.push(Layer::Beside(Beside { inner }));
        }
        Self::new(layers)
    }

    /// Numbers of an example that each hidden layer gives.
    pub(super) fn hidden_widths(&self) -> Vec<usize> {
        self.hidden().into_iter().map(|i| self.layers()[i].outputs()).collect()
    }

    /// Places of the hidden layers: all but the last one, and but those that only drop numbers.
    fn hidden(&self) -> Vec<usize> {
        let body = 0..self.layers().len().saturating_sub(1);
        body.filter(|&i| !matches!(self.layers()[i], Layer::Dropout(_))).collect()
    }

    /// Input to output.
    pub(super) fn layers(&self) -> &[Layer] {
        &self.inner.layers
    }

    /// Parameters in order.
    pub(super) fn slots(&self) -> &[Slot] {
        &self.inner.slots
    }

    /// Numbers of all parameters.
    pub(super) fn parameters(&self) -> usize {
        self.inner.len
    }

    /// Numbers of an example going in.
    pub(super) fn inputs(&self) -> usize {
        self.layers().first().map_or(0, Layer::inputs)
    }

    /// Numbers of an example coming out.
    #[cfg(test)]
    pub(super) fn outputs(&self) -> usize {
        self.layers().last().map_or(0, Layer::outputs)
    }

    /// Numbers that one example needs at its widest layer.
    pub(super) fn width(&self) -> usize {
        self.layers().iter().map(Layer::width).max().unwrap_or(1)
    }

    /// Multiply-adds of one example, forward.
    pub(super) fn multiply_adds(&self) -> usize {
        self.layers().iter().map(Layer::multiply_adds).sum()
    }

    /// Parameters by name, in order.
    pub(super) fn named(&self, params: &[f32]) -> Vec<Parameter> {
        let values = |slot: &Slot| params[slot.at..][..slot.len()].to_vec();
        self.slots().iter().map(|s| (s.name.clone(), s.shape.clone(), values(s))).collect()
    }

    /// Fresh parameters.
    pub(super) fn draw(&self, init: Init, seed: Seed) -> Vec<f32> {
        self.slots().iter().flat_map(|slot| init::draw(slot, init, seed)).collect()
    }
}
