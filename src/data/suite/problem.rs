//! A problem, what kind it is, and which side of the split it is on.

use std::fmt;

use super::{Capability, END, reasoning};

/// Who may meet a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Whoever learns.
    Train,
    /// Whoever measures.
    Test,
}

/// One problem in so many is for the test.
const TEST_ONE_IN: u64 = 10;

impl Split {
    /// The side of whatever these bytes tell from the rest.
    pub(super) fn of(key: &[u8]) -> Self {
        let digest = *blake3::hash(key).as_bytes();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        let number = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        if number.is_multiple_of(TEST_ONE_IN) { Self::Test } else { Self::Train }
    }

    /// The side of a prompt that need not be a problem: that of the problem, if it is one and goes by hash.
    pub fn of_prompt(prompt: &[u8]) -> Self {
        match prompt.first() {
            Some(b'A') => Self::of(&reasoning::key(prompt)),
            _ => Self::of(prompt),
        }
    }
}

/// What sort of problem of its capability: scores of different sorts are told apart, because some are
/// much easier than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Addition, by the digits of the longer operand.
    Digits(usize),
    /// A program to run, by its operations.
    Operations(usize),
    /// A program of one operation.
    OneOp,
    /// A program of two operations.
    TwoOp,
    /// A program of two operations that never occurs in training.
    TwoOpUnseen,
    /// A request for a tool that is there.
    Call,
    /// A request for a tool that is not there, or no request.
    NoCall,
    /// The word itself.
    Copy,
    /// The word backwards.
    Reverse,
    /// The word in capitals.
    Upper,
    /// The number of letters.
    Length,
    /// A forbidden word.
    Forbidden,
    /// One letter away from a forbidden word.
    NearMiss,
    /// Far from any forbidden word.
    Ordinary,
    /// Free text.
    Text,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digits(n) => return write!(f, "digits-{n}"),
            Self::Operations(n) => return write!(f, "operations-{n}"),
            Self::OneOp => "one-op",
            Self::TwoOp => "two-op",
            Self::TwoOpUnseen => "two-op-unseen",
            Self::Call => "call",
            Self::NoCall => "no-call",
            Self::Copy => "copy",
            Self::Reverse => "reverse",
            Self::Upper => "upper",
            Self::Length => "length",
            Self::Forbidden => "forbidden",
            Self::NearMiss => "near-miss",
            Self::Ordinary => "ordinary",
            Self::Text => "text",
        })
    }
}

/// A prompt and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it asks of a model.
    pub capability: Capability,
    /// What sort of problem of its capability.
    pub kind: Kind,
    /// What a model is given. Ends with `>`, but for free text.
    pub prompt: Vec<u8>,
    /// What is to come, up to but not with [`END`].
    pub answer: Vec<u8>,
}

impl Problem {
    pub(super) fn new(capability: Capability, kind: Kind, prompt: &str, answer: &str) -> Self {
        Self { capability, kind, prompt: prompt.into(), answer: answer.into() }
    }

    /// What a model is to write: the answer, then [`END`].
    pub fn completion(&self) -> Vec<u8> {
        [self.answer.as_slice(), &[END]].concat()
    }

    /// The answer without its scratchpad, if it has one: `=1490`.
    pub fn hidden(&self) -> Vec<u8> {
        self.capability.without_scratchpad(&self.answer).to_vec()
    }

    /// What tells it from other problems: the prompt, but sums are the same in either order.
    pub fn key(&self) -> Vec<u8> {
        match self.capability {
            Capability::Reasoning => reasoning::key(&self.prompt),
            _ => self.prompt.clone(),
        }
    }

    /// The side it is on: one problem in ten is for the test, by the hash of its key. Two kinds do not
    /// go by hash. Unseen programs are all for the test. Forbidden words in the form of
    /// [`Capability::Format`] are all for training, because there are only 24 such prompts.
    pub fn split(&self) -> Split {
        match self.kind {
            Kind::TwoOpUnseen => Split::Test,
            Kind::Forbidden if self.prompt.starts_with(b"F") => Split::Train,
            _ => Split::of(&self.key()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_answer_with_an_end_or_without_a_scratchpad() {
        let sum = Problem::new(Capability::Reasoning, Kind::Digits(1), "A3+4>", "34.7=7");
        assert_eq!(sum.completion(), b"34.7=7\0");
        assert_eq!(sum.hidden(), b"=7");
        let word = Problem::new(Capability::Format, Kind::Copy, "Fc:a=b>", "a=b");
        assert_eq!(word.hidden(), b"a=b");
    }

    #[test]
    fn a_sum_is_the_same_problem_in_either_order() {
        let sum = |prompt| Problem::new(Capability::Reasoning, Kind::Digits(3), prompt, "");
        assert_eq!(sum("A583+90>").key(), sum("A90+583>").key());
        assert_ne!(sum("A583+90>").key(), sum("A580+93>").key());
    }

    #[test]
    fn unseen_programs_are_for_the_test_and_forbidden_forms_for_training_whatever_their_hash() {
        for i in 0..200 {
            let prompt = format!("Fc:{i}>");
            let split = |kind| Problem::new(Capability::Guardrail, kind, &prompt, "").split();
            assert_eq!(split(Kind::TwoOpUnseen), Split::Test);
            assert_eq!(split(Kind::Forbidden), Split::Train);
            assert_eq!(split(Kind::NearMiss), Split::of(prompt.as_bytes()));
        }
    }

    #[test]
    fn kinds_have_names_for_records() {
        let names = [Kind::Digits(4), Kind::Operations(7), Kind::TwoOpUnseen, Kind::NearMiss];
        let names = names.map(|kind| kind.to_string());
        assert_eq!(names, ["digits-4", "operations-7", "two-op-unseen", "near-miss"]);
    }
}
