//! The result without the way to it, as APIs of reasoning models give it.
//!
//! Of worked-out answers the part from the last `=` on stays, and the token that ends the text. One without a
//! `=` leaves only that token, or nothing. Other answers stay whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prompt::{is_worked, length, result_at};
use super::{Asked, ReplyLayer};
use crate::oracle::completion::Completion;

/// Settings: none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {}

/// The layer.
pub struct HideScratchpad;

impl ReplyLayer for HideScratchpad {
    fn reply(&mut self, asked: &Asked<'_>, answer: Completion) -> Completion {
        if !is_worked(asked.prompt) {
            return answer;
        }
        let (end, tokens) = (length(&answer.tokens), &answer.tokens);
        let kept: Vec<usize> = (result_at(tokens).unwrap_or(end)..tokens.len()).collect();
        answer.select(&kept)
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompt::testing::reply;
    use super::*;

    #[test]
    fn the_result_stays_and_other_answers_stay_whole() {
        let hide = |prompt, answer| reply(&mut HideScratchpad, prompt, answer);
        assert_eq!(hide("A583+907>", "37.0,80c9,59.4,1=1490\0"), "=1490\0");
        assert_eq!(hide("R6+7-2>", "+7=13-2=11"), "=11");
        assert_eq!(hide("R6+7-2>", "no result\0"), "\0");
        assert_eq!(hide("R6+7-2>", "no result"), "");
        assert_eq!(hide("Fc:a=b>", "a=b\0"), "a=b\0");
    }
}
