//! Answers cut to a number of tokens. A cut answer lacks the token that would have ended it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Asked, ReplyLayer};
use crate::error::{Error, Result};
use crate::oracle::completion::Completion;

/// Settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Most tokens of an answer, 1 or more.
    #[schemars(range(min = 1))]
    pub tokens: usize,
}

/// The layer.
pub struct Truncate {
    most: usize,
}

impl Params {
    /// Checks the range.
    pub fn build(&self) -> Result<Truncate> {
        match self.tokens {
            0 => Err(Error::config("tokens", "0", "1 or more")),
            most => Ok(Truncate { most }),
        }
    }
}

impl ReplyLayer for Truncate {
    fn reply(&mut self, _asked: &Asked<'_>, answer: Completion) -> Completion {
        let kept: Vec<usize> = (0..answer.tokens.len().min(self.most)).collect();
        answer.select(&kept)
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompt::testing::reply;
    use super::*;

    #[test]
    fn the_first_tokens_stay() {
        let mut layer = Params { tokens: 4 }.build().unwrap();
        assert_eq!(reply(&mut layer, "A3+4>", "34.7=7\0"), "34.7");
        assert_eq!(reply(&mut layer, "Fc:abc>", "abc\0"), "abc\0");
        assert!(Params { tokens: 0 }.build().is_err());
    }
}
