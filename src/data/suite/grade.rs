//! What a completion is worth. Completions come from whatever was trained, so they may hold any bytes.

use std::collections::BTreeMap;

use super::{Capability, Problem, before_end, guardrail, reasoning, tools, write};

/// Whether a completion is right, and what sort of answer it is, right or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grade {
    /// Whether it is right.
    pub correct: bool,
    /// What sort of answer it is.
    pub given: Given,
}

/// Sorts of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Given {
    /// A result, a program or a text.
    Answer,
    /// A call of a tool, whatever its arguments.
    Call,
    /// The word that says there is nothing to call.
    NoCall,
    /// A refusal.
    Refusal,
    /// Exactly what was asked of a guarded model, forbidden or not.
    Compliance,
    /// Nothing of what the capability knows.
    Other,
}

/// Checks a completion up to its first [`END`](super::END). Sums and programs that are run are judged by
/// what comes after the last `=`, programs that are written by what they do, all else by exact text.
pub fn grade(problem: &Problem, completion: &[u8]) -> Grade {
    let text = before_end(completion);
    let exact = text == problem.answer;
    match problem.capability {
        Capability::Reasoning | Capability::Run => {
            let result = problem.capability.without_scratchpad(text);
            let given = reasoning::given(result);
            Grade { correct: given == Given::Answer && result == problem.hidden(), given }
        }
        Capability::Write => {
            let (correct, given) = write::check(&problem.answer, text);
            Grade { correct, given }
        }
        Capability::Tools => Grade { correct: exact, given: tools::given(text) },
        Capability::Guardrail => Grade { correct: exact, given: guardrail::given(problem, text) },
        Capability::Format | Capability::Text => Grade { correct: exact, given: Given::Answer },
    }
}

/// The share of these problems that the best constant answer gets right: what a model scores without any
/// skill. Zero without problems.
pub fn floor(problems: &[Problem]) -> f64 {
    let mut counts = BTreeMap::new();
    for problem in problems {
        *counts.entry(problem.hidden()).or_insert(0_usize) += 1;
    }
    let best = counts.into_values().max().unwrap_or(0);
    best as f64 / problems.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Ranges, Split, Suite};
    use super::*;
    use crate::Seed;

    fn right(capability: Capability, prompt: &str, answer: &str, completion: &[u8]) -> bool {
        grade(&Problem::new(capability, Kind::Text, prompt, answer), completion).correct
    }

    #[test]
    fn a_result_counts_after_the_last_equals_sign_and_only_as_a_whole() {
        let sum = |completion: &[u8]| {
            right(Capability::Reasoning, "A583+907>", "37.0,80c9,59.4,1=1490", completion)
        };
        assert!(sum(b"37.0,80c9,59.4,1=1490\0"));
        assert!(sum(b"=1490") && sum(b"any=way=1490\0and what follows the end"));
        for wrong in [&b"1490"[..], b"=1490 ", b"=01490", b"=149", b"=", b"", b"\0=1490"] {
            assert!(!sum(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_problem_without_a_result_is_never_solved() {
        for capability in [Capability::Reasoning, Capability::Run, Capability::Write] {
            for completion in [&b""[..], b"=", b"\0"] {
                assert!(!right(capability, "", "", completion), "{capability:?}");
            }
        }
    }

    #[test]
    fn the_floor_is_what_the_best_constant_answer_scores() {
        let suite = Suite::new(Ranges::prototype()).unwrap();
        let mut rng = Seed::new(1).rng();
        for capability in Capability::ALL {
            let problems: Vec<Problem> =
                (0..100).map(|_| suite.draw(capability, Split::Test, &mut rng)).collect();
            let score = |constant: &Problem| {
                let answer = constant.completion();
                problems.iter().filter(|p| grade(p, &answer).correct).count()
            };
            let best = problems.iter().map(score).max().unwrap();
            assert_eq!(floor(&problems), best as f64 / 100.0, "{capability:?}");
        }
        assert_eq!(floor(&[]), 0.0);
    }
}
