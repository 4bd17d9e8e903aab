//! A summary in place of the scratchpad, as APIs of reasoning models give it: what each step came to, and not
//! how.
//!
//! | prompt | answer | summary |
//! |---|---|---|
//! | `A583+907>` | `37.0,80c9,59.4,1=1490` | `0,9,4,1=1490` |
//! | `R6+7-2*2>` | `+7=13-2=11*2=22` | `=13=11=22` |
//!
//! Of each group of a sum its last byte stays, the digit of the result; of each operation of a program what
//! follows its `=`. The result itself stays, and so do other answers. An answer without a `=` leaves nothing
//! but the token that ends it.

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
pub struct SummariseScratchpad;

impl ReplyLayer for SummariseScratchpad {
    fn reply(&mut self, asked: &Asked<'_>, answer: Completion) -> Completion {
        if !is_worked(asked.prompt) {
            return answer;
        }
        let tokens = &answer.tokens;
        let result = result_at(tokens).unwrap_or(length(tokens));
        let steps = match result_at(tokens) {
            Some(result) if asked.prompt.starts_with(b"A") => of_sum(&tokens[..=result]),
            Some(result) => of_program(&tokens[..result]),
            None => Vec::new(),
        };
        let kept: Vec<usize> = steps.into_iter().chain(result..tokens.len()).collect();
        answer.select(&kept)
    }
}

/// Places of the commas and of what stands before one, or before the `=` at the end.
fn of_sum(tokens: &[u16]) -> Vec<usize> {
    let ends = |at: usize| matches!(tokens[at], COMMA | EQUALS);
    (0..tokens.len() - 1).filter(|&at| tokens[at] == COMMA || ends(at + 1)).collect()
}

/// Places of each `=` and the digits that follow it.
fn of_program(tokens: &[u16]) -> Vec<usize> {
    let mut open = false;
    let mut keep = |&at: &usize| {
        let token = tokens[at];
        open = token == EQUALS || open && (ZERO..ZERO + 10).contains(&token);
        open
    };
    (0..tokens.len()).filter(|at| keep(at)).collect()
}

const COMMA: u16 = b',' as u16;
const EQUALS: u16 = b'=' as u16;
const ZERO: u16 = b'0' as u16;

#[cfg(test)]
mod tests {
    use super::super::prompt::testing::reply;
    use super::*;

    #[test]
    fn what_each_step_came_to_stays() {
        let summary = |prompt, answer| reply(&mut SummariseScratchpad, prompt, answer);
        assert_eq!(summary("A583+907>", "37.0,80c9,59.4,1=1490\0"), "0,9,4,1=1490\0");
        assert_eq!(summary("A3+4>", "34.7=7\0"), "7=7\0");
        assert_eq!(summary("R6+7-2*2>", "+7=13-2=11*2=22\0"), "=13=11=22\0");
        assert_eq!(summary("R6+7>", "+7=13"), "=13");
        assert_eq!(summary("A1+2>", "no result, none\0"), "\0");
        assert_eq!(summary("U[a]ring>", "none\0"), "none\0");
    }

    #[test]
    fn answers_that_are_not_as_expected_do_no_harm() {
        let summary = |prompt, answer| reply(&mut SummariseScratchpad, prompt, answer);
        assert_eq!(summary("A1+2>", "=\0"), "=\0");
        assert_eq!(summary("A1+2>", "1,2=,3"), "1,2=,3");
        assert_eq!(summary("R1+2>", "=="), "==");
        assert_eq!(summary("R1+2>", ""), "");
    }
}
