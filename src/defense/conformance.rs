//! Every defense, held to what it promises.

#![allow(clippy::single_range_in_vec_init, reason = "a batch cut into one part")]

use ndarray::Array2;
use proptest::prelude::*;

use super::workshop::testing::small;
use super::{DefenseSpec, Known, Stack, Unwatched};
use crate::oracle::scripted::Scripted;
use crate::oracle::{
    AccountId, AnswerKind, Answers, Batch, Card, Oracle as _, Outcome, Reply, Tick,
};
use crate::seed::{Seed, uniform};

/// Rows of probabilities, some of them saturated or tied.
fn oracle() -> Scripted {
    Scripted::new(Card { inputs: 2, classes: 5, answers: AnswerKind::Probs }, |input| {
        let mut rng = Seed::new(u64::from(input[0].to_bits())).rng();
        let sharp = 1.0 + 12.0 * uniform(&mut rng);
        let mut row: Vec<f64> = (0..5).map(|_| libm::pow(uniform(&mut rng), sharp)).collect();
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
        row
    })
}

fn batch(n: usize) -> Batch {
    let inputs = Array2::from_shape_fn((n, 2), |(i, j)| (i / 2 + 7 * j) as f32 / 50.0);
    let mut batch = Batch::classify(AccountId(0), Tick::ZERO, inputs);
    for i in 0..n {
        batch.account[i] = AccountId((i % 3) as u32);
        batch.at[i] = Tick::ms(i as u64 * 40_000);
    }
    batch
}

fn run(spec: &DefenseSpec, parts: &[std::ops::Range<usize>]) -> Vec<Reply> {
    let mut oracle = oracle();
    let mut stack =
        Stack::build(std::slice::from_ref(spec), Seed::new(3), oracle.card(), small()).unwrap();
    let whole = batch(parts.last().unwrap().end);
    let cut = parts.iter().map(|range| whole.select(&range.clone().collect::<Vec<_>>()));
    cut.map(|b| stack.run(&b, &mut oracle, &mut Unwatched).unwrap()).collect()
}

/// Each row's outcome with its answer, whatever the cut.
fn flat(replies: &[Reply]) -> Vec<(Option<Answers>, Option<Outcome>)> {
    let rows = replies.iter().flat_map(|r| r.outcomes.iter().map(move |o| (r, *o)));
    rows.map(|(r, o)| match o {
        Outcome::Answered(i) => (Some(r.answers.select(&[i])), None),
        denied => (None, Some(denied)),
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn results_do_not_depend_on_how_a_batch_is_cut(a in 1usize..20, b in 20usize..40) {
        for spec in DefenseSpec::examples() {
            let whole = flat(&run(&spec, &[0..60]));
            let cut = flat(&run(&spec, &[0..a, a..b, b..60]));
            let singly = flat(&run(&spec, &(0..60).map(|i| i..i + 1).collect::<Vec<_>>()));
            prop_assert_eq!(&whole, &cut, "{}", spec.label());
            prop_assert_eq!(&whole, &singly, "{}", spec.label());
        }
    }
}

#[test]
fn every_defense_keeps_its_promise() {
    for spec in DefenseSpec::examples() {
        let promise = spec.promise();
        let reply = &run(&spec, &[0..200])[0];
        let clean = oracle().answer(&batch(200)).unwrap();
        let Answers::Probs(clean) = &clean.answers else { panic!("probabilities") };
        assert_eq!(
            promise.refuses,
            reply.outcomes.iter().any(|o| matches!(o, Outcome::Denied(_))),
            "{}: refuses",
            spec.label()
        );
        for (row, outcome) in reply.outcomes.iter().enumerate() {
            let Outcome::Answered(i) = *outcome else { continue };
            let top = crate::oracle::argmax(clean.row(row));
            let kept = match &reply.answers {
                Answers::Probs(p) => p[[i, top]] >= p.row(i).fold(0.0, |a: f64, &b| a.max(b)),
                other => other.select(&[i]).top1() == vec![top],
            };
            assert!(kept || !promise.keeps_top1, "{}: top-1 of row {row}", spec.label());
            if let Answers::Probs(p) = &reply.answers {
                let l1: f64 = p.row(i).iter().zip(clean.row(row)).map(|(a, b)| (a - b).abs()).sum();
                assert!(l1 <= promise.l1_bound + 1e-9, "{}: L1 {l1}", spec.label());
                let sum: f64 = p.row(i).sum();
                let whole = (sum - 1.0).abs() < 1e-9 || spec.kind() == "round";
                assert!(whole, "{}: a row that sums to {sum}", spec.label());
                assert!(
                    p.row(i).iter().all(|v| (0.0..=1.0 + 1e-12).contains(v)),
                    "{}",
                    spec.label()
                );
            }
        }
    }
}

#[test]
fn deterministic_defenses_give_equal_inputs_equal_answers() {
    for spec in DefenseSpec::examples() {
        let reply = &run(&spec, &[0..20])[0];
        let rows = flat(std::slice::from_ref(reply));
        let equal = rows.chunks(2).all(|pair| pair[0].0 == pair[1].0);
        let promise = spec.promise();
        assert!(equal || promise.refuses || !promise.deterministic, "{}", spec.label());
        if spec.label().contains("fresh=true") {
            assert!(!equal && !promise.deterministic, "{}", spec.label());
        }
    }
}

#[test]
fn what_a_student_simulates_keeps_the_bound_and_repeats_itself() {
    let shop = small();
    let known = Known {
        pool: &shop.inputs,
        shape: shop.shape,
        classes: 5,
        arch: &shop.arch,
        device: shop.device,
        seed: Seed::new(11),
    };
    let clean = oracle().answer(&batch(100)).unwrap();
    let Answers::Probs(clean) = &clean.answers else { panic!("probabilities") };
    let mut simulated = 0;
    for spec in DefenseSpec::examples() {
        let Some(map) = spec.simulate(&known) else { continue };
        simulated += 1;
        for row in clean.rows() {
            let (row, mut first, mut second) = (row.to_vec(), vec![0.0; 5], vec![0.0; 5]);
            map(&row, &mut first);
            map(&row, &mut second);
            assert_eq!(first, second, "{}", spec.label());
            let l1: f64 = first.iter().zip(&row).map(|(a, b)| (a - b).abs()).sum();
            assert!(l1 <= spec.promise().l1_bound + 1e-9, "{}: L1 {l1}", spec.label());
            let kept =
                first[crate::oracle::argmax(&row)] >= first.iter().fold(0.0, |a: f64, &b| a.max(b));
            assert!(kept || !spec.promise().keeps_top1, "{}", spec.label());
        }
    }
    assert_eq!(simulated, 9);
}

/// Kinds that keep a state for each account and nothing else.
const BY_ACCOUNT: [&str; 6] =
    ["feature-distance", "prada", "proof-of-work", "rate-limit", "seat", "var-detect"];

#[test]
fn accounts_that_ask_in_turn_are_treated_as_if_each_were_alone() {
    // Two accounts at the corners of the teacher's rows, and one that walks in small steps.
    let inputs = Array2::from_shape_fn((900, 2), |(i, j)| match i % 3 {
        2 => 0.5 + 1e-4 * i as f32,
        _ => small().inputs[[i / 3, j]],
    });
    let mut whole = Batch::classify(AccountId(0), Tick::ZERO, inputs);
    for i in 0..900 {
        whole.account[i] = AccountId((i % 3) as u32);
        whole.at[i] = Tick::ms(i as u64 * 700);
    }
    let ask = |spec: &DefenseSpec, batch: &Batch| {
        let mut oracle = oracle();
        let layers = std::slice::from_ref(spec);
        let mut stack = Stack::build(layers, Seed::new(3), oracle.card(), small()).unwrap();
        flat(&[stack.run(batch, &mut oracle, &mut Unwatched).unwrap()])
    };
    let mut changed = Vec::new();
    for spec in DefenseSpec::examples().into_iter().filter(|s| BY_ACCOUNT.contains(&s.kind())) {
        let together = ask(&spec, &whole);
        for account in 0..3 {
            let index: Vec<usize> = (account..900).step_by(3).collect();
            let alone = ask(&spec, &whole.select(&index));
            let part: Vec<_> = index.iter().map(|&i| together[i].clone()).collect();
            assert!(alone == part, "{}: account {account}", spec.label());
        }
        let clean = flat(&[oracle().answer(&whole).unwrap()]);
        if together != clean {
            changed.push(spec.kind());
        }
    }
    // Warnings change nothing; every other one has done something to the walker.
    assert_eq!(changed, ["feature-distance", "proof-of-work", "rate-limit", "seat", "var-detect"]);
}

/// Kinds whose examples also work in front of labels.
const TAKE_LABELS: [&str; 8] = [
    "dataset-inference",
    "ewe",
    "label-only",
    "nasty",
    "outlier-exposure",
    "prada",
    "proof-of-work",
    "rate-limit",
];

#[test]
fn a_layer_that_does_not_fit_is_refused() {
    let probs = Card { inputs: 2, classes: 5, answers: AnswerKind::Probs };
    let labels = Card { answers: AnswerKind::Labels, ..probs };
    for spec in DefenseSpec::examples() {
        assert!(spec.card_after(probs).is_ok(), "{}", spec.label());
        let takes_labels = spec.card_after(labels).is_ok();
        assert_eq!(
            takes_labels,
            TAKE_LABELS.contains(&spec.kind()) || spec.label().contains("refuse"),
            "{}",
            spec.label()
        );
    }
    let top = DefenseSpec::TopK(super::top_k::Params { k: 6 });
    assert!(top.card_after(probs).unwrap_err().to_string().contains("at most 5"));
}
