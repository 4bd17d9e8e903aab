#![doc = include_str!("README.md")]

mod arch;
#[doc(hidden)]
pub mod bench;
mod cache;
mod clip;
mod cpu;
mod decay;
mod device;
mod direction;
mod entangle;
mod executor;
mod fit;
mod grad;
mod init;
pub mod language;
mod layer;
mod lbfgs;
mod learner;
pub mod llama;
pub mod loss;
mod moves;
mod network;
mod one_vs_rest;
mod optim;
mod reference;
mod save;
mod schedule;
mod train;
pub mod tree;
mod vae;

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

pub use arch::{Arch, ConvPlan};
pub use cache::Cache;
pub use decay::Decay;
pub use device::Device;
pub use entangle::{Watermark, entangle};
pub use fit::{Fitted, Lesson, Recipe, fit, fit_part};
pub use init::Init;
pub use lbfgs::{Lbfgs, solve};
pub use learner::Learner;
pub use loss::{Loss, Targets};
pub use optim::Optimizer;
pub use save::Provenance;
pub use schedule::Schedule;
pub use train::Order;
pub use vae::Vae;

use crate::error::{Error, Result, expect_shape};
use crate::seed::Seed;
use executor::Executor;
use network::Network;
use one_vs_rest::OneVsRest;
use tree::Tree;

/// True for what a file need not mention.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

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

/// A trained or fresh network, decision tree or set of regressions. Opaque: arrays in, arrays out. Clones share their
/// weights.
#[derive(Clone)]
pub struct Model {
    arch: Arch,
    shape: InputShape,
    classes: usize,
    device: Device,
    body: Body,
}

/// What answers.
#[derive(Clone)]
enum Body {
    Network(Weighted),
    /// On the processor, whatever the model's device, as the next.
    Tree(Arc<Tree>),
    OneVsRest(Arc<OneVsRest>),
}

/// A network with its parameters.
#[derive(Clone)]
struct Weighted {
    network: Network,
    params: Arc<Vec<f32>>,
    /// Buffers that no question is using, with these weights in the kernel's order; shared by all clones.
    spare: Arc<Mutex<Option<Box<cpu::Runner<f32>>>>>,
}

/// Numbers that a piece of a batch may need on the processor, so that it stays in the second cache level,
/// and on other devices.
const NEAR: usize = 1 << 17;
const FAR: usize = 1 << 24;

impl Model {
    /// Fresh weights by the usual rule, [`Init::HeUniform`].
    pub fn init(
        arch: &Arch,
        shape: InputShape,
        classes: usize,
        device: Device,
        seed: Seed,
    ) -> Result<Self> {
        Self::init_by(Init::HeUniform, arch, shape, classes, device, seed)
    }

    /// Fresh weights by a rule. A fresh tree is a leaf with equal shares, whatever the rule.
    pub fn init_by(
        init: Init,
        arch: &Arch,
        shape: InputShape,
        classes: usize,
        device: Device,
        seed: Seed,
    ) -> Result<Self> {
        if matches!(arch, Arch::Tree { .. }) {
            return Self::of_tree(arch, shape, classes, device, Tree::fresh(classes));
        }
        let params = arch.network(shape, classes)?.draw(init, seed);
        Self::assemble(arch, shape, classes, device, params)
    }

    /// A model of all parameters in order.
    fn assemble(
        arch: &Arch,
        shape: InputShape,
        classes: usize,
        device: Device,
        params: Vec<f32>,
    ) -> Result<Self> {
        let network = arch.network(shape, classes)?;
        device.open()?;
        expect_shape("parameters of a model", &[params.len()], &[network.parameters()])?;
        let body = match arch {
            Arch::OneVsRest {} => Body::OneVsRest(Arc::new(OneVsRest::new(network, params))),
            _ => Body::Network(Weighted::new(network, params)),
        };
        Ok(Self { arch: arch.clone(), shape, classes, device, body })
    }

    /// A tree under a tree's plan, whose bounds are those of growing and need not hold for it.
    pub fn of_tree(
        arch: &Arch,
        shape: InputShape,
        classes: usize,
        device: Device,
        tree: Tree,
    ) -> Result<Self> {
        arch.check(shape, classes)?;
        if !matches!(arch, Arch::Tree { .. }) {
            let expected = format!("what `{}` is made of", arch.kind());
            return Err(Error::input("body of a model", "a tree", expected));
        }
        tree.check_fit(shape.len(), classes)?;
        let body = Body::Tree(Arc::new(tree));
        Ok(Self { arch: arch.clone(), shape, classes, device, body })
    }

    /// The same network with other parameters.
    fn with_params(&self, params: Vec<f32>) -> Result<Self> {
        let body = Body::Network(Weighted::new(self.network()?.clone(), params));
        Ok(Self { body, ..self.clone() })
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

    /// The tree, where it is one.
    pub fn tree(&self) -> Option<&Tree> {
        match &self.body {
            Body::Tree(tree) => Some(tree),
            Body::Network(_) | Body::OneVsRest(_) => None,
        }
    }

    /// Number of weights and biases; of a tree the numbers of its nodes and leaves.
    pub fn parameters(&self) -> usize {
        match &self.body {
            Body::Network(body) => body.params.len(),
            Body::Tree(tree) => tree.numbers(),
            Body::OneVsRest(regressions) => regressions.params().len(),
        }
    }

    /// Multiply-adds of one row, forward; a tree has none.
    pub fn multiply_adds(&self) -> usize {
        match &self.body {
            Body::Network(body) => body.network.multiply_adds(),
            Body::Tree(_) => 0,
            Body::OneVsRest(regressions) => regressions.network().multiply_adds(),
        }
    }

    /// Every parameter, in fixed order.
    pub fn weights(&self) -> Result<Vec<Parameter>> {
        Ok(match &self.body {
            Body::Network(body) => body.network.named(&body.params),
            Body::Tree(tree) => tree.named(),
            Body::OneVsRest(regressions) => regressions.network().named(regressions.params()),
        })
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

    /// Logits `[n, classes]` of inputs `[n, d]`. A row's logits do not depend on the other rows. Those of a tree are
    /// logarithms of its shares, none below that of the smallest normal number; those of one-vs-rest are logarithms of the
    /// regressions' probabilities, before these are brought to a sum of 1.
    pub fn logits(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        match &self.body {
            Body::Network(body) => self.outputs(body.network.layers().len(), self.classes, inputs),
            Body::Tree(_) => {
                let log = |p: f64| libm::log(p.max(f64::from(f32::MIN_POSITIVE))) as f32;
                Ok(self.probs(inputs)?.mapv(log))
            }
            Body::OneVsRest(regressions) => {
                self.check_inputs(inputs)?;
                Ok(regressions.logs(inputs).mapv(|log| log.max(f64::from(f32::MIN)) as f32))
            }
        }
    }

    /// Probabilities `[n, classes]`, rows sum to 1; softmax in 64 bits.
    pub fn probs(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        let (rows, c) = (inputs.nrows(), self.classes);
        let layers = match &self.body {
            Body::Network(body) => body.network.layers().len(),
            Body::Tree(tree) => {
                self.check_inputs(inputs)?;
                return Ok(tree.probs(inputs));
            }
            Body::OneVsRest(regressions) => {
                self.check_inputs(inputs)?;
                return Ok(regressions.probs(inputs));
            }
        };
        let mut out = Vec::with_capacity(rows * c);
        let wide = |logits: &[f32]| out.extend(logits.iter().map(|&z| f64::from(z)));
        self.answer(layers, inputs, wide)?;
        loss::soften(&mut out, c);
        Array2::from_shape_vec((rows, c), out).map_err(|e| Error::Internal(e.to_string()))
    }

    /// Activations `[n, h]` that enter the last layer; the inputs themselves for a logistic model. Networks alone
    /// have them.
    pub fn features(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        let (last, body) = self.network()?.layers().split_last().expect("a network has layers");
        self.outputs(body.len(), last.inputs(), inputs)
    }

    fn weighted(&self) -> Result<&Weighted> {
        match &self.body {
            Body::Network(body) => Ok(body),
            Body::Tree(_) | Body::OneVsRest(_) => Err(Error::input(
                "model",
                format!("one of kind `{}`", self.arch.kind()),
                "a network, for what needs gradients or layers",
            )),
        }
    }

    fn network(&self) -> Result<&Network> {
        Ok(&self.weighted()?.network)
    }

    fn params(&self) -> Result<&[f32]> {
        Ok(&self.weighted()?.params)
    }

    fn check_inputs(&self, inputs: ArrayView2<'_, f32>) -> Result<()> {
        expect_shape("model inputs", inputs.shape(), &[inputs.nrows(), self.shape.len()])
    }

    /// Cuts inputs `[n, d]` into pieces that fit: (first row, rows, their numbers).
    fn pieces<'a>(
        &self,
        inputs: ArrayView2<'a, f32>,
    ) -> Result<impl Iterator<Item = (usize, usize, Cow<'a, [f32]>)> + use<'a>> {
        self.check_inputs(inputs)?;
        let n = inputs.nrows();
        let most = if self.device == Device::Cpu { NEAR } else { FAR };
        let size = (most / self.network()?.width()).max(1);
        Ok((0..n).step_by(size).map(move |start| {
            let rows = size.min(n - start);
            let piece = inputs.slice_axis_move(Axis(0), (start..start + rows).into());
            let numbers = match piece.to_slice() {
                Some(numbers) => Cow::Borrowed(numbers),
                None => Cow::Owned(piece.iter().copied().collect()),
            };
            (start, rows, numbers)
        }))
    }

    /// Outputs `[n, width]` of the first `layers` layers.
    fn outputs(
        &self,
        layers: usize,
        width: usize,
        inputs: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>> {
        let mut out = Vec::with_capacity(inputs.nrows() * width);
        self.answer(layers, inputs, |piece| out.extend_from_slice(piece))?;
        Array2::from_shape_vec((inputs.nrows(), width), out)
            .map_err(|e| Error::Internal(e.to_string()))
    }

    /// Hands on the outputs of the first `layers` layers, piece by piece.
    fn answer(
        &self,
        layers: usize,
        inputs: ArrayView2<'_, f32>,
        mut take: impl FnMut(&[f32]),
    ) -> Result<()> {
        let body = self.weighted()?;
        let mut executor = body.executor(self.device)?;
        for (_, rows, x) in self.pieces(inputs)? {
            executor.answer(&body.params, &x, rows, layers, &mut take)?;
        }
        body.put_back(executor);
        Ok(())
    }
}

impl Weighted {
    fn new(network: Network, params: Vec<f32>) -> Self {
        Self { network, params: Arc::new(params), spare: Arc::default() }
    }

    /// An executor for a question: the spare one, if there is one.
    fn executor(&self, device: Device) -> Result<Executor> {
        match self.spare.try_lock().ok().and_then(|mut spare| spare.take()) {
            Some(runner) => Ok(Executor::Cpu(runner)),
            None => Executor::of_fixed(&self.network, device, &self.params),
        }
    }

    /// Keeps an executor's buffers for the next question.
    fn put_back(&self, executor: Executor) {
        if let (Executor::Cpu(runner), Ok(mut spare)) = (executor, self.spare.try_lock()) {
            *spare = Some(runner);
        }
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
