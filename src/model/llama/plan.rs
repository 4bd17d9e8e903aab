//! The sizes of a Llama, and how its weights are found in a file.

use std::path::Path;

use super::matrix::Weights;
use super::pass::Block;
use crate::error::{Error, Result};

/// The sizes of a Llama (Touvron et al. 2023), with grouped queries (Ainslie et al. 2023).
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Different tokens.
    pub vocabulary: usize,
    /// Most tokens of a text.
    pub context: usize,
    /// Blocks.
    pub layers: usize,
    /// Numbers of a position.
    pub width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves the same number of query heads.
    pub key_heads: usize,
    /// Numbers of a head; even.
    pub head: usize,
    /// Numbers inside a feed-forward layer.
    pub hidden: usize,
    /// Base of the rotary angles: position / base^(2i / head).
    pub base: f64,
    /// Added to the mean square in a norm.
    pub epsilon: f32,
    /// Which numbers of a head turn together.
    pub pairs: Pairs,
}

/// Which two numbers of a head a rotary embedding turns together (Su et al. 2021). Files of GGUF hold the rows of
/// queries and keys in another order than those of Hugging Face, so that neighbours turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// 2i and 2i + 1.
    Neighbours,
    /// i and i + half.
    Halves,
}

/// Most of each part of a plan. A file that holds all its tensors is limited by its own length; these keep products
/// of sizes in range.
pub(super) const MOST: usize = 1 << 24;

impl Plan {
    /// Refuses sizes that do not fit together, in this file.
    pub(super) fn check(&self, file: &Path) -> Result<()> {
        let Self { heads, key_heads, head, base, epsilon, .. } = *self;
        let refuse = |what: &str, found: String, expected: &str| {
            Err(Error::data(file, what, found, expected))
        };
        if !heads.is_multiple_of(key_heads) {
            let found = format!("{key_heads} for {heads} query heads");
            return refuse("key heads", found, "a divisor of the query heads");
        }
        if !head.is_multiple_of(2) {
            return refuse("numbers of a head", head.to_string(), "an even number");
        }
        if !(base.is_finite() && base > 0.0) {
            return refuse("rotary base", base.to_string(), "a positive number");
        }
        if !(epsilon.is_finite() && (0.0..=1.0).contains(&epsilon)) {
            return refuse("epsilon of norms", epsilon.to_string(), "0 to 1");
        }
        Ok(())
    }
}

/// A tensor of a Llama.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Embedding,
    Norm,
    Head,
    /// Of a block.
    Of(usize, Inner),
}

/// A tensor of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    AttentionNorm,
    Query,
    Key,
    Value,
    AttentionOut,
    ForwardNorm,
    Gate,
    Up,
    Down,
}

/// A file that has tensors.
pub(super) trait Source {
    /// Whether the tensor is there.
    fn has(&self, part: Part) -> bool;
    /// Weights of exactly this shape.
    fn matrix(&mut self, part: Part, outputs: usize, inputs: usize) -> Result<Weights>;
    /// Numbers of exactly this many.
    fn vector(&mut self, part: Part, len: usize) -> Result<Vec<f32>>;
}

/// All weights of a Llama.
#[derive(Debug)]
pub(super) struct Network {
    pub embedding: Weights,
    pub blocks: Vec<Block>,
    pub norm: Vec<f32>,
    /// None where the embedding serves.
    pub head: Option<Weights>,
}

impl Network {
    /// Of the tensors of a file. Nothing is made of a size that the file's tensors do not have.
    pub(super) fn read(plan: &Plan, source: &mut impl Source) -> Result<Self> {
        let Plan { vocabulary, width, hidden, .. } = *plan;
        let (queries, keys) = (plan.heads * plan.head, plan.key_heads * plan.head);
        let embedding = source.matrix(Part::Embedding, vocabulary, width)?;
        let mut blocks = Vec::new();
        for block in 0..plan.layers {
            let of = |inner| Part::Of(block, inner);
            blocks.push(Block {
                attention_norm: source.vector(of(Inner::AttentionNorm), width)?,
                query: source.matrix(of(Inner::Query), queries, width)?,
                key: source.matrix(of(Inner::Key), keys, width)?,
                value: source.matrix(of(Inner::Value), keys, width)?,
                attention_out: source.matrix(of(Inner::AttentionOut), width, queries)?,
                forward_norm: source.vector(of(Inner::ForwardNorm), width)?,
                gate: source.matrix(of(Inner::Gate), hidden, width)?,
                up: source.matrix(of(Inner::Up), hidden, width)?,
                down: source.matrix(of(Inner::Down), width, hidden)?,
            });
        }
        let norm = source.vector(Part::Norm, width)?;
        let own = source.has(Part::Head);
        let head = own.then(|| source.matrix(Part::Head, vocabulary, width)).transpose()?;
        Ok(Self { embedding, blocks, norm, head })
    }
}
