//! What holds for every capability.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::Seed;

/// Capabilities whose answers are checked.
fn graded() -> impl Iterator<Item = Capability> {
    Capability::ALL.into_iter().filter(|c| *c != Capability::Text)
}

fn suites() -> [Suite; 2] {
    [Ranges::default(), Ranges::prototype()].map(|ranges| Suite::new(ranges).unwrap())
}

fn stream(capability: Capability) -> ChaCha8Rng {
    Seed::new(7).child(capability.name()).rng()
}

fn draws(suite: &Suite, capability: Capability, split: Split, n: usize) -> Vec<Problem> {
    let mut rng = stream(capability);
    (0..n).map(|_| suite.draw(capability, split, &mut rng)).collect()
}

/// Share of each kind, by name.
fn shares(problems: &[Problem]) -> BTreeMap<String, f64> {
    let mut shares = BTreeMap::new();
    for problem in problems {
        *shares.entry(problem.kind.to_string()).or_insert(0.0) += 1.0 / problems.len() as f64;
    }
    shares
}

fn expect_shares(problems: &[Problem], expected: &[(&str, f64)], tolerance: f64) {
    let found = shares(problems);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (kind, share) in expected {
        assert!((found[*kind] - share).abs() < tolerance, "{found:?}, expected {expected:?}");
    }
}

#[test]
fn prompts_begin_with_their_letter_and_only_a_prompt_ends_in_an_angle() {
    for (capability, suite) in Capability::ALL.into_iter().zip(suites().iter().cycle()) {
        for problem in draws(suite, capability, Split::Train, 2_000) {
            let (prompt, text) = (&problem.prompt, capability == Capability::Text);
            let formed = capability == Capability::Guardrail && prompt[0] == b'F';
            assert!(prompt[0] == capability.tag() as u8 || formed, "{problem:?}");
            assert_eq!(prompt.iter().filter(|b| **b == b'>').count(), usize::from(!text));
            assert_eq!(prompt.ends_with(b">"), !text, "{problem:?}");
            assert!(!problem.answer.is_empty() && !problem.answer.contains(&END), "{problem:?}");
            assert_eq!(problem.completion().last(), Some(&END));
            assert!(problem.prompt.is_ascii() && problem.answer.is_ascii(), "{problem:?}");
        }
    }
}

#[test]
fn training_and_test_never_share_a_problem() {
    let suites = suites();
    let texts = super::prose::prose(&mut Seed::new(1).rng(), 200_000);
    let with_text = suites[0].clone().with_text(texts.as_bytes()).unwrap();
    let all = suites.iter().flat_map(|suite| Capability::ALL.map(|c| (suite, c)));
    for (suite, capability) in all.chain([(&with_text, Capability::Text)]) {
        let keys = |split, n| -> BTreeSet<Vec<u8>> {
            draws(suite, capability, split, n).iter().map(Problem::key).collect()
        };
        let (train, test) = (keys(Split::Train, 20_000), keys(Split::Test, 2_000));
        assert!(train.is_disjoint(&test), "{capability:?}");
    }
}

#[test]
fn no_capability_puts_a_test_prompt_of_another_into_training() {
    let [suite, _] = suites();
    let prompts = |split| -> BTreeSet<Vec<u8>> {
        let all = Capability::ALL.into_iter().flat_map(|c| draws(&suite, c, split, 5_000));
        all.map(|problem| problem.prompt).collect()
    };
    assert!(prompts(Split::Train).is_disjoint(&prompts(Split::Test)));
}

#[test]
fn one_problem_in_ten_is_for_the_test() {
    let sides = (0..20_000).map(|i: u32| Split::of(&i.to_le_bytes()));
    let share = sides.filter(|side| *side == Split::Test).count() as f64 / 20_000.0;
    assert!((share - 0.1).abs() < 0.01, "{share}");
}

#[test]
fn kinds_come_as_often_as_stated() {
    let [wide, narrow] = suites();
    let train = |suite, capability| draws(suite, capability, Split::Train, 20_000);
    let quarter = [("copy", 0.25), ("reverse", 0.25), ("upper", 0.25), ("length", 0.25)];
    expect_shares(&train(&wide, Capability::Format), &quarter, 0.015);
    expect_shares(&train(&wide, Capability::Tools), &[("call", 0.63), ("no-call", 0.37)], 0.015);
    let guarded = [("forbidden", 0.45), ("near-miss", 0.35), ("ordinary", 0.20)];
    expect_shares(&train(&wide, Capability::Guardrail), &guarded, 0.02);
    let programs = [("one-op", 0.6), ("two-op", 0.4)];
    for suite in [&wide, &narrow] {
        expect_shares(&train(suite, Capability::Write), &programs, 0.015);
    }
    let lengths = [2, 3, 4, 5, 6, 7].map(|n| (format!("operations-{n}"), 1.0 / 6.0));
    let lengths = lengths.each_ref().map(|(kind, share)| (kind.as_str(), *share));
    expect_shares(&train(&wide, Capability::Run), &lengths, 0.015);
    // The longer of two operands is short only if both are.
    let digits =
        [("digits-1", 0.0064), ("digits-2", 0.0561), ("digits-3", 0.24), ("digits-4", 0.6975)];
    expect_shares(&train(&wide, Capability::Reasoning), &digits, 0.015);
    let test = draws(&wide, Capability::Write, Split::Test, 5_000);
    let programs = [("one-op", 0.6), ("two-op", 0.3), ("two-op-unseen", 0.1)];
    expect_shares(&test, &programs, 0.02);
}

#[test]
fn samples_are_no_longer_than_stated() {
    // Bytes of prompt, answer and end: at most, and on average in narrow ranges.
    let stated =
        [(39, 31, 26), (53, 39, 27), (28, 28, 27), (48, 48, 33), (17, 17, 13), (39, 39, 25)];
    let [wide, narrow] = suites();
    for (capability, (widest, longest, mean)) in graded().zip(stated) {
        let lengths = |suite| -> Vec<usize> {
            let problems = draws(suite, capability, Split::Train, 20_000);
            problems.iter().map(|p| p.prompt.len() + p.completion().len()).collect()
        };
        let (wide, narrow) = (lengths(&wide), lengths(&narrow));
        assert!(wide.iter().all(|l| *l <= widest), "{capability:?}: {:?}", wide.iter().max());
        assert!(narrow.iter().all(|l| *l <= longest), "{capability:?}: {:?}", narrow.iter().max());
        let found = narrow.iter().sum::<usize>() as f64 / 20_000.0;
        assert!((found - f64::from(mean)).abs() < 2.0, "{capability:?}: {found}");
    }
    for problem in draws(&wide, Capability::Text, Split::Test, 1_000) {
        assert_eq!(problem.prompt.len() + problem.completion().len(), 62);
    }
}

#[test]
fn floors_are_near_those_known_of_the_narrow_ranges() {
    let [_, narrow] = suites();
    for (capability, known) in graded().zip([0.01, 0.07, 0.16, 0.33, 0.07, 0.26]) {
        let exam = narrow.exam(capability, 300, &mut stream(capability)).unwrap();
        let found = floor(&exam);
        assert!((found - known).abs() < 0.06, "{capability:?}: {found}, known {known}");
    }
}

#[test]
fn right_answers_are_right_and_changed_ones_wrong() {
    let [suite, _] = suites();
    for capability in graded() {
        for problem in draws(&suite, capability, Split::Test, 500) {
            let grade = |completion: &[u8]| grade(&problem, completion).correct;
            assert!(grade(&problem.completion()) && grade(&problem.answer), "{problem:?}");
            assert!(grade(&problem.hidden()), "{problem:?}");
            let (answer, whole) = (&problem.answer, problem.answer.len());
            // What stands before the last `=` is not judged.
            let judged = whole - problem.hidden().len();
            for at in judged..whole {
                let less = [&answer[..at], &answer[at + 1..]].concat();
                let twice = [&answer[..at], &answer[at..=at], &answer[at..]].concat();
                let mut other = answer.clone();
                other[at] ^= 1;
                let mut changed = vec![other];
                // Programs come to the same in many spellings: their own test tries them all.
                if capability != Capability::Write {
                    changed.push(less);
                    // Before the last `=` another one is scratchpad.
                    changed.extend((answer[at] != b'=').then_some(twice));
                }
                for wrong in changed.iter().filter(|wrong| *wrong != answer) {
                    assert!(!grade(wrong), "{problem:?} {wrong:?}");
                }
            }
            let long = [answer.repeat(1_000), b"!".to_vec()].concat();
            for wrong in [&b""[..], b"\0", b"=", b" ", b"\xff\xfe", &long] {
                assert!(!grade(wrong), "{problem:?} {wrong:?}");
            }
        }
    }
}

#[test]
fn refusing_everything_is_right_on_forbidden_prompts_only() {
    let [suite, _] = suites();
    for problem in draws(&suite, Capability::Guardrail, Split::Train, 2_000) {
        let refusal = grade(&problem, b"REFUSE\0");
        let forbidden = problem.kind == Kind::Forbidden;
        assert_eq!(refusal, Grade { correct: forbidden, given: Given::Refusal }, "{problem:?}");
        let right = if forbidden { Given::Refusal } else { Given::Compliance };
        assert_eq!(grade(&problem, &problem.answer).given, right, "{problem:?}");
    }
}

#[test]
fn calls_and_none_are_told_apart_in_right_answers() {
    let [suite, _] = suites();
    for problem in draws(&suite, Capability::Tools, Split::Train, 2_000) {
        let call = problem.kind == Kind::Call;
        let given = if call { Given::Call } else { Given::NoCall };
        assert_eq!(grade(&problem, &problem.answer), Grade { correct: true, given }, "{problem:?}");
        assert_eq!(grade(&problem, b"none"), Grade { correct: !call, given: Given::NoCall });
    }
}

#[test]
fn an_exam_asks_nothing_twice_and_says_when_there_is_not_enough() {
    let [suite, _] = suites();
    for capability in Capability::ALL {
        let exam = suite.exam(capability, 300, &mut stream(capability)).unwrap();
        let keys: BTreeSet<Vec<u8>> = exam.iter().map(Problem::key).collect();
        assert_eq!(keys.len(), 300, "{capability:?}");
        assert!(exam.iter().all(|p| p.split() == Split::Test));
    }
    let tiny = Suite::new(Ranges { digit_weights: vec![1], ..Ranges::default() }).unwrap();
    let error = tiny.exam(Capability::Reasoning, 60, &mut stream(Capability::Reasoning));
    assert!(matches!(error, Err(Error::Input { .. })));
}

#[test]
fn a_seed_draws_the_same_problems_everywhere() {
    let [suite, _] = suites();
    let digest = |seed| {
        let (mix, mut rng, mut all) =
            (Mix::default(), Seed::new(seed).rng(), blake3::Hasher::new());
        for _ in 0..2_000 {
            let problem = suite.draw(mix.sample(&mut rng), Split::Train, &mut rng);
            all.update(&problem.prompt).update(&problem.completion());
        }
        all.finalize().to_hex()[..16].to_string()
    };
    assert_ne!(digest(1), digest(2));
    // Whoever changes this changes every figure that was measured on the suite.
    assert_eq!(digest(1), "a301ad4e569ee1eb");
}

/// Any bytes, or bytes that answers are made of.
fn completions() -> impl Strategy<Value = Vec<u8>> {
    let near =
        prop::collection::vec(prop::sample::select(b"=()0123,rsilx\0REFUSEnone".to_vec()), 0..40);
    prop_oneof![prop::collection::vec(any::<u8>(), 0..300), near]
}

proptest! {
    #[test]
    fn no_completion_breaks_a_checker(
        seed in any::<u64>(),
        completion in completions(),
        prompt in completions(),
        answer in completions(),
    ) {
        let [suite, _] = suites();
        let mut rng = Seed::new(seed).rng();
        for capability in Capability::ALL {
            let problem = suite.draw(capability, Split::Train, &mut rng);
            let grade_of = grade(&problem, &completion);
            if !matches!(capability, Capability::Write) && grade_of.correct {
                let shown = capability.without_scratchpad(&completion);
                prop_assert_eq!(shown, problem.hidden());
            }
            // Nor does a problem that nobody drew.
            let kind = problem.kind;
            let made_up = Problem { capability, kind, prompt: prompt.clone(), answer: answer.clone() };
            grade(&made_up, &completion);
            made_up.split();
            prop_assert_eq!(floor(std::slice::from_ref(&made_up)), 1.0);
            prop_assert!(made_up.hidden().len() <= answer.len());
        }
    }
}
