//! Log-probabilities of the k most likely tokens at each place. What is left out is absent, not zero, and
//! nothing is renormalised; text APIs tell 5 or 20.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Asked, ReplyLayer};
use crate::error::{Error, Result};
use crate::oracle::completion::Completion;

/// Settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Tokens told at each place, 1 or more.
    #[schemars(range(min = 1))]
    pub k: usize,
}

/// The layer.
pub struct TopKLogprobs {
    k: usize,
}

impl Params {
    /// Checks the range.
    pub fn build(&self) -> Result<TopKLogprobs> {
        match self.k {
            0 => Err(Error::config("k", "0", "1 or more; for none there is `hide-logprobs`")),
            k => Ok(TopKLogprobs { k }),
        }
    }
}

impl ReplyLayer for TopKLogprobs {
    fn reply(&mut self, _asked: &Asked<'_>, answer: Completion) -> Completion {
        Completion { logprobs: answer.logprobs.map(|probs| probs.top(self.k)), ..answer }
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompt::testing::answer;
    use super::*;
    use crate::oracle::AccountId;

    #[test]
    fn the_most_likely_stay_as_they_were() {
        let asked = Asked { account: AccountId(0), prompt: b"Tx" };
        let mut layer = Params { k: 2 }.build().unwrap();
        let (clean, top) = (answer("ab"), layer.reply(&asked, answer("ab")));
        let (clean_probs, probs) = (clean.logprobs.unwrap(), top.logprobs.unwrap());
        assert_eq!((top.tokens, probs.k(), probs.vocabulary), (clean.tokens, 2, 256));
        assert_eq!(probs.logs, clean_probs.logs.slice(ndarray::s![.., ..2]));
        assert!(Params { k: 0 }.build().is_err());
    }
}
