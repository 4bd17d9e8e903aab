//! Wrong results on purpose, for a share of the prompts; honest users get them too.
//!
//! One letter or digit of the result becomes another of its kind, so that a wrong answer looks like a right
//! one: a digit of a number, a letter of a word, an operation of a program, something between the brackets of
//! a call. Scratchpads stay as they are and no longer agree with their results. Which prompts, and how, is
//! drawn from the key and the prompt: asking again gives the same, and a majority of answers is no help.
//! Refusals, free text and worked-out answers without a result are left alone. A changed program may happen
//! to do the same as before.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prompt::{Scope, is_worked, length, result_at};
use super::refusal_filter::REFUSAL;
use super::{Asked, ReplyLayer};
use crate::error::{Error, Result};
use crate::oracle::completion::Completion;
use crate::seed::{Seed, below, uniform};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Share of prompts, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
}

/// The layer.
pub struct Poison {
    share: f64,
    key: Seed,
}

impl Params {
    /// Checks the range.
    pub fn build(&self, key: Seed) -> Result<Poison> {
        if (0.0..=1.0).contains(&self.share) {
            return Ok(Poison { share: self.share, key });
        }
        Err(Error::config("share", self.share.to_string(), "0 to 1"))
    }
}

impl ReplyLayer for Poison {
    fn reply(&mut self, asked: &Asked<'_>, mut answer: Completion) -> Completion {
        let mut rng = self.key.keyed(asked.prompt).rng();
        if uniform(&mut rng) >= self.share {
            return answer;
        }
        let Some((place, kind)) = place(asked.prompt, &answer.tokens, &mut rng) else {
            return answer;
        };
        let old = answer.tokens[place];
        let others: Vec<u16> = kind.iter().map(|&b| u16::from(b)).filter(|b| *b != old).collect();
        let new = others[below(&mut rng, others.len())];
        answer.tokens[place] = new;
        if let Some(probs) = &mut answer.logprobs {
            probs.exchange(place, old, new);
        }
        answer
    }
}

/// Where to change an answer, and what may stand there.
fn place(prompt: &[u8], tokens: &[u16], rng: &mut impl Rng) -> Option<(usize, &'static [u8])> {
    let whole = &tokens[..length(tokens)];
    let refused = whole.iter().copied().eq(REFUSAL.bytes().map(u16::from));
    if refused || Scope::Text.holds_prompt(prompt) {
        return None;
    }
    let from = match is_worked(prompt) {
        true => result_at(tokens)?,
        false => whole.iter().position(|t| *t == u16::from(b'(')).unwrap_or(0),
    };
    let is_digit =
        |at: usize| whole.get(at).is_some_and(|t| DIGITS.iter().any(|d| u16::from(*d) == *t));
    let kind = |at: usize| -> Option<&'static [u8]> {
        let sort: &[u8] = match u8::try_from(whole[at]).ok()? {
            b'0'..=b'9' => {
                let first = at == 0 || !is_digit(at - 1);
                // A number of several digits does not begin with a zero.
                if first && is_digit(at + 1) { &DIGITS[1..] } else { DIGITS }
            }
            b'a'..=b'z' if prompt.starts_with(b"W") => OPERATIONS,
            b'a'..=b'z' => SMALL,
            b'A'..=b'Z' => LARGE,
            _ => return None,
        };
        Some(sort)
    };
    let places: Vec<_> = (from..whole.len()).filter_map(|at| Some((at, kind(at)?))).collect();
    if places.is_empty() { None } else { Some(places[below(rng, places.len())]) }
}

const DIGITS: &[u8] = b"0123456789";
const SMALL: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const LARGE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Letters that programs are written in.
const OPERATIONS: &[u8] = b"rsilx";

#[cfg(test)]
mod tests {
    use super::super::prompt::testing::reply;
    use super::*;

    fn poison(share: f64) -> Poison {
        Params { share }.build(Seed::new(4)).unwrap()
    }

    /// Every change that the layer makes for prompts that begin so.
    fn changes(prompt: &str, answer: &str) -> Vec<String> {
        let ask = |i| reply(&mut poison(1.0), &format!("{prompt}{i}>"), answer);
        (0..200).map(ask).collect()
    }

    #[test]
    fn results_become_wrong_and_look_right() {
        for changed in changes("A58", "37.0=1490\0") {
            let number = changed.strip_prefix("37.0=").unwrap().strip_suffix('\0').unwrap();
            assert!(number.len() == 4 && number != "1490" && !number.starts_with('0'), "{changed}");
            assert!(number.bytes().all(|b| b.is_ascii_digit()), "{changed}");
        }
        for changed in changes("W", "sl\0") {
            assert!(changed.len() == 3 && changed != "sl\0");
            assert!(changed[..2].bytes().all(|b| OPERATIONS.contains(&b)), "{changed}");
        }
        for changed in changes("U[p]", "pay(Mozuk,39)\0") {
            let inside = changed.strip_prefix("pay(").unwrap().strip_suffix(")\0").unwrap();
            let (name, number) = inside.split_once(',').unwrap();
            assert_eq!((name.len(), number.len()), (5, 2));
            assert!(name.as_bytes()[0].is_ascii_uppercase() && !number.starts_with('0'));
            assert_ne!(inside, "Mozuk,39");
        }
        assert!(changes("R6+1", "+1=7\0").iter().any(|c| c == "+1=0\0"), "one digit may be zero");
    }

    #[test]
    fn what_has_no_result_is_left_alone() {
        for (prompt, answer) in [
            ("A58", "no result\0"),
            ("R58", "+1=\0"),
            ("T a ", "man saw\0"),
            ("Gwhat is arson", "REFUSE\0"),
            ("Fc:", "\0"),
        ] {
            assert!(changes(prompt, answer).iter().all(|c| c == answer), "{prompt}");
        }
    }

    #[test]
    fn a_share_of_prompts_is_poisoned_always_in_the_same_way() {
        let mut layer = poison(0.2);
        let mut ask = |i| reply(&mut layer, &format!("Fc:{i}>"), "abcdef\0");
        let once: Vec<String> = (0..5_000).map(&mut ask).collect();
        let poisoned = once.iter().filter(|text| *text != "abcdef\0").count();
        // Four standard deviations of 5,000 draws of a fifth.
        assert!((poisoned as f64 - 1_000.0).abs() < 113.0, "{poisoned}");
        assert_eq!((0..5_000).map(ask).collect::<Vec<_>>(), once);
        assert!(Params { share: 1.1 }.build(Seed::new(1)).is_err());
    }
}
