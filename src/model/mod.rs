//! Networks and how they learn. The only room that imports candle; no candle type leaves it.
//!
//! The face of the room is small: an [`Arch`], [`Model::init`], [`fit`], and plain arrays out of a
//! [`Model`]. Losses live one per file in `loss/` as (logits, target) -> (loss, gradient).

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::seed::Seed;

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

/// A network's plan, as configs write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Arch {
    /// Softmax regression.
    Logistic {},
    /// Fully connected ReLU layers of these widths.
    Mlp {
        /// Units of each hidden layer, 1 to 8 layers.
        hidden: Vec<usize>,
    },
    /// A small convolutional network: two 3x3 convolutions with ReLU and 2x2 max pooling, then a
    /// hidden layer. Images only, at least 8x8.
    Lenet {
        /// Filters of the two convolutions.
        filters: [usize; 2],
        /// Units of the hidden layer.
        hidden: usize,
    },
}

/// A trained or fresh network. Opaque: arrays in, arrays out.
pub struct Model {
    _todo: (),
}

/// Where models run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    #[default]
    Cpu,
    Cuda(usize),
}

/// How training goes. All students of a table share one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Recipe {
    /// The update rule.
    pub optimizer: Optimizer,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Rows of a step.
    pub batch: usize,
    /// Cap on optimiser steps, whatever the number of rows.
    pub steps: usize,
    /// Share of the given rows kept for the trainer's own validation, 0 to 0.5.
    pub validation: f64,
    /// Stop when validation has not improved for this many checks; 0 never stops early.
    pub patience: usize,
    /// Steps between validation checks.
    pub check_every: usize,
}

/// Update rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum, as torch defines it (no dampening, no Nesterov).
    Sgd {
        lr: f64,
        #[serde(default)]
        momentum: f64,
        #[serde(default)]
        weight_decay: f64,
    },
    /// Loshchilov and Hutter 2019, betas .9 and .999, eps 1e-8.
    #[serde(rename = "adamw")]
    AdamW {
        lr: f64,
        #[serde(default)]
        weight_decay: f64,
    },
}

/// Learning-rate schedules, as a factor on the optimiser's `lr`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// Factor 1 throughout.
    #[default]
    Constant,
    /// Half a cosine from 1 to 0 over the steps.
    Cosine,
    /// Times `factor` after every `every` steps.
    Step { every: usize, factor: f64 },
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            optimizer: Optimizer::AdamW { lr: 3e-3, weight_decay: 1e-4 },
            schedule: Schedule::Cosine,
            batch: 32,
            steps: 300,
            validation: 0.1,
            patience: 0,
            check_every: 50,
        }
    }
}

/// What a model is to learn from: rows and one target a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// `[n, d]`
    pub inputs: Array2<f32>,
    /// n targets of one kind.
    pub targets: Targets,
}

/// Targets of training rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// `[n]` class numbers: cross-entropy.
    Labels(Vec<usize>),
    /// `[n, classes]` probabilities, used as given (rows should sum to 1): soft labels.
    Probs(Array2<f64>),
    /// The k known probabilities of each row and one bucket for the rest: k + 1 outcomes.
    Bucket(crate::oracle::TopK),
}

/// The objective that turns logits and targets into a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Cross-entropy to class labels.
    HardLabel,
    /// T^2 KL(p_T || q_T), both tempered (Hinton, Vinyals and Dean 2015, section 2).
    /// Zero probabilities are raised to `eps` before the logarithm.
    SoftLabel { temperature: f64, eps: f64 },
    /// KL over the k known classes and one bucket for the rest, at temperature 1.
    Bucket,
}

/// What training gave.
pub struct Fitted {
    /// After the last step.
    pub last: Model,
    /// At the best validation loss; the same as `last` without validation rows.
    pub selected: Model,
    /// Steps taken.
    pub steps: usize,
    /// Floating-point operations spent: 6 x parameters x rows seen (forward 2, backward 4).
    pub flops: f64,
}

impl Model {
    /// Fresh weights: He-uniform (Kaiming, fan in) as torch's `nn.Linear` and `nn.Conv2d` draw them.
    pub fn init(
        arch: &Arch,
        shape: InputShape,
        classes: usize,
        device: Device,
        seed: Seed,
    ) -> Result<Self> {
        let _ = (arch, shape, classes, device, seed);
        unimplemented!()
    }

    /// Logits `[n, classes]` of inputs `[n, d]`, without dropout or gradient.
    pub fn logits(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        let _ = inputs;
        unimplemented!()
    }

    /// Probabilities `[n, classes]`, rows sum to 1; softmax in 64 bits.
    pub fn probs(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        let _ = inputs;
        unimplemented!()
    }

    /// Gradient `[n, d]` of the logit of `class[i]` with respect to row i.
    pub fn input_grad(&self, inputs: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>> {
        let _ = (inputs, class);
        unimplemented!()
    }
}

/// Trains `model` on `lesson`. Same seed, same device, same build: same weights, at any thread count.
pub fn fit(
    model: Model,
    lesson: &Lesson,
    loss: Loss,
    recipe: &Recipe,
    seed: Seed,
) -> Result<Fitted> {
    let _ = (model, lesson, loss, recipe, seed);
    unimplemented!()
}
