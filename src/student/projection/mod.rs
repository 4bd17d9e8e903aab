//! Stealing the last layer of a language model through its API (Carlini et al. 2024, arXiv:2403.06634;
//! Finlayson et al. 2024, arXiv:2403.09539).
//!
//! Logits are W h: however large the vocabulary, they lie in a space no wider than the hidden state. So the
//! singular values of many answers, side by side, fall off where the width ends ([`Spectrum`]), and their right
//! singular vectors are W up to an invertible square matrix ([`Answers::last_layer`]). What has to be read first are logits,
//! out of whatever the API tells ([`read()`]).
//!
//! Log-probabilities are logits less a number of each prompt's own, so everything here is relative to the mean
//! of a row ([`Answers::centred`]), which costs W its mean over tokens. What else the width seen is not: a last layer norm
//! leaves a width of h - 1, because it takes the mean out; a root-mean-square norm leaves h. A bias behind either
//! adds the same row to every answer, and with it one to the width; less their mean over prompts
//! ([`Answers::without_constant`]), answers do not have it any more.

mod read;
mod spectrum;

#[cfg(test)]
mod tests;

pub use read::{Reading, Way, biased, biased_queries, flip_queries, flips, read, told, whole};
pub use spectrum::{Answers, Spectrum, Width};

use crate::error::Result;

/// What an API's documentation says it offers. Text at temperature 0 is always there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Card {
    /// Different tokens.
    pub vocabulary: usize,
    /// Whether it tells every log-probability.
    pub whole: bool,
    /// Most likely tokens that it tells with their log-probabilities; 0 for none.
    pub top: usize,
    /// Largest bias that a token's logit may be given; 0 where there is no such option.
    pub most_bias: f64,
}

/// An API as it is asked for the one token after a prompt. Asking for what it does not offer is an error.
pub trait NextToken {
    /// What it offers.
    fn card(&self) -> Card;

    /// Log-probabilities `[vocabulary]` of every token.
    fn whole(&mut self, prompt: &[u16]) -> Result<Vec<f64>>;

    /// The most likely tokens and their log-probabilities, falling, with these biases on logits.
    fn top(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<Vec<(u16, f64)>>;

    /// The most likely token with these biases on logits.
    fn first(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<u16>;
}

/// The only way to ask: counts every question.
pub struct Asker<'a> {
    api: &'a mut dyn NextToken,
    queries: u64,
}

impl<'a> Asker<'a> {
    /// Nothing asked yet.
    pub fn new(api: &'a mut dyn NextToken) -> Self {
        Self { api, queries: 0 }
    }

    /// Questions so far.
    pub const fn queries(&self) -> u64 {
        self.queries
    }

    fn card(&self) -> Card {
        self.api.card()
    }

    fn whole(&mut self, prompt: &[u16]) -> Result<Vec<f64>> {
        self.queries += 1;
        self.api.whole(prompt)
    }

    fn top(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<Vec<(u16, f64)>> {
        self.queries += 1;
        self.api.top(prompt, bias)
    }

    fn first(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<u16> {
        self.queries += 1;
        self.api.first(prompt, bias)
    }
}
