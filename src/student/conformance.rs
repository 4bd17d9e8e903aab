//! Every student that a config can name, held to the rules of the room: it never asks more than it can pay for, never
//! outside the feature range, asks and learns the same again from the same seed, learns something finite, and bears
//! refusals and, where it says so, answers that are labels only.

use std::sync::Arc;

use ndarray::{Array2, Axis};

use super::*;
use crate::model::{Arch, Recipe};
use crate::oracle::{AnswerKind, Answers, Denial, Outcome, TopK};

const BUDGET: u64 = 61;
const RANGE: (f32, f32) = (-0.5, 1.5);
const CLASSES: usize = 3;

/// What an API does with a row, by the row's number in the whole session.
type Refuses = fn(u64) -> bool;

fn spec_of(
    strategy: StrategySpec,
    objective: ObjectiveSpec,
    recovery: RecoverySpec,
) -> StudentSpec {
    let knows = Knows { defense: DefenseKnown::Parameters, ..Knows::default() };
    StudentSpec {
        name: "s".into(),
        strategy,
        objective,
        recovery,
        model: Arch::Mlp { hidden: vec![4] },
        knows,
    }
}

/// Every strategy, every objective and every recovery, each with the plainest of the others.
fn students() -> Vec<StudentSpec> {
    let soft = ObjectiveSpec::default;
    let mut all = Vec::new();
    let tree = Arch::Tree { depth: 3, leaf_rows: 2, laplace: false };
    for strategy in StrategySpec::examples() {
        let paths = matches!(strategy, StrategySpec::TreePaths { .. });
        let mut spec = spec_of(strategy, soft(), RecoverySpec::None);
        if paths {
            spec.model = tree.clone();
        }
        let copycat = matches!(spec.strategy, StrategySpec::Copycat { .. });
        let objective = if copycat { ObjectiveSpec::HardLabel {} } else { soft() };
        all.push(StudentSpec { objective, ..spec });
    }
    for objective in ObjectiveSpec::examples() {
        all.push(spec_of(StrategySpec::Random {}, objective, RecoverySpec::None));
    }
    for recovery in RecoverySpec::examples().into_iter().filter(|r| *r != RecoverySpec::Counter) {
        let recovery = match recovery {
            RecoverySpec::DDae { .. } => RecoverySpec::DDae { rows: 200, steps: 20, shadows: 2 },
            RecoverySpec::DDaePlus { concentration, .. } => {
                RecoverySpec::DDaePlus { rows: 200, steps: 20, concentration }
            }
            other => other,
        };
        all.push(spec_of(StrategySpec::Random {}, soft(), recovery));
    }
    // Models without gradients that learn as networks do.
    for model in [tree, Arch::OneVsRest {}] {
        for objective in [soft(), ObjectiveSpec::HardLabel {}] {
            let spec = spec_of(StrategySpec::Random {}, objective, RecoverySpec::None);
            all.push(StudentSpec { model: model.clone(), ..spec });
        }
    }
    // Models that the answers are solved for.
    for model in [Arch::Logistic {}, Arch::OneVsRest {}] {
        let strategy = StrategySpec::Equations { iterations: 500, gtol: 1e-6 };
        all.push(StudentSpec { model, ..spec_of(strategy, soft(), RecoverySpec::None) });
    }
    all.push(spec_of(
        StrategySpec::Entropy { rounds: 2, seed_share: 0.4, measure: Measure::Margin },
        soft(),
        RecoverySpec::PartialBayes { rows: 200, radius: 0.01, concentration: 8.0 },
    ));
    all
}

/// Flattened probabilities of a linear teacher, in the form that the API gives them.
fn answers(rows: &Array2<f32>, kind: AnswerKind) -> Answers {
    let weights = ndarray::array![[3.0, -1.0, -2.0], [-2.0, 3.0, -1.0]];
    let z = rows.mapv(f64::from).dot(&weights);
    let p = crate::model::loss::softmax(z.view());
    match kind {
        AnswerKind::Probs => Answers::Probs(p),
        AnswerKind::TopK { k } => Answers::TopK(TopK::of(&p, k)),
        AnswerKind::Labels => Answers::Labels(crate::oracle::top1(&p)),
        AnswerKind::Logits => Answers::Logits(z),
    }
}

fn simulator() -> Simulator {
    Arc::new(|clean, out| {
        let sum: f64 = clean.iter().map(|p| p.sqrt()).sum();
        out.iter_mut().zip(clean).for_each(|(o, p)| *o = p.sqrt() / sum);
    })
}

/// Lets a student ask and learn. Gives everything it asked and the model it ends with.
fn session(spec: &StudentSpec, kind: AnswerKind, refuses: Refuses) -> (Array2<f32>, Learned) {
    let shape = InputShape::Flat(2);
    let recipe = Recipe { steps: 20, ..Recipe::default() };
    let seed = Seed::new(5);
    let mut student =
        build(spec, &recipe, Device::Cpu, Some(simulator()), shape, CLASSES, seed).unwrap();
    let grid = |n: usize, at: usize| {
        Array2::from_shape_fn((n, 2), |(i, j)| {
            RANGE.0 + 2.0 * (((i + at) * (7 + 4 * j)) % 37) as f32 / 37.0
        })
    };
    let (pool, public) = (grid(150, 0), grid(12, 5));
    let mut view = View {
        pool: &pool,
        public: &public,
        public_labels: None,
        left: BUDGET,
        budget: BUDGET,
        classes: CLASSES,
        shape,
        range: RANGE,
    };
    let mut all = Array2::zeros((0, 2));
    // An API that refuses ends a session by the attempts that it allows.
    while view.left > 0 && (all.nrows() as u64) < 10 * BUDGET {
        let Ask::Batch(rows) = student.next(&view).unwrap() else { break };
        assert!(rows.nrows() > 0 && rows.nrows() as u64 <= view.left, "{spec:?} cannot pay");
        assert!(rows.iter().all(|x| (RANGE.0..=RANGE.1).contains(x)), "{spec:?} leaves the range");
        let number = |i: usize| (all.nrows() + i) as u64;
        let kept: Vec<usize> = (0..rows.nrows()).filter(|&i| !refuses(number(i))).collect();
        let mut outcomes = vec![Outcome::Denied(Denial::Blocked { by: "gate" }); rows.nrows()];
        kept.iter().enumerate().for_each(|(i, &row)| outcomes[row] = Outcome::Answered(i));
        view.left -= kept.len() as u64;
        let answers = answers(&rows.select(Axis(0), &kept), kind);
        all.append(Axis(0), rows.view()).unwrap();
        student.tell(&rows, &Reply { outcomes, answers }).unwrap();
    }
    (all, student.learn(&view, Seed::new(6)).unwrap())
}

fn finite(learned: &Learned) -> bool {
    let weights = |model: &Model| model.weights().unwrap();
    let all = [weights(&learned.last), weights(&learned.selected)];
    all.iter().flatten().flat_map(|w| &w.2).all(|w| w.is_finite()) && learned.flops.is_finite()
}

/// Kinds of answers that a student says it can use.
fn kinds(spec: &StudentSpec) -> Vec<AnswerKind> {
    let kinds =
        [AnswerKind::Probs, AnswerKind::Logits, AnswerKind::TopK { k: 2 }, AnswerKind::Labels];
    kinds
        .into_iter()
        .filter(|&kind| {
            let given = spec.recovery.gives(kind);
            spec.recovery.fits(kind).is_ok() && spec.fits(given).is_ok()
        })
        .collect()
}

#[test]
fn every_student_can_be_written_and_uses_whole_answers() {
    for spec in students() {
        assert!(spec.validate().is_ok(), "{spec:?}");
        assert!(kinds(&spec).contains(&AnswerKind::Probs), "{spec:?}");
    }
}

#[test]
fn every_student_spends_what_it_has_and_learns_from_all_kinds_of_answers_it_claims() {
    for spec in students() {
        let repeats = spec.recovery.repeats() as u64;
        for kind in kinds(&spec) {
            let (asked, learned) = session(&spec, kind, |_| false);
            assert_eq!(asked.nrows() as u64, BUDGET / repeats * repeats, "{spec:?} {kind:?}");
            let used = learned.transfer_rows + learned.dropped_rows.unwrap_or(0);
            assert_eq!(used as u64, BUDGET / repeats, "{spec:?} {kind:?}");
            assert!(finite(&learned), "{spec:?} {kind:?}");
        }
    }
}

#[test]
fn every_student_does_the_same_again() {
    for spec in students() {
        let (asked, learned) = session(&spec, AnswerKind::Probs, |i| i % 5 == 1);
        let (again, relearned) = session(&spec, AnswerKind::Probs, |i| i % 5 == 1);
        assert_eq!(asked, again, "{spec:?}");
        let hash = |learned: &Learned| learned.last.weights_hash().unwrap();
        assert_eq!(hash(&learned), hash(&relearned), "{spec:?}");
    }
}

#[test]
fn every_student_bears_refusals() {
    let some: Refuses = |i| i % 3 == 0 || (20..40).contains(&i);
    let late: Refuses = |i| i >= 17;
    for spec in students() {
        for refuses in [some, late] {
            let (asked, learned) = session(&spec, AnswerKind::Probs, refuses);
            let answered = (0..asked.nrows() as u64).filter(|&i| !refuses(i)).count();
            assert!(learned.transfer_rows <= answered, "{spec:?}");
            assert!(finite(&learned) && learned.transfer_rows > 0, "{spec:?}");
        }
        let (_, nothing) = session(&spec, AnswerKind::Probs, |_| true);
        assert_eq!((nothing.transfer_rows, nothing.flops), (0, 0.0), "{spec:?}");
        assert!(finite(&nothing), "{spec:?}");
    }
}
