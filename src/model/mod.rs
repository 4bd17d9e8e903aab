//! Networks and how they learn. The only room that imports candle; no candle type leaves it.
//!
//! The face of the room is small: an [`Arch`], [`Model::init`], [`fit`], and plain arrays out of a
//! [`Model`]. Losses live one per file in [`loss`] as (logits, target) -> (loss, gradient). The room
//! does not know where targets come from, nor what a model is used for.

mod arch;
mod cache;
mod device;
mod fit;
mod grad;
mod init;
mod kernel;
pub mod loss;
mod net;
mod optim;
mod patch;
mod pool;
mod save;
mod schedule;

use candle_core::Tensor;
use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

pub use arch::Arch;
pub use cache::Cache;
pub use device::Device;
pub use fit::{Fitted, Lesson, Recipe, fit};
pub use loss::{Loss, Targets};
pub use optim::Optimizer;
pub use save::Provenance;
pub use schedule::Schedule;

use crate::error::{Error, Result, expect_shape};
use crate::seed::Seed;
use arch::Layer;
use kernel::{engine, tensor, with_slice};
use net::forward;

/// The shape of one input row. Rows are always flat `[d]` arrays; images are row-major `[c, h, w]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputShape {
    /// `d` features without an order.
    Flat(usize),
    /// An image of `c` channels.
    Image { c: usize, h: usize, w: usize },
}

impl InputShape {
    /// Features of a row.
    pub const fn len(self) -> usize {
        match self {
            Self::Flat(d) => d,
            Self::Image { c, h, w } => c * h * w,
        }
    }

    /// True for a row of no features.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Name, shape and values of a parameter. Weights are `[inputs, outputs]`, biases `[outputs]`.
pub type Parameter = (String, Vec<usize>, Vec<f32>);

/// A trained or fresh network. Opaque: arrays in, arrays out. A clone shares its weights until one
/// of the two is trained.
#[derive(Clone)]
pub struct Model {
    arch: Arch,
    shape: InputShape,
    classes: usize,
    device: Device,
    layers: Vec<Layer>,
    /// Weight and bias of each layer in turn; replaced, never changed in place.
    params: Vec<Tensor>,
}

/// Rows of one piece of a batch.
struct Chunk {
    start: usize,
    rows: usize,
    /// `[rows or more, d]`: a short piece is filled up with rows of zeros.
    inputs: Tensor,
}

/// Most rows computed at once, and most numbers a layer may need for them.
const CHUNK_ROWS: usize = 4096;
const CHUNK_NUMBERS: usize = 1 << 22;
/// Fewest rows computed at once. Matrix products round differently for few rows; with this many, a
/// row's answer does not depend on the rows asked with it.
const FEWEST_ROWS: usize = 72;

impl Model {
    /// Fresh weights: He-uniform (Kaiming, fan in) as torch's `nn.Linear` and `nn.Conv2d` draw them.
    pub fn init(
        arch: &Arch,
        shape: InputShape,
        classes: usize,
        device: Device,
        seed: Seed,
    ) -> Result<Self> {
        let layers = arch.layers(shape, classes)?;
        let values = layers.iter().flat_map(|layer| init::draw(layer, seed)).collect();
        Self::assemble(arch, shape, classes, device, values)
    }

    /// A model of values for each parameter, in order and of the right lengths.
    fn assemble(
        arch: &Arch,
        shape: InputShape,
        classes: usize,
        device: Device,
        values: Vec<Vec<f32>>,
    ) -> Result<Self> {
        let layers = arch.layers(shape, classes)?;
        let place = device.open()?;
        let shapes = layers.iter().flat_map(Layer::parameters);
        let params = shapes.zip(values).map(|((_, shape), v)| tensor(v, &shape, &place));
        let params = params.collect::<Result<Vec<_>>>()?;
        Ok(Self { arch: arch.clone(), shape, classes, device, layers, params })
    }

    /// Its plan.
    pub const fn arch(&self) -> &Arch {
        &self.arch
    }

    /// How its input rows are laid out.
    pub const fn shape(&self) -> InputShape {
        self.shape
    }

    /// Classes it tells apart.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Where it runs.
    pub const fn device(&self) -> Device {
        self.device
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.params.iter().map(Tensor::elem_count).sum()
    }

    /// Multiply-adds of one row, forward.
    pub fn multiply_adds(&self) -> usize {
        self.layers.iter().map(Layer::multiply_adds).sum()
    }

    /// Every parameter, in fixed order.
    pub fn weights(&self) -> Result<Vec<Parameter>> {
        let named = self.layers.iter().flat_map(Layer::parameters).zip(&self.params);
        named
            .map(|((name, shape), tensor)| Ok((name, shape, with_slice(tensor, <[f32]>::to_vec)?)))
            .collect()
    }

    /// blake3 of names, shapes and values of all parameters, in hex.
    pub fn weights_hash(&self) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        for (name, shape, values) in self.weights()? {
            hasher.update(format!("{name} {shape:?}\n").as_bytes());
            values.iter().for_each(|v| {
                hasher.update(&v.to_le_bytes());
            });
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Logits `[n, classes]` of inputs `[n, d]`. A row's logits do not depend on the other rows.
    pub fn logits(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        self.outputs(&self.layers, self.classes, inputs)
    }

    /// Probabilities `[n, classes]`, rows sum to 1; softmax in 64 bits.
    pub fn probs(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        Ok(loss::softmax(self.logits(inputs)?.mapv(f64::from).view()))
    }

    /// Activations `[n, h]` that enter the last layer; the inputs themselves for a logistic model.
    pub fn features(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        let (last, body) = self.layers.split_last().expect("a network has an output layer");
        self.outputs(body, last.matrix().0, inputs)
    }

    fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn params(&self) -> &[Tensor] {
        &self.params
    }

    /// Replaces parameter `i`; clones keep the old one.
    fn set_param(&mut self, i: usize, values: &[f32]) -> Result<()> {
        let old = &self.params[i];
        self.params[i] = Tensor::from_slice(values, old.shape(), old.device()).map_err(engine)?;
        Ok(())
    }

    /// The rows at `index` where the model runs, `[index, d]`.
    fn rows_tensor(&self, inputs: ArrayView2<'_, f32>, index: &[usize]) -> Result<Tensor> {
        let mut values: Vec<f32> = Vec::with_capacity(index.len() * inputs.ncols());
        for &i in index {
            values.extend(inputs.row(i));
        }
        tensor(values, &[index.len(), inputs.ncols()], self.params[0].device())
    }

    /// Cuts inputs `[n, d]` into pieces that fit.
    fn chunks<'a>(
        &'a self,
        inputs: ArrayView2<'a, f32>,
    ) -> Result<impl Iterator<Item = Result<Chunk>> + 'a> {
        let (n, d) = inputs.dim();
        expect_shape("model inputs", &[n, d], &[n, self.shape.len()])?;
        let widest = self.layers.iter().map(Layer::width).max().unwrap_or(1);
        let size = (CHUNK_NUMBERS / widest).clamp(FEWEST_ROWS, CHUNK_ROWS);
        Ok((0..n).step_by(size).map(move |start| {
            let rows = size.min(n - start);
            let mut values: Vec<f32> = Vec::with_capacity(rows.max(FEWEST_ROWS) * d);
            values.extend(inputs.slice_axis(Axis(0), (start..start + rows).into()));
            values.resize(rows.max(FEWEST_ROWS) * d, 0.0);
            let inputs = tensor(values, &[rows.max(FEWEST_ROWS), d], self.params[0].device())?;
            Ok(Chunk { start, rows, inputs })
        }))
    }

    /// Outputs `[n, width]` of the first layers.
    fn outputs(
        &self,
        layers: &[Layer],
        width: usize,
        inputs: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>> {
        let mut out = Vec::with_capacity(inputs.nrows() * width);
        for chunk in self.chunks(inputs)? {
            let chunk = chunk?;
            let y = forward(layers, &self.params, &chunk.inputs)?;
            with_slice::<f32, _>(&y, |y| out.extend_from_slice(&y[..chunk.rows * width]))?;
        }
        Array2::from_shape_vec((inputs.nrows(), width), out)
            .map_err(|e| Error::Internal(e.to_string()))
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Model({:?}, {:?}, {} classes, {})",
            self.arch, self.shape, self.classes, self.device
        )
    }
}

#[cfg(test)]
mod tests;
