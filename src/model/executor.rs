//! The way through a network on the device it runs on. Only this file knows that there are two executors.

use super::cpu;
use super::device::Device;
use super::layer::Pass;
use super::layer::texts::Stretch;
use super::network::Network;
use super::reference;
use crate::error::Result;

/// One thread's executor, with buffers that are used again.
pub(super) enum Executor {
    Cpu(Box<cpu::Runner<f32>>),
    /// Holds a copy of the parameters where they are needed.
    Candle(reference::Runner),
}

impl Executor {
    /// For a network with these parameters, or others later.
    pub(super) fn new(network: &Network, device: Device, params: &[f32]) -> Result<Self> {
        Ok(match device {
            Device::Cpu => Self::Cpu(Box::new(cpu::Runner::new(network))),
            other => Self::Candle(reference::Runner::new(network, other.open()?, params)?),
        })
    }

    /// For a network with these parameters and no others.
    pub(super) fn of_fixed(network: &Network, device: Device, params: &[f32]) -> Result<Self> {
        match device {
            Device::Cpu => Ok(Self::Cpu(Box::new(cpu::Runner::of_fixed(network)))),
            other => Self::new(network, other, params),
        }
    }

    /// Says that the parameters are others now.
    pub(super) fn moved(&mut self, params: &[f32]) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Candle(runner) => runner.set(params),
        }
    }

    /// True if texts may lie otherwise than one an example. Graphics processors want equal shapes instead.
    pub(super) const fn lays_texts(&self) -> bool {
        matches!(self, Self::Cpu(_))
    }

    /// Where texts lie in the examples of the passes to come; none where each example is one.
    pub(super) fn lay(&mut self, texts: &[Stretch]) {
        match self {
            Self::Cpu(runner) => runner.lay(texts),
            Self::Candle(_) => debug_assert!(texts.is_empty(), "one text an example"),
        }
    }

    /// Hands `take` the outputs of n examples x after the first `layers` layers.
    pub(super) fn answer<R>(
        &mut self,
        params: &[f32],
        x: &[f32],
        n: usize,
        layers: usize,
        take: impl FnOnce(&[f32]) -> R,
    ) -> Result<R> {
        match self {
            Self::Cpu(runner) => Ok(take(runner.answer(params, x, n, layers))),
            Self::Candle(runner) => Ok(take(&runner.answer(x, n, layers)?)),
        }
    }

    /// Gradients of the parameters for n examples x. `goal` gets the outputs and fills in their gradient.
    pub(super) fn learn<R>(
        &mut self,
        params: &[f32],
        x: &[f32],
        n: usize,
        pass: Pass,
        goal: impl FnOnce(&[f32], &mut [f32]) -> R,
        grads: &mut [f32],
    ) -> Result<R> {
        match self {
            Self::Cpu(runner) => Ok(runner.learn(params, x, n, pass, goal, grads)),
            Self::Candle(runner) => runner.learn(x, n, pass, goal, grads),
        }
    }

    /// Hands `take` the gradient of the input for n examples x.
    pub(super) fn pull(
        &mut self,
        params: &[f32],
        x: &[f32],
        n: usize,
        goal: impl FnOnce(&[f32], &mut [f32]),
        take: impl FnOnce(&[f32]),
    ) -> Result<()> {
        match self {
            Self::Cpu(runner) => take(runner.pull(params, x, n, goal)),
            Self::Candle(runner) => take(&runner.pull(x, n, goal)?),
        }
        Ok(())
    }
}
