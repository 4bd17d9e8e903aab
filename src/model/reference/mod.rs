//! The executor on candle: the same layers as tensor operations with candle's automatic gradients. It runs
//! on CUDA, and on the processor it is the reference that the other executor is tested against.
//!
//! Only operations whose gradients are right are used: none of candle's pooling, fused norms, fused softmax
//! or rotary embedding (each is wrong or silent on the way back in 0.11.1), and none of its random numbers.

mod layers;

use candle_core::{DType, Device, Storage, Tensor, Var};

use super::layer::Pass;
use super::network::Network;
use crate::error::{Error, Result};

/// Turns candle's failure into ours.
pub(super) fn engine(error: candle_core::Error) -> Error {
    Error::Internal(format!("engine: {error}"))
}

/// One network on a device.
#[derive(Debug)]
pub(super) struct Runner {
    network: Network,
    device: Device,
    /// One per slot; set anew when the parameters change.
    params: Vec<Var>,
}

impl Runner {
    /// A network on `device`, with these parameters.
    pub(super) fn new(network: &Network, device: Device, params: &[f32]) -> Result<Self> {
        let slots = network.slots().iter();
        let vars = slots.map(|slot| {
            let values = &params[slot.at..][..slot.len()];
            let tensor = Tensor::from_slice(values, &slot.shape[..], &device)?;
            Var::from_tensor(&tensor)
        });
        let vars = vars.collect::<candle_core::Result<_>>().map_err(engine)?;
        Ok(Self { network: network.clone(), device, params: vars })
    }

    /// Other parameters.
    pub(super) fn set(&mut self, params: &[f32]) -> Result<()> {
        for (slot, var) in self.network.slots().iter().zip(&self.params) {
            let values = &params[slot.at..][..slot.len()];
            let tensor = Tensor::from_slice(values, &slot.shape[..], &self.device);
            tensor.and_then(|t| var.set(&t)).map_err(engine)?;
        }
        Ok(())
    }

    fn input(&self, x: &[f32], n: usize) -> Result<Tensor> {
        Tensor::from_slice(x, (n, self.network.inputs()), &self.device).map_err(engine)
    }

    fn forward(&self, x: &Tensor, layers: usize, pass: Pass) -> Result<Tensor> {
        let params: Vec<&Tensor> = self.params.iter().map(Var::as_tensor).collect();
        let layers = &self.network.layers()[..layers];
        layers::forward(layers, &mut params.into_iter(), x, pass).map_err(engine)
    }

    /// Outputs of n examples x after the first `layers` layers.
    pub(super) fn answer(&self, x: &[f32], n: usize, layers: usize) -> Result<Vec<f32>> {
        numbers(&self.forward(&self.input(x, n)?.detach(), layers, Pass::Answer)?)
    }

    /// Gradients of the parameters for n examples x. `goal` gets the outputs and fills in their gradient.
    pub(super) fn learn<R>(
        &self,
        x: &[f32],
        n: usize,
        pass: Pass,
        goal: impl FnOnce(&[f32], &mut [f32]) -> R,
        grads: &mut [f32],
    ) -> Result<R> {
        let y = self.forward(&self.input(x, n)?, self.network.layers().len(), pass)?;
        let (told, store) = pull(&y, goal)?;
        for (slot, var) in self.network.slots().iter().zip(&self.params) {
            let missing = || Error::Internal(format!("no gradient of {}", slot.name));
            let grad = numbers(store.get(var.as_tensor()).ok_or_else(missing)?)?;
            grads[slot.at..][..slot.len()].copy_from_slice(&grad);
        }
        Ok(told)
    }

    /// Gradient of the input for n examples x.
    pub(super) fn pull(
        &self,
        x: &[f32],
        n: usize,
        goal: impl FnOnce(&[f32], &mut [f32]),
    ) -> Result<Vec<f32>> {
        let x = Var::from_tensor(&self.input(x, n)?).map_err(engine)?;
        let y = self.forward(x.as_tensor(), self.network.layers().len(), Pass::Trace)?;
        let ((), store) = pull(&y, goal)?;
        let missing = || Error::Internal("no gradient of the input".into());
        numbers(store.get(x.as_tensor()).ok_or_else(missing)?)
    }
}

/// Gradients of what `goal` measures on the outputs.
fn pull<R>(
    y: &Tensor,
    goal: impl FnOnce(&[f32], &mut [f32]) -> R,
) -> Result<(R, candle_core::backprop::GradStore)> {
    let values = numbers(y)?;
    let mut grad = vec![0.0; values.len()];
    let told = goal(&values, &mut grad);
    // The gradient of the sum of y times a constant is that constant.
    let along = Tensor::from_vec(grad, y.shape(), y.device()).and_then(|g| y.mul(&g)?.sum_all());
    let store = along.and_then(|a| a.backward()).map_err(engine)?;
    Ok((told, store))
}

/// A tensor's numbers in row-major order.
fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    let host = tensor.to_device(&Device::Cpu).and_then(|t| t.to_dtype(DType::F32)?.contiguous());
    let host = host.map_err(engine)?;
    let (storage, layout) = host.storage_and_layout();
    let Storage::Cpu(values) = &*storage else {
        return Err(Error::Internal("a tensor moved to the processor is not there".into()));
    };
    let all = values.as_slice::<f32>().map_err(engine)?;
    let start = layout.start_offset();
    Ok(all[start..start + layout.shape().elem_count()].to_vec())
}

#[cfg(test)]
mod tests;
