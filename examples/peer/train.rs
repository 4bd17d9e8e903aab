//! Training from exported rows and weights.

use std::time::Instant;

use ndarray::Array2;
use retort::model::{Lesson, Loss, Model, Targets, fit};
use retort::seed::Seed;
use serde_json::{Value, json};

use crate::array::read;
use crate::work::{Work, largest, load_rows};
use crate::{Outcome, Request};

/// Steps taken and thrown away before the clock starts.
const WARM_UP: usize = 10;

/// Runs every step; the clock covers the whole of [`fit`], its checks included.
pub fn train(request: &Request) -> Outcome<Value> {
    let work = Work::load(&request.dir)?;
    let steps = request.steps.unwrap_or(work.steps);
    let inputs = load_rows(&request.dir.join("inputs.npy"))?;
    let (_, labels) = read(&request.dir.join("labels.npy"))?;
    let lesson = Lesson { inputs, targets: Targets::Labels(labels) };
    let model = work.model(&request.dir.join("weights"))?;
    let seed = Seed::new(work.seed);
    fit(model.clone(), &lesson, Loss::HardLabel, &work.recipe(WARM_UP.min(steps)), seed)?;

    let start = Instant::now();
    let fitted = fit(model, &lesson, Loss::HardLabel, &work.recipe(steps), seed)?;
    let seconds = start.elapsed().as_secs_f64();

    let (loss, accuracy) = score(&fitted.last, &lesson)?;
    let rate = (steps * work.batch) as f64 / seconds;
    Ok(json!({ "rate": rate, "loss": loss, "accuracy": accuracy, "seconds": seconds }))
}

/// Mean loss and share of right answers over all rows.
fn score(model: &Model, lesson: &Lesson) -> Outcome<(f64, f64)> {
    let Targets::Labels(labels) = &lesson.targets else { return Err("labels expected".into()) };
    let probs: Array2<f64> = model.probs(lesson.inputs.view())?;
    let rows = || probs.rows().into_iter().zip(labels);
    let loss: f64 = rows().map(|(p, &label)| -p[label].ln()).sum();
    let right = rows().filter(|(p, label)| largest(p.view()) == **label).count();
    Ok((loss / labels.len() as f64, right as f64 / labels.len() as f64))
}
