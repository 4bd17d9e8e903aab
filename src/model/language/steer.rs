//! Bending what comes next: whoever steers sees the logits of all texts of a step before their tokens are
//! chosen, and may change them.

use crate::error::Result;

/// A text that is to get its next token.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// Its place among the texts of the call.
    pub number: usize,
    /// The prompt and what was written so far.
    pub tokens: &'a [u16],
    /// Tokens of the prompt.
    pub prompt: usize,
}

impl<'a> Text<'a> {
    /// The prompt alone.
    pub fn asked(&self) -> &'a [u16] {
        &self.tokens[..self.prompt]
    }
}

/// Changes logits while texts are written.
pub trait Steer {
    /// Changes `logits` `[texts, vocabulary]`, row after row those of the next token of each text, before any
    /// temperature. A text's row may depend on this text alone, never on its company. Calls follow each other
    /// as the texts grow; a text that has ended is left out.
    fn steer(&mut self, texts: &[Text<'_>], logits: &mut [f32]) -> Result<()>;
}
