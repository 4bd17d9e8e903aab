//! Objectives on a small language whose teacher is known whole.

use super::*;
use crate::model::language::{Decoder, Tell};
use crate::model::{Device, Optimizer};

const END: u16 = 0;

fn model(seed: u64) -> Language {
    let plan = r#"{ "vocabulary": 7, "context": 8, "layers": 1, "heads": 2, "width": 16,
        "fresh": "fan-in" }"#;
    let plan: Decoder = serde_json::from_str(plan).unwrap();
    Language::init(&plan, Device::Cpu, Seed::new(seed)).unwrap()
}

fn recipe(steps: usize) -> Recipe {
    let optimizer = Optimizer::adamw(1e-2, 1e-4);
    Recipe { steps, validation: 0.0, batch: 12, check_every: 5, optimizer, ..Recipe::default() }
}

/// A teacher that counts up, mostly, and ends sooner or later.
fn teacher() -> Language {
    let text = |i: usize| -> Vec<u16> {
        let some = (0..3 + i % 4).map(|at| (1 + (i + at + (i / 5) % 2) % 6) as u16);
        some.chain([END]).collect()
    };
    let texts: Vec<Vec<u16>> = (0..60).map(text).collect();
    let corpus = Corpus::of(texts.iter().map(|t| t.split_at(1)), 8, END).unwrap();
    model(1).fit(&corpus, &recipe(150), Seed::new(1)).unwrap().last
}

fn material(n: usize) -> Material {
    let prompts = (0..n).map(|i| vec![(1 + i % 6) as u16]).collect();
    Material { prompts, held: None, most: 6, end: END }
}

/// A material with the teacher's texts, and the tutor that wrote them.
fn held(teacher: &Language, n: usize) -> (Material, Tutor<'_>) {
    let tutor = Tutor::new(teacher, Tell::Full);
    let material = material(n);
    let held = tutor.answer(&material, &Sampling::default(), Seed::new(9)).unwrap();
    (Material { held: Some(held), ..material }, tutor)
}

/// KL(teacher || student) of the next token, mean over the teacher's own texts.
fn far(student: &Language, teacher: &Language) -> f64 {
    let lesson = held(teacher, 120).0.held.unwrap();
    student.loss(&lesson).unwrap()
}

#[test]
fn gkd_without_own_texts_is_learning_from_held_ones_to_the_byte() {
    let teacher = teacher();
    let (material, mut tutor) = held(&teacher, 30);
    let lesson = material.held.clone().unwrap();
    for divergence in [Divergence::ForwardKl {}, Divergence::Jsd { beta: 0.5 }] {
        let comparison = Comparison { divergence, ..Comparison::default() };
        let gkd = Objective::Gkd(Gkd { lambda: 0.0, comparison });
        let recipe = Recipe { shards: 2, ..recipe(10) };
        let found = gkd.learn(&model(2), &mut tutor, &material, &recipe, Seed::new(3)).unwrap();
        let soft = Soft { divergence, ..lesson.soft.clone().unwrap() };
        let held = model(2).fit_soft(&lesson.corpus, &soft, &recipe, Seed::new(3)).unwrap();
        assert_eq!(found.weights(), held.last.weights());
    }
    // Twice 10 steps of 12 texts: each use is one, whoever learns from a text twice pays twice.
    assert_eq!((tutor.spent().queries, tutor.spent().scored_tokens), (240, 0));
}

#[test]
fn every_objective_brings_a_student_to_its_teacher() {
    let teacher = teacher();
    let before = far(&model(2), &teacher);
    let reverse = Comparison { divergence: Divergence::ReverseKl {}, ..Comparison::default() };
    let cases = [
        (Objective::Gkd(Gkd { lambda: 1.0, comparison: Comparison::default() }), 0.2),
        (Objective::Gkd(Gkd { lambda: 1.0, comparison: reverse }), 0.2),
        (Objective::Gkd(Gkd::default()), 0.2),
        (Objective::Distillm(Distillm { share: 0.5, replay: 30, ..Distillm::default() }), 0.2),
        (Objective::Minillm(Minillm::default()), 0.4),
        (Objective::Minillm(Minillm { single_step: false, ..Minillm::default() }), 0.7),
    ];
    for (objective, most) in cases {
        let (material, mut tutor) = held(&teacher, 60);
        let recipe = Recipe { validation: 0.2, ..recipe(150) };
        let learned =
            objective.learn(&model(2), &mut tutor, &material, &recipe, Seed::new(3)).unwrap();
        let after = far(&learned, &teacher);
        assert!(after < most * before, "{objective:?}: {before} to {after}");
    }
}

#[test]
fn the_same_seed_gives_the_same_student_and_the_same_bill() {
    let teacher = teacher();
    for objective in Objective::examples().into_iter().filter(Objective::on_policy) {
        let run = |seed: u64, threads: usize| {
            let (material, mut tutor) = held(&teacher, 30);
            let recipe = Recipe { shards: 2, threads, ..recipe(6) };
            let learned = objective
                .learn(&model(2), &mut tutor, &material, &recipe, Seed::new(seed))
                .unwrap();
            (learned.weights(), tutor.spent())
        };
        assert_eq!(run(3, 1), run(3, 2));
        assert_ne!(run(3, 1).0, run(4, 1).0);
    }
}

#[test]
fn every_token_that_the_teacher_writes_or_scores_is_counted() {
    let teacher = teacher();
    let (material, mut tutor) = held(&teacher, 30);
    let counted = |lesson: &Lesson| lesson.corpus.counted() as u64;
    let wrote = counted(material.held.as_ref().unwrap());
    assert_eq!(tutor.spent(), Spent::default());
    let all = tutor.gave(material.held.clone().unwrap());
    let after_texts =
        Spent { queries: 30, prompt_tokens: 30, completion_tokens: wrote, scored_tokens: 0 };
    assert_eq!((tutor.spent(), counted(&all)), (after_texts, wrote));
    let prompts = material.some(&[0, 1, 2, 3]);
    let own =
        material.own(&model(2), &mut tutor, &prompts, Comparison::default(), Seed::new(4)).unwrap();
    let scored_tokens = counted(&own);
    let expected = Spent { queries: 34, prompt_tokens: 34, scored_tokens, ..after_texts };
    assert_eq!(tutor.spent(), expected);
    let along = tutor.write_along(&model(2), 0.2, &material, &prompts, Seed::new(4)).unwrap();
    assert_eq!(tutor.spent().scored_tokens, counted(&own) + counted(&along));
    assert_eq!(tutor.spent().tokens(), wrote + counted(&own) + counted(&along));
}

#[test]
fn the_end_of_a_text_is_learnt_and_its_prompt_never() {
    let teacher = teacher();
    let (material, _) = held(&teacher, 60);
    let Corpus { tokens, next } = material.held.unwrap().corpus;
    let mut ended = 0;
    for (tokens, next) in tokens.rows().into_iter().zip(next.rows()) {
        // The prompt's one token teaches what follows it, and is never itself a target.
        assert!(next[0] >= 0 && next.iter().filter(|t| **t >= 0).count() <= 6);
        if let Some(end) = next.iter().position(|t| *t == i32::from(END)) {
            ended += 1;
            assert!(next.iter().skip(end + 1).all(|t| *t == -1), "{tokens} {next}");
        }
    }
    assert!(ended > 30, "{ended}");
}

#[test]
fn objectives_are_written_by_name_and_refuse_what_cannot_work() {
    for objective in Objective::examples() {
        let text = serde_json::to_string(&objective).unwrap();
        assert_eq!(serde_json::from_str::<Objective>(&text).unwrap(), objective, "{text}");
        assert!(objective.check().is_ok());
    }
    assert!(serde_json::from_str::<Objective>(r#"{"kind":"gkd","lamda":1}"#).is_err());
    assert!(
        Objective::Uld(Uld { weight: 0.0 }).check().unwrap_err().to_string().contains("weight")
    );
    let distillm = Distillm { replay: 0, ..Distillm::default() };
    let skew = Divergence::SkewKl { alpha: 2.0 };
    let comparison = Comparison { divergence: skew, ..Comparison::default() };
    for (objective, key) in [
        (Objective::Gkd(Gkd { lambda: 1.5, ..Gkd::default() }), "lambda"),
        (Objective::Gkd(Gkd { comparison, ..Gkd::default() }), "comparison.divergence.alpha"),
        (Objective::Distillm(distillm), "replay"),
        (Objective::Minillm(Minillm { teacher_share: 1.0, ..Minillm::default() }), "teacher-share"),
    ] {
        assert!(objective.check().unwrap_err().to_string().contains(key), "{key}");
    }
    let teacher = teacher();
    let learn = |objective: Objective, material: &Material, tell| {
        let mut tutor = Tutor::new(&teacher, tell);
        let learned = objective.learn(&model(2), &mut tutor, material, &recipe(1), Seed::new(1));
        learned.unwrap_err().to_string()
    };
    let gkd = Objective::Gkd(Gkd::default());
    assert!(learn(gkd, &material(4), Tell::Full).contains("texts with soft targets"));
    assert!(learn(gkd, &material(0), Tell::Full).contains("prompts of an objective"));
    let minillm = Objective::Minillm(Minillm::default());
    assert!(learn(minillm, &material(4), Tell::TopK { k: 2 }).contains("full distributions"));
}
