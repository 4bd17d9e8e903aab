//! Decoder-only language models: tokens in, a distribution over the next token out at every position.
//!
//! Pre-norm blocks (Radford et al. 2019) of causal attention and a feed-forward layer of four times the
//! width with GELU or SiLU, rotary or learnt positions, and an output layer of its own; or blocks of the Llama family
//! ([`LlamaBlocks`]). Trained by the loop that trains classifiers; answers come one token at a time, with the keys and
//! values of the past kept.

mod complete;
mod decode;
mod gradient;
mod head;
mod learn;
mod llama;
mod mix;
mod reader;
mod sample;
mod save;
mod steer;

pub use complete::{Ask, Reveal};
pub use head::{Away, HeadRecipe};
pub use learn::Lesson;
pub use llama::LlamaBlocks;
pub use reader::Reader;
pub(super) use sample::Chooser;
pub use sample::Sampling;
pub use steer::{Steer, Text};

pub use super::loss::uld::Sorted;
pub use super::loss::{Soft, Tell, TokenTargets, Weights};

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::cpu;
use super::init::{Draw, Init};
use super::layer::{
    self, Activation, Attention, Dense, Dropout, Embed, Gate, Layer, Norm, NormKind,
};
use super::layer::{Residual, Tied};
use super::network::Network;
use super::{Device, Parameter};
use crate::error::{Error, Result, expect_shape};
use crate::seed::Seed;

/// Which norm the blocks use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormRule {
    /// Layer norm.
    #[default]
    Layer,
    /// Root-mean-square norm.
    Rms,
}

/// How positions are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// Rotary (Su et al. 2021).
    #[default]
    Rotary,
    /// A learnt row for each.
    Learnt,
}

/// What bends the feed-forward layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bend {
    /// GELU in its tanh form.
    #[default]
    Gelu,
    /// SiLU.
    Silu,
}

/// How fresh weights are drawn; biases are zero and gains one in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fresh {
    /// Normal with a deviation of .02 everywhere (Radford et al. 2019).
    #[default]
    Gpt2,
    /// Normal with 1 / sqrt(inputs of the layer), and .05 for embeddings.
    FanIn,
}

impl Fresh {
    /// Deviation of the weights of a layer of so many inputs.
    fn dense(self, from: usize) -> f64 {
        match self {
            Self::Gpt2 => 0.02,
            Self::FanIn => 1.0 / libm::sqrt(from as f64),
        }
    }

    /// Deviation of embeddings.
    const fn embedding(self) -> f64 {
        match self {
            Self::Gpt2 => 0.02,
            Self::FanIn => 0.05,
        }
    }
}

/// The plan of a decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decoder {
    /// Different tokens; 256 for bytes.
    pub vocabulary: usize,
    /// Most tokens of a text.
    pub context: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads of a block; must divide the width, into even parts with rotary positions, unless heads have a
    /// width of their own.
    pub heads: usize,
    /// Numbers of a position.
    pub width: usize,
    #[serde(default)]
    pub norm: NormRule,
    #[serde(default)]
    pub positions: Positions,
    #[serde(default)]
    pub bend: Bend,
    /// Chance that a number of a block's output is dropped while learning.
    #[serde(default)]
    pub dropout: f64,
    #[serde(default, skip_serializing_if = "crate::model::is_default")]
    pub fresh: Fresh,
    /// Blocks of the Llama family in the place of plain ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llama: Option<LlamaBlocks>,
}

/// Most of each part of a plan: as many tokens as have a number, and what a file may ask for before it is
/// known to hold as much.
const MOST_TOKENS: usize = 1 << 16;
const LONGEST: usize = 1 << 14;
const DEEPEST: usize = 1 << 8;
const WIDEST: usize = 1 << 14;

impl Decoder {
    /// Refuses a plan that cannot be built.
    pub fn check(&self) -> Result<()> {
        let Self { vocabulary, context, layers, heads, width, .. } = *self;
        let counts = [
            ("model.vocabulary", vocabulary, MOST_TOKENS),
            ("model.context", context, LONGEST),
            ("model.layers", layers, DEEPEST),
            ("model.heads", heads, WIDEST),
            ("model.width", width, WIDEST),
        ];
        if let Some((key, count, most)) =
            counts.into_iter().find(|(_, count, most)| !(1..=*most).contains(count))
        {
            return Err(Error::config(key, count.to_string(), format!("1 to {most}")));
        }
        let parts = match (self.positions, &self.llama) {
            (_, Some(_)) => 1,
            (Positions::Rotary, None) => 2 * heads,
            (Positions::Learnt, None) => heads,
        };
        if !width.is_multiple_of(parts) {
            let found = format!("{heads} heads for a width of {width}");
            return Err(Error::config("model.heads", found, format!("a multiple of {parts}")));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::config(
                "model.dropout",
                self.dropout.to_string(),
                "0 up to, but not, 1",
            ));
        }
        self.llama.map_or(Ok(()), |blocks| blocks.check(self))
    }

    /// The network, tokens to logits.
    pub(super) fn network(&self) -> Result<Network> {
        self.check()?;
        let mut build = Build { plan: self, at: 0 };
        let embed = build.embed();
        let tied = build.tied();
        let mut layers = vec![embed];
        for block in 1..=self.layers {
            layers.extend(build.block(block));
        }
        layers.push(build.norm("norm".into()));
        layers.push(tied.unwrap_or_else(|| {
            build.dense("output".into(), self.width, self.vocabulary, Activation::None)
        }));
        Ok(Network::new(layers))
    }

    /// Numbers of all parameters, before anything is built.
    const fn numbers(&self) -> usize {
        if let Some(blocks) = &self.llama {
            return blocks.numbers(self);
        }
        let Self { vocabulary, context, layers, width, .. } = *self;
        let rows = match self.positions {
            Positions::Rotary => vocabulary,
            Positions::Learnt => vocabulary + context,
        };
        let norm = match self.norm {
            NormRule::Layer => 2 * width,
            NormRule::Rms => width,
        };
        // Attention in and out, forward in and out, their biases and norms.
        let block = 12 * width * width + 9 * width + 2 * norm;
        rows * width + layers * block + norm + (width + 1) * vocabulary
    }
}

/// Layers with their places among the parameters.
struct Build<'a> {
    plan: &'a Decoder,
    at: usize,
}

impl Build<'_> {
    fn take(&mut self, numbers: usize) -> usize {
        self.at += numbers;
        self.at - numbers
    }

    fn embed(&mut self) -> Layer {
        let Decoder { vocabulary, context: positions, width, .. } = *self.plan;
        let places = self.plan.positions == Positions::Learnt;
        let at = self.take((vocabulary + if places { positions } else { 0 }) * width);
        let draw = Draw::Normal { deviation: self.plan.fresh.embedding() };
        let (name, tied) = ("embed".into(), self.plan.llama.is_some_and(|blocks| blocks.tied));
        Layer::Embed(Embed { name, positions, vocabulary, width, places, tied, draw, at })
    }

    /// The output layer over the rows of the embedding, which come first of all parameters, if they are to serve.
    fn tied(&self) -> Option<Layer> {
        let Decoder { vocabulary, context: times, width, llama, .. } = *self.plan;
        let tied = llama.is_some_and(|blocks| blocks.tied);
        tied.then_some(Layer::Tied(Tied { times, width, vocabulary, at: 0 }))
    }

    fn norm(&mut self, name: String) -> Layer {
        let Decoder { context: times, width, .. } = *self.plan;
        let (kind, numbers) = match self.plan.norm {
            NormRule::Layer => (NormKind::Layer, 2 * width),
            NormRule::Rms => (NormKind::Rms, width),
        };
        let eps = self.plan.llama.map_or(layer::EPS, |blocks| blocks.epsilon);
        Layer::Norm(Norm { name, kind, times, width, eps, at: self.take(numbers) })
    }

    fn dense(&mut self, name: String, from: usize, to: usize, activation: Activation) -> Layer {
        self.drawn(name, from, to, activation, self.plan.fresh.dense(from))
    }

    /// A layer whose output joins the way. Its weights are smaller, so that the way's numbers do not
    /// grow with the depth (Radford et al. 2019, section 2.3).
    fn joining(&mut self, name: String, from: usize) -> Layer {
        let Decoder { width, layers, fresh, .. } = *self.plan;
        let deviation = fresh.dense(from) / libm::sqrt(2.0 * layers as f64);
        self.drawn(name, from, width, Activation::None, deviation)
    }

    fn drawn(
        &mut self,
        name: String,
        from: usize,
        to: usize,
        activation: Activation,
        deviation: f64,
    ) -> Layer {
        let bias = self.plan.llama.is_none();
        let at = self.take((from + usize::from(bias)) * to);
        let draw = Draw::Normal { deviation };
        let times = self.plan.context;
        Layer::Dense(Dense { name, times, from, to, activation, bias, draw, at })
    }

    /// Attention and feed-forward, each around its own way.
    fn block(&mut self, block: usize) -> [Layer; 2] {
        let Decoder { context, width, heads, llama, .. } = *self.plan;
        let name = |part: &str| format!("block{block}.{part}");
        let rotary = self.plan.positions == Positions::Rotary;
        let heads = match &llama {
            None => Attention::new(context, width, heads, rotary),
            Some(blocks) => blocks.attention(self.plan),
        };
        let (row, seen) = (heads.row, heads.width);
        let attention = vec![
            self.norm(name("attention.norm")),
            self.dense(name("attention.in"), width, row, Activation::None),
            Layer::Attention(heads),
            self.joining(name("attention.out"), seen),
        ];
        let bend = match self.plan.bend {
            Bend::Gelu => Activation::Gelu,
            Bend::Silu => Activation::Silu,
        };
        let mut forward = vec![self.norm(name("forward.norm"))];
        match llama {
            None => forward.extend([
                self.dense(name("forward.in"), width, 4 * width, bend),
                self.joining(name("forward.out"), 4 * width),
            ]),
            Some(LlamaBlocks { hidden, .. }) => forward.extend([
                self.dense(name("forward.in"), width, 2 * hidden, Activation::None),
                Layer::Gate(Gate { times: context, width: hidden }),
                self.joining(name("forward.out"), hidden),
            ]),
        }
        let drop = |mut inner: Vec<Layer>, part: &str| {
            if self.plan.dropout > 0.0 {
                let (len, share) = (context * width, self.plan.dropout);
                inner.push(Layer::Dropout(Dropout { name: name(part), len, share }));
            }
            Layer::Residual(Residual { inner })
        };
        [drop(attention, "attention.drop"), drop(forward, "forward.drop")]
    }
}

/// A trained or fresh decoder. Clones share their weights.
#[derive(Clone, Debug)]
pub struct Language {
    plan: Decoder,
    device: Device,
    network: Network,
    params: Arc<Vec<f32>>,
}

/// Texts to learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    /// `[n, context]` token numbers.
    pub tokens: Array2<u16>,
    /// `[n, context]` the token that follows each; -1 where nothing is to be learnt.
    pub next: Array2<i32>,
}

/// What training a decoder gave.
#[derive(Debug)]
pub struct Learned {
    /// After the last step.
    pub last: Language,
    /// At the best validation loss; the same as `last` without validation texts.
    pub selected: Language,
    /// Steps taken.
    pub steps: usize,
}

impl Language {
    /// Fresh weights, drawn as the plan says.
    pub fn init(plan: &Decoder, device: Device, seed: Seed) -> Result<Self> {
        let network = plan.network()?;
        device.open()?;
        let params = Arc::new(network.draw(Init::HeUniform, seed));
        Ok(Self { plan: plan.clone(), device, network, params })
    }

    /// Of these parameters, in the network's order, for the processor.
    pub(in crate::model) fn of(plan: &Decoder, params: Vec<f32>) -> Result<Self> {
        let network = plan.network()?;
        expect_shape("parameters of a decoder", &[params.len()], &[network.parameters()])?;
        Ok(Self { plan: plan.clone(), device: Device::Cpu, network, params: Arc::new(params) })
    }

    /// Its plan.
    pub const fn plan(&self) -> &Decoder {
        &self.plan
    }

    /// Every parameter, in fixed order.
    pub fn weights(&self) -> Vec<Parameter> {
        self.network.named(&self.params)
    }

    /// Logits `[n * context, vocabulary]` of texts `[n, context]`, position after position;
    /// computed on the processor, wherever the model learns.
    pub fn logits(&self, tokens: ArrayView2<'_, u16>) -> Result<Array2<f32>> {
        self.check_tokens(tokens)?;
        let rows = tokens.nrows() * self.plan.context;
        let mut out = Vec::with_capacity(rows * self.plan.vocabulary);
        let mut runner = cpu::Runner::of_fixed(&self.network);
        let layers = self.network.layers().len();
        for text in tokens.rows() {
            let x: Vec<f32> = text.iter().map(|&t| f32::from(t)).collect();
            out.extend_from_slice(runner.answer(&self.params, &x, 1, layers));
        }
        Array2::from_shape_vec((rows, self.plan.vocabulary), out)
            .map_err(|e| Error::Internal(e.to_string()))
    }

    fn check_tokens(&self, tokens: ArrayView2<'_, u16>) -> Result<()> {
        let shape = [tokens.nrows(), self.plan.context];
        expect_shape("tokens of texts", tokens.shape(), &shape)?;
        let most = self.plan.vocabulary;
        match tokens.indexed_iter().find(|(_, t)| usize::from(**t) >= most) {
            Some(((row, at), token)) => {
                let what = format!("token of text {row}, position {at}");
                Err(Error::input(what, token, format!("below {most}")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
