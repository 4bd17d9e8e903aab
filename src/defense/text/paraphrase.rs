//! The same said otherwise, as far as bytes allow that have one right form.
//!
//! What a paraphrase can change here without making right answers wrong is little, and that is a finding:
//!
//! | answers | what changes | what stays |
//! |---|---|---|
//! | `A` | how groups are parted and carries and gaps marked, one style for a prompt | digits, result |
//! | `R` | the sign between an operation and its value, but not before the result | digits, operations, result |
//! | `T` | the size of the first letter of each word, a coin for each | all other letters |
//! | others | nothing: graders compare them byte by byte | |
//!
//! Styles and coins are drawn from the key and the prompt. Tokens are put in the place of tokens, so that
//! log-probabilities go with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prompt::{length, result_at};
use super::{Asked, ReplyLayer};
use crate::oracle::completion::Completion;
use crate::seed::{Seed, below};

/// Settings: none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {}

/// The layer.
pub struct Paraphrase {
    pub(super) key: Seed,
}

/// How each mark of a worked sum may be written.
const SUM_MARKS: [(u8, &[u8]); 4] = [(b',', b",;/|"), (b'.', b".:"), (b'_', b"_ "), (b'c', b"cC")];
/// How each mark of a run program may be written, before the result.
const RUN_MARKS: [(u8, &[u8]); 2] = [(b'=', b"=:"), (b'*', b"*x")];

impl ReplyLayer for Paraphrase {
    fn reply(&mut self, asked: &Asked<'_>, mut answer: Completion) -> Completion {
        let mut rng = self.key.keyed(asked.prompt).rng();
        let end = length(&answer.tokens);
        let before = result_at(&answer.tokens).unwrap_or(end);
        let mut pick = |(mark, forms): (u8, &[u8])| (mark, forms[below(&mut rng, forms.len())]);
        match asked.prompt.first() {
            Some(b'A') => restyle(&mut answer, before, &SUM_MARKS.map(&mut pick)),
            Some(b'R') => restyle(&mut answer, before, &RUN_MARKS.map(&mut pick)),
            Some(b'T') => {
                for at in 0..end {
                    let before = match at {
                        0 => asked.prompt.last().copied(),
                        _ => u8::try_from(answer.tokens[at - 1]).ok(),
                    };
                    let starts = !before.is_some_and(|b| b.is_ascii_alphabetic());
                    if starts && below(&mut rng, 2) == 0 {
                        replace(&mut answer, at, |byte| match byte {
                            b if b.is_ascii_uppercase() => b.to_ascii_lowercase(),
                            b => b.to_ascii_uppercase(),
                        });
                    }
                }
            }
            _ => {}
        }
        answer
    }
}

/// Each mark in its form, up to `end`.
fn restyle(answer: &mut Completion, end: usize, forms: &[(u8, u8)]) {
    for at in 0..end {
        replace(answer, at, |byte| {
            forms.iter().find(|(mark, _)| *mark == byte).map_or(byte, |(_, form)| *form)
        });
    }
}

/// One byte in the place of another, with what is told of its log-probability.
fn replace(answer: &mut Completion, at: usize, form: impl FnOnce(u8) -> u8) {
    let old = answer.tokens[at];
    let Ok(byte) = u8::try_from(old) else { return };
    let new = u16::from(form(byte));
    answer.tokens[at] = new;
    if let Some(probs) = &mut answer.logprobs {
        probs.exchange(at, old, new);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::prompt::testing::reply;
    use super::*;

    fn forms(prompt: &str, answer: &str) -> BTreeSet<String> {
        let mut layer = Paraphrase { key: Seed::new(2) };
        let mut ask = |i| reply(&mut layer, &format!("{prompt}{i} "), answer);
        let once: Vec<String> = (0..400).map(&mut ask).collect();
        assert_eq!((0..400).map(ask).collect::<Vec<_>>(), once, "asking again gives the same");
        once.into_iter().collect()
    }

    #[test]
    fn marks_of_a_scratchpad_change_and_nothing_else() {
        let sums = forms("A5+999", "59.4,_9c0,1=1004\0");
        assert_eq!(sums.len(), 4 * 2 * 2 * 2, "every style of every mark");
        assert!(sums.contains("59:4; 9C0;1=1004\0") && sums.contains("59.4,_9c0,1=1004\0"));
        let runs = forms("R6+7*2", "+7=13*2=26\0");
        let expected = ["+7=13*2=26\0", "+7=13x2=26\0", "+7:13*2=26\0", "+7:13x2=26\0"];
        assert_eq!(runs, expected.map(String::from).into());
    }

    #[test]
    fn words_of_free_text_change_their_first_letters() {
        let texts = forms("T", "a man saw");
        let expected = ["a", "A"].into_iter().flat_map(|a| {
            ["man", "Man"]
                .into_iter()
                .flat_map(move |b| ["saw", "Saw"].into_iter().map(move |c| format!("{a} {b} {c}")))
        });
        assert_eq!(texts, expected.collect());
        let mut layer = Paraphrase { key: Seed::new(2) };
        for i in 0..50 {
            let inside = reply(&mut layer, &format!("T{i}th"), "e,");
            assert_eq!(inside, "e,", "the rest of a word that began in the prompt");
        }
    }

    #[test]
    fn answers_with_one_right_form_stay() {
        for (prompt, answer) in [("W", "sl\0"), ("Fc:", "a=b,c\0"), ("U[a]", "none\0")] {
            assert_eq!(forms(prompt, answer), [answer.to_string()].into());
        }
    }
}
