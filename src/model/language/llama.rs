//! Blocks as the Llama family has them (Touvron et al. 2023, section 2.2): RMS norms, rotary positions of any base, keys
//! and values that several query heads share (Ainslie et al. 2023, section 2.2), a gated feed-forward layer (SwiGLU;
//! Shazeer 2020, section 2), no biases, and an output layer that may share the embedding's rows.

use serde::{Deserialize, Serialize};

use super::{Bend, Decoder, NormRule, Positions, WIDEST};
use crate::error::{Error, Result};
use crate::model::layer::Attention;

/// What sets such blocks apart. Heads have a width of their own: all together need not be as wide as the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaBlocks {
    /// Key and value heads; a divisor of the query heads, each for the same number of these.
    pub key_heads: usize,
    /// Numbers of a head; even.
    pub head: usize,
    /// Numbers inside a feed-forward layer.
    pub hidden: usize,
    /// Base of the rotary angles: position / base^(2i / head).
    pub base: f64,
    /// Added to the mean square in a norm.
    pub epsilon: f64,
    /// Whether the output layer shares the embedding's rows.
    pub tied: bool,
}

impl LlamaBlocks {
    /// Refuses sizes that do not go together in this plan.
    pub(super) fn check(&self, plan: &Decoder) -> Result<()> {
        let Self { key_heads, head, hidden, base, epsilon, .. } = *self;
        let refuse = |key: &str, found: String, expected: &str| {
            Err(Error::config(format!("model.{key}"), found, expected))
        };
        let Decoder { norm, positions, bend, .. } = *plan;
        if (norm, positions, bend) != (NormRule::Rms, Positions::Rotary, Bend::Silu) {
            let found = format!("{norm:?}, {positions:?}, {bend:?}");
            return refuse("llama", found, "RMS norms, rotary positions and SiLU");
        }
        if key_heads == 0 || !plan.heads.is_multiple_of(key_heads) {
            let found = format!("{key_heads} for {} query heads", plan.heads);
            return refuse("llama.key_heads", found, "a divisor of the query heads");
        }
        if !(1..=WIDEST).contains(&head) || !head.is_multiple_of(2) {
            let expected = format!("an even number up to {WIDEST}");
            return refuse("llama.head", head.to_string(), &expected);
        }
        if !(1..=4 * WIDEST).contains(&hidden) {
            let expected = format!("1 to {}", 4 * WIDEST);
            return refuse("llama.hidden", hidden.to_string(), &expected);
        }
        if !(base.is_finite() && base > 0.0) {
            return refuse("llama.base", base.to_string(), "a positive number");
        }
        match (0.0..=1.0).contains(&epsilon) {
            true => Ok(()),
            false => refuse("llama.epsilon", epsilon.to_string(), "0 to 1"),
        }
    }

    /// The attention of a block.
    pub(super) fn attention(&self, plan: &Decoder) -> Attention {
        let heads = [plan.heads, self.key_heads];
        Attention::grouped(plan.context, heads, self.head, Some(self.base))
    }

    /// Numbers of all parameters of a decoder of such blocks.
    pub(super) const fn numbers(&self, plan: &Decoder) -> usize {
        let Decoder { vocabulary, layers, heads, width, .. } = *plan;
        let (queries, keys) = (heads * self.head, self.key_heads * self.head);
        let block = (2 * queries + 2 * keys + 3 * self.hidden + 2) * width;
        let tables = if self.tied { 1 } else { 2 };
        tables * vocabulary * width + layers * block + width
    }
}
