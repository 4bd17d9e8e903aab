//! What a text API can tell from the bytes of a prompt and of an answer.
//!
//! Prompts begin with a letter for what they ask (`data::suite` has the list). `A` and `R` are worked out on a
//! scratchpad before the result, which follows the last `=`; `T` is free text, to be continued.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::oracle::completion::END;

/// Which prompts a layer is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Those that ask for free text.
    #[default]
    Text,
    /// All.
    All,
}

impl Scope {
    /// Whether it holds a prompt that begins with this byte or token.
    pub fn holds(self, first: Option<u16>) -> bool {
        self == Self::All || first == Some(u16::from(b'T'))
    }

    /// The same of a prompt of bytes.
    pub fn holds_prompt(self, prompt: &[u8]) -> bool {
        self.holds(prompt.first().map(|&byte| u16::from(byte)))
    }
}

/// Whether answers to this prompt have a scratchpad.
pub fn is_worked(prompt: &[u8]) -> bool {
    matches!(prompt.first(), Some(b'A' | b'R'))
}

/// Length of an answer without the token that ends it and what may follow.
pub fn length(tokens: &[u16]) -> usize {
    tokens.iter().position(|t| *t == END).unwrap_or(tokens.len())
}

/// Where the result begins, with its `=`; none in an answer without one.
pub fn result_at(tokens: &[u16]) -> Option<usize> {
    tokens[..length(tokens)].iter().rposition(|t| *t == u16::from(b'='))
}

#[cfg(test)]
pub mod testing {
    //! Answers for tests of single layers.

    use super::super::{Asked, ReplyLayer};
    use crate::oracle::AccountId;
    use crate::oracle::completion::{Completion, TokenProbs};

    /// An answer in which each token is certain, each next one less so.
    pub fn answer(text: &str) -> Completion {
        let tokens: Vec<u16> = text.bytes().map(u16::from).collect();
        let logits = tokens.iter().flat_map(|&token| {
            (0..256).map(move |v| if v == token { 9.0 } else { -f32::from(v) / 100.0 })
        });
        let logprobs = Some(TokenProbs::of_logits(&logits.collect::<Vec<f32>>(), 256, 3));
        Completion { tokens, logprobs }
    }

    pub fn text(completion: &Completion) -> String {
        completion.tokens.iter().map(|&t| char::from(t as u8)).collect()
    }

    /// What the layer makes of this answer; checks that log-probabilities, if any are left, fit the tokens.
    pub fn reply(layer: &mut dyn ReplyLayer, prompt: &str, given: &str) -> String {
        let asked = Asked { account: AccountId(0), prompt: prompt.as_bytes() };
        let changed = layer.reply(&asked, answer(given));
        if let Some(probs) = &changed.logprobs {
            assert_eq!(probs.ids.column(0).to_vec(), changed.tokens, "{given}");
        }
        text(&changed)
    }
}
