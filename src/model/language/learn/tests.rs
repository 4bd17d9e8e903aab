//! Learning from distributions, and from lessons made step by step.

use super::super::Decoder;
use super::*;
use crate::model::loss::{Divergence, Tail};
use crate::model::{Device, Optimizer, Order};
use crate::oracle::completion::TokenProbs;

fn model(seed: u64) -> Language {
    let plan = r#"{ "vocabulary": 11, "context": 8, "layers": 1, "heads": 2, "width": 16,
        "fresh": "fan-in", "dropout": 0.1 }"#;
    let plan: Decoder = serde_json::from_str(plan).unwrap();
    Language::init(&plan, Device::Cpu, Seed::new(seed)).unwrap()
}

/// Texts of several lengths with a prompt of two tokens each.
fn corpus(n: usize) -> Corpus {
    let text = |i: usize| -> Vec<u16> {
        (0..4 + i % 5).map(|at| ((i + at * (1 + i / 11 % 2)) % 11) as u16).collect()
    };
    let texts: Vec<Vec<u16>> = (0..n).map(text).collect();
    Corpus::of(texts.iter().map(|t| t.split_at(2)), 8, 0).unwrap()
}

fn recipe(steps: usize) -> Recipe {
    let optimizer = Optimizer::adamw(1e-2, 1e-4);
    Recipe { steps, validation: 0.0, batch: 11, optimizer, ..Recipe::default() }
}

/// A teacher that has opinions of its own.
fn teacher() -> Language {
    model(1).fit(&corpus(44), &recipe(40), Seed::new(1)).unwrap().last
}

/// Mean KL(teacher || student) over the positions that count.
fn kl(student: &Language, teacher: &Language, corpus: &Corpus) -> f64 {
    let told = teacher.score(corpus, Tell::Full, Seed::new(0)).unwrap();
    student.loss(&Lesson::soft(corpus.clone(), Soft::new(told))).unwrap()
}

#[test]
fn every_kind_of_soft_target_brings_a_student_to_its_teacher() {
    let (teacher, corpus) = (teacher(), corpus(44));
    let before = kl(&model(2), &teacher, &corpus);
    let mut cases: Vec<(Tell, Divergence, Tail)> = Divergence::examples()
        .into_iter()
        .map(|divergence| (Tell::Full, divergence, Tail::Bucket))
        .collect();
    let forward = Divergence::ForwardKl {};
    cases.push((Tell::Sampled { draws: 12, power: 1.0 }, forward, Tail::Bucket));
    cases.push((Tell::TopK { k: 6 }, forward, Tail::Bucket));
    cases.push((Tell::TopK { k: 6 }, Divergence::Jsd { beta: 0.5 }, Tail::Bucket));
    for (tell, divergence, tail) in cases {
        let told = teacher.score(&corpus, tell, Seed::new(5)).unwrap();
        let soft = Soft { divergence, tail, ..Soft::new(told) };
        let learned = model(2).fit_soft(&corpus, &soft, &recipe(200), Seed::new(3)).unwrap().last;
        let after = kl(&learned, &teacher, &corpus);
        assert!(after < 0.2 * before, "{tell:?} {divergence:?}: {before} to {after}");
    }
}

#[test]
fn all_hard_is_plain_learning_to_the_byte() {
    let corpus = corpus(22);
    let soft = Soft::new(teacher().score(&corpus, Tell::Full, Seed::new(5)).unwrap());
    let soft = Soft { hard: 1.0, ..soft };
    let plain = model(2).fit(&corpus, &recipe(20), Seed::new(3)).unwrap().last;
    let learned = model(2).fit_soft(&corpus, &soft, &recipe(20), Seed::new(3)).unwrap().last;
    assert_eq!(learned.weights(), plain.weights());
}

#[test]
fn lessons_of_the_same_batches_are_the_same_training_to_the_byte() {
    let corpus = corpus(40);
    let soft = Soft::new(teacher().score(&corpus, Tell::TopK { k: 3 }, Seed::new(5)).unwrap());
    for recipe in [recipe(12), Recipe { shards: 3, threads: 2, ..recipe(12) }] {
        let at_once = model(2).fit_soft(&corpus, &soft, &recipe, Seed::new(3)).unwrap().last;
        let whole = Lesson::soft(corpus.clone(), soft.clone());
        let mut order = Order::new((0..40).collect(), Seed::new(3));
        let mut taken = Vec::new();
        let (mut steps, mut seen) = (Vec::new(), Vec::new());
        let step_by_step = model(2).learn(&recipe, Seed::new(3), |student, step| {
            steps.push(step);
            seen.push(student.weights());
            order.take(11, &mut taken);
            Ok(whole.select(&taken))
        });
        assert_eq!(step_by_step.unwrap().weights(), at_once.weights());
        assert_eq!(steps, (0..12).collect::<Vec<_>>());
        assert!(seen[0] == model(2).weights() && seen.windows(2).all(|w| w[0] != w[1]));
    }
}

#[test]
fn selected_texts_take_along_what_belongs_to_them() {
    let (teacher, corpus) = (teacher(), corpus(10));
    let counted = corpus.counted();
    for tell in [Tell::Full, Tell::TopK { k: 2 }] {
        let soft = Soft::new(teacher.score(&corpus, tell, Seed::new(5)).unwrap());
        let numbers: Vec<f64> = (0..counted).map(|i| i as f64).collect();
        let weights = Some(Weights { soft: numbers.clone(), hard: numbers });
        let whole = Lesson { weights, ..Lesson::soft(corpus.clone(), soft) };
        let some = whole.select(&[7, 2, 7]);
        let told = teacher.score(&some.corpus, tell, Seed::new(5)).unwrap();
        assert_eq!(*some.soft.unwrap().probs, told);
        let rows = corpus.rows();
        let expected: Vec<f64> =
            [7, 2, 7].iter().flat_map(|&i: &usize| rows[i].clone()).map(|i| i as f64).collect();
        assert_eq!(some.weights.unwrap().hard, expected);
    }
}

#[test]
fn joined_lessons_are_the_lesson_they_were_cut_from() {
    let (teacher, corpus) = (teacher(), corpus(10));
    for tell in [Tell::Full, Tell::TopK { k: 2 }] {
        let soft = Soft::new(teacher.score(&corpus, tell, Seed::new(5)).unwrap());
        let whole = Lesson::soft(corpus.clone(), soft);
        let parts = [whole.select(&[0, 1, 2]), whole.select(&(3..10).collect::<Vec<_>>())];
        let joined = Lesson::join(&[&parts[0], &parts[1]]).unwrap();
        assert_eq!(joined.corpus, corpus);
        assert_eq!(joined.soft.unwrap().probs, whole.soft.clone().unwrap().probs);
        let plain = Lesson::from(corpus.clone());
        assert!(Lesson::join(&[&whole, &plain]).is_err());
    }
    assert!(Lesson::join(&[]).is_err());
}

#[test]
fn what_is_told_is_the_models_own_distribution() {
    let (teacher, corpus) = (teacher(), corpus(40));
    let full = teacher.score(&corpus, Tell::Full, Seed::new(5)).unwrap();
    let top = teacher.score(&corpus, Tell::TopK { k: 11 }, Seed::new(5)).unwrap();
    let logs = teacher.log_probs(&corpus).unwrap();
    let logits = teacher.logits(corpus.tokens.view()).unwrap();
    let places = corpus.next.indexed_iter().filter(|(_, next)| **next >= 0);
    for (row, ((text, at), &next)) in places.enumerate() {
        let z = logits.row(text * 8 + at);
        let sum: f64 = z.iter().map(|&z| libm::exp(f64::from(z))).sum();
        let expected = f64::from(z[next as usize]) - libm::log(sum);
        for found in [full.log_prob(row, next as u16), top.log_prob(row, next as u16)] {
            assert!((found.unwrap() - expected).abs() < 1e-5);
        }
        assert!((logs[row] - expected).abs() < 1e-5);
    }
    assert_eq!((logs.len(), full.log_prob(logs.len(), 0)), (corpus.counted(), None));
}

#[test]
fn soft_learning_does_not_depend_on_threads() {
    let corpus = corpus(44);
    let soft = Soft::new(teacher().score(&corpus, Tell::Full, Seed::new(5)).unwrap());
    let train = |threads| {
        let recipe = Recipe { shards: 4, threads, ..recipe(5) };
        model(2).fit_soft(&corpus, &soft, &recipe, Seed::new(2)).unwrap().last.weights()
    };
    assert_eq!(train(1), train(2));
}

#[test]
fn lessons_that_cannot_be_learnt_are_refused() {
    let corpus = corpus(10);
    let empty = Lesson::from(Corpus::of::<u16>([].into_iter(), 8, 0).unwrap());
    let error = |lesson: Lesson| {
        let learned = model(2).learn(&recipe(1), Seed::new(1), |_, _| Ok(lesson.clone()));
        learned.unwrap_err().to_string()
    };
    assert!(error(empty).contains("texts to learn from"));
    let soft = Soft::new(teacher().score(&corpus, Tell::Full, Seed::new(5)).unwrap());
    let other = Lesson::from(corpus.clone()).select(&[0, 1]).corpus;
    assert!(error(Lesson::soft(other, soft)).contains("soft targets"));
    let huge = Weights { soft: vec![], hard: vec![f64::INFINITY; corpus.counted()] };
    let huge = Weights { soft: vec![0.0; corpus.counted()], ..huge };
    let lesson = Lesson { weights: Some(huge), ..Lesson::from(corpus) };
    assert!(error(lesson).contains("finite"));
}

/// What a teacher of 13 tokens tells at each place of its own texts, which are one token longer than the student's in
/// every second text and one shorter in the others; with how many places count in the student's.
fn sorted(weight: f64, corpus: &Corpus) -> Sorted {
    let mut sorted = Sorted::new(weight, 13).unwrap();
    for (i, own) in corpus.rows().into_iter().enumerate() {
        let len = own.len() + 1 - 2 * (i % 2);
        let log = |(at, token): (usize, usize)| -(((i + at * token) % 7) as f32);
        let logits = ndarray::Array2::from_shape_fn((len, 13), log);
        let told = TokenProbs::of_logits(logits.as_slice().unwrap(), 13, 13);
        sorted.push(told.logs.view(), own.len()).unwrap();
    }
    sorted
}

#[test]
fn a_teacher_of_other_tokens_teaches_how_sure_to_be() {
    let (corpus, recipe) = (corpus(44), recipe(40));
    let fit = |weight| {
        let sorted = sorted(weight, &corpus);
        model(2).fit_sorted(&corpus, sorted, &recipe, Seed::new(3)).unwrap().last
    };
    let plain = model(2).fit(&corpus, &recipe, Seed::new(3)).unwrap().last;
    assert_eq!(fit(0.0).weights(), plain.weights(), "of no weight");
    let told = sorted(1.0, &corpus);
    // Distance alone: the loss less its cross-entropy.
    let apart = |model: &Language| {
        let targets = corpus.next.clone();
        let taught = Some(Taught::sorted(&targets, Arc::new(told.clone())).unwrap());
        let goal = Goal::Tokens(Texts { targets, taught });
        let all: Vec<usize> = (0..44).collect();
        let logits = model.logits(corpus.tokens.view()).unwrap();
        let mut z: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
        let sum = goal.loss(&all, &[], 44, &mut z, goal.weight(&all), &mut Room::default());
        sum - model.loss(&Lesson::from(corpus.clone())).unwrap()
    };
    let (near, far) = (apart(&fit(20.0)), apart(&plain));
    assert!(near < 0.5 * far, "{near} {far}");
    let short = Sorted::new(1.0, 13).unwrap();
    assert!(model(2).fit_sorted(&corpus, short, &recipe, Seed::new(3)).is_err());
}
