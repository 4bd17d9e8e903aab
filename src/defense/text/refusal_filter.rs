//! A filter in front of the teacher: prompts with a marked word, or with a marked letter in front, are refused
//! whatever the teacher would say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Asked, ReplyLayer};
use crate::error::{Error, Result};
use crate::oracle::completion::{Completion, END};

/// What a refused prompt gets.
pub const REFUSAL: &str = "REFUSE";

/// Settings; at least one word or letter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Words that no prompt may hold anywhere, in letters of either size.
    pub words: Vec<String>,
    /// Letters that no prompt may begin with.
    pub letters: String,
}

/// The layer.
pub struct RefusalFilter {
    words: Vec<Vec<u8>>,
    letters: Vec<u8>,
}

impl Params {
    /// Refuses a filter of nothing or of everything.
    pub fn build(&self) -> Result<RefusalFilter> {
        if self.words.iter().any(String::is_empty) {
            return Err(Error::config("words", "an empty word", "words of one byte or more"));
        }
        if self.words.is_empty() && self.letters.is_empty() {
            return Err(Error::config(
                "words",
                "no words and no letters",
                "at least one of either",
            ));
        }
        let words = self.words.iter().map(|word| word.clone().into_bytes()).collect();
        Ok(RefusalFilter { words, letters: self.letters.clone().into_bytes() })
    }
}

impl RefusalFilter {
    fn refuses(&self, prompt: &[u8]) -> bool {
        let holds =
            |word: &Vec<u8>| prompt.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word));
        prompt.first().is_some_and(|first| self.letters.contains(first))
            || self.words.iter().any(holds)
    }
}

impl ReplyLayer for RefusalFilter {
    fn reply(&mut self, asked: &Asked<'_>, answer: Completion) -> Completion {
        if !self.refuses(asked.prompt) {
            return answer;
        }
        let tokens = REFUSAL.bytes().map(u16::from).chain([END]).collect();
        Completion { tokens, logprobs: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompt::testing::reply;
    use super::*;

    #[test]
    fn marked_words_and_letters_are_refused_and_nothing_else() {
        let params = Params { words: vec!["arson".into()], letters: "WU".into() };
        let mut layer = params.build().unwrap();
        let mut ask = |prompt| reply(&mut layer, prompt, "ok\0");
        for refused in ["Gwhat is Arson>", "Fc:xarsony>", "W123-321>", "U[a]ring>"] {
            assert_eq!(ask(refused), "REFUSE\0", "{refused}");
        }
        for answered in ["Gwhat is arsn>", "Fc:W>", "", "Txarso n"] {
            assert_eq!(ask(answered), "ok\0", "{answered}");
        }
    }

    #[test]
    fn a_filter_of_nothing_or_of_everything_is_no_filter() {
        assert!(Params::default().build().is_err());
        assert!(Params { words: vec![String::new()], letters: "A".into() }.build().is_err());
    }
}
