//! Defenses of a text API, one file each.
//!
//! A layer works at one of three hooks: while the teacher is trained, while it writes, or on what it has
//! written. The first layer of a config is the outermost: it sees the request first and the answer last. A
//! layer sees the account, the bytes of the prompt and the completion, and nothing else; what it makes of a
//! prompt, it makes of these bytes (see [`prompt`]).
//!
//! Whoever changes tokens says what becomes of their log-probabilities: those of a token left out go with it,
//! a token put in another's place takes over what was told of the other, and an answer that the teacher did
//! not write has none, which tells it from others wherever these have some.

pub mod antidistillation;
pub mod canary;
pub mod doge;
pub mod hide_logprobs;
pub mod hide_scratchpad;
pub mod paraphrase;
pub mod poison;
pub mod prompt;
mod proxy;
pub mod refusal_filter;
pub mod round_logprobs;
mod spec;
mod stack;
pub mod summarise_scratchpad;
pub mod temperature_floor;
#[cfg(test)]
mod tests;
pub mod top_k_logprobs;
pub mod truncate;
pub mod watermark;

pub use proxy::Proxy;
pub use spec::{TextDefenseCard, TextDefenseSpec, cards};
pub use stack::{TextBatch, TextStack};

use crate::model::language::{Sampling, Steer};
use crate::oracle::AccountId;
use crate::oracle::completion::Completion;

/// Where a layer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// On the teacher's weights.
    Train,
    /// On each token as it is written.
    Decode,
    /// On finished answers.
    Reply,
}

/// What a layer may change. The conformance tests hold it to every `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Tokens of answers.
    pub tokens: bool,
    /// What graders read of them: the result after a scratchpad, other answers whole, but not free text.
    pub results: bool,
    /// Log-probabilities of tokens that stay.
    pub logprobs: bool,
    /// Answers depend on what the account has asked before.
    pub stateful: bool,
}

/// A prompt and who asks it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub account: AccountId,
    pub prompt: &'a [u8],
}

/// A layer that takes part while answers are written.
pub trait DecodeLayer: Send {
    /// How tokens are chosen where `asked` was asked for.
    fn sampling(&self, asked: Sampling) -> Sampling {
        asked
    }

    /// Who bends the logits of a batch that is written with this sampling.
    fn steer(&self, sampling: &Sampling) -> Option<Box<dyn Steer + '_>>;
}

/// A layer that changes finished answers, one by one in the order in which they were asked.
pub trait ReplyLayer: Send {
    fn reply(&mut self, asked: &Asked<'_>, answer: Completion) -> Completion;
}
