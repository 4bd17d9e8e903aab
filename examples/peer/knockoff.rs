//! Extraction in the manner of Knockoff Nets (Orekondy et al. 2019) with random queries, as the
//! Adversarial Robustness Toolbox runs it: rows drawn without replacement, the teacher's
//! probabilities as targets, ten epochs of cross-entropy.

use std::path::PathBuf;
use std::time::Instant;

use ndarray::{Array2, ArrayView2, Axis, s};
use retort::data;
use retort::model::{Lesson, Loss, Model, Recipe, Targets, fit};
use retort::seed::{Seed, permutation};
use serde_json::{Value, json};

use crate::array::write;
use crate::work::{Work, largest, load_rows, save_rows, save_weights};
use crate::{Outcome, Request};

/// Rows of a step. Divides both budgets, so an epoch is as many full batches on either side.
pub const BATCH: usize = 50;
const EPOCHS: usize = 10;
/// Students exported, each with a start and a draw of queries of its own.
pub const STUDENTS: u64 = 10;
/// Training images of the teacher; students ask with the other 10,000.
const TEACHER_ROWS: usize = 50_000;
const TRAIN_ROWS: usize = 60_000;
/// Two epochs of the teacher's rows.
const TEACHER_STEPS: usize = 2000;

/// Trains the teacher and writes it with the pool, the test images and every student's start.
pub fn export(request: &Request) -> Outcome<Value> {
    let mut work = Work::new(&request.work)?;
    let budget = budget(&work)?;
    work.steps = budget * EPOCHS / work.batch;
    let root = std::env::var_os("RETORT_DATA").map(PathBuf::from);
    let root = root.ok_or("needs MNIST: RETORT_DATA or --data names the folder of mnist/")?;
    let dir = &request.dir;
    std::fs::create_dir_all(dir)?;
    let set = data::load("mnist", Some(&root))?;
    save_rows(&dir.join("inputs.npy"), set.inputs.slice(s![TEACHER_ROWS..TRAIN_ROWS, ..]))?;
    save_rows(&dir.join("test.npy"), set.inputs.slice(s![TRAIN_ROWS.., ..]))?;

    let lesson = Lesson {
        inputs: set.inputs.slice(s![..TEACHER_ROWS, ..]).to_owned(),
        targets: Targets::Labels(set.labels[..TEACHER_ROWS].to_vec()),
    };
    let steps = request.steps.unwrap_or(TEACHER_STEPS);
    let recipe = Recipe { batch: 50, ..work.recipe(steps) };
    let seed = Seed::new(request.seed).child("teacher");
    let start = work.init(STUDENTS + request.seed)?;
    let teacher = fit(start, &lesson, Loss::HardLabel, &recipe, seed)?.last;
    let answers = choices(&teacher, set.inputs.slice(s![TRAIN_ROWS.., ..]))?;
    let accuracy = share(&answers, &set.labels[TRAIN_ROWS..]);
    save_weights(&teacher, &dir.join("weights"))?;

    for seed in 0..STUDENTS {
        let folder = dir.join(format!("students/{seed}"));
        save_weights(&work.init(seed)?, &folder)?;
        let drawn = queries(seed, budget);
        write(&dir.join(format!("students/{seed}.npy")), &[budget], &drawn)?;
    }
    work.save(dir)?;
    Ok(json!({ "teacher_accuracy": accuracy }))
}

/// One extraction with the student of the request's seed; the clock covers drawing rows, asking
/// and learning.
pub fn extract(request: &Request) -> Outcome<Value> {
    let work = Work::load(&request.dir)?;
    let budget = budget(&work)?;
    let pool = load_rows(&request.dir.join("inputs.npy"))?;
    let teacher = work.model(&request.dir.join("weights"))?;
    let student = work.model(&request.dir.join(format!("students/{}", request.seed)))?;

    let start = Instant::now();
    let inputs = pool.select(Axis(0), &queries(request.seed, budget));
    let recipe = work.recipe(request.steps.unwrap_or(work.steps));
    let student = learn(student, &teacher, inputs, &recipe, request.seed)?;
    let seconds = start.elapsed().as_secs_f64();

    drop(pool);
    let test = load_rows(&request.dir.join("test.npy"))?;
    let agreement = share(&choices(&student, test.view())?, &choices(&teacher, test.view())?);
    let rate = budget as f64 / seconds;
    Ok(json!({ "rate": rate, "agreement": agreement, "seconds": seconds }))
}

/// Asks the teacher and learns its probabilities.
pub fn learn(
    student: Model,
    teacher: &Model,
    inputs: Array2<f32>,
    recipe: &Recipe,
    seed: u64,
) -> Outcome<Model> {
    let probs = teacher.probs(inputs.view())?;
    let lesson = Lesson { inputs, targets: Targets::Probs(probs) };
    let loss = Loss::SoftLabel { temperature: 1.0, eps: 1e-30 };
    Ok(fit(student, &lesson, loss, recipe, Seed::new(seed))?.last)
}

/// Queries, from the name of the work.
pub fn budget(work: &Work) -> Outcome<usize> {
    let name = work.work.split_once('-').map_or("", |(_, budget)| budget);
    let budget: usize = name.parse().map_err(|_| format!("no budget in `{}`", work.work))?;
    match budget <= TRAIN_ROWS - TEACHER_ROWS && budget.is_multiple_of(BATCH) && budget > 0 {
        true => Ok(budget),
        false => Err(format!("a budget of whole batches of {BATCH}, up to the pool").into()),
    }
}

/// Rows of the pool that a student asks, each once at most.
pub fn queries(seed: u64, budget: usize) -> Vec<usize> {
    let mut rng = Seed::new(seed).child("queries").rng();
    let mut rows = permutation(&mut rng, TRAIN_ROWS - TEACHER_ROWS);
    rows.truncate(budget);
    rows
}

pub fn choices(model: &Model, inputs: ArrayView2<'_, f32>) -> Outcome<Vec<usize>> {
    Ok(model.logits(inputs)?.rows().into_iter().map(largest).collect())
}

/// Share of places at which two lists are equal.
pub fn share(a: &[usize], b: &[usize]) -> f64 {
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64
}
