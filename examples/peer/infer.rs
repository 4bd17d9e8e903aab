//! Answering with probabilities, a batch at a time.

use std::time::Instant;

use ndarray::s;
use serde_json::{Value, json};

use crate::work::{Work, load_rows, save_rows};
use crate::{Outcome, Request};

/// Seconds that answering is watched for, and before that, to warm up.
const WATCH: f64 = 1.0;
const WARM_UP: f64 = 0.2;

/// Rate at the work's batch, and the probabilities of every row for the other side to check.
pub fn infer(request: &Request) -> Outcome<Value> {
    let work = Work::load(&request.dir)?;
    let inputs = load_rows(&request.dir.join("inputs.npy"))?;
    let model = work.model(&request.dir.join("weights"))?;
    let starts: Vec<usize> = (0..=inputs.nrows() - work.batch).step_by(work.batch).collect();
    let watch = |least: f64| -> Outcome<(usize, f64)> {
        let (clock, mut calls) = (Instant::now(), 0);
        // The clock is read once in a few calls: it costs a share of the smallest of them.
        while calls % 16 != 0 || clock.elapsed().as_secs_f64() < least {
            let start = starts[calls % starts.len()];
            let rows = inputs.slice(s![start..start + work.batch, ..]);
            std::hint::black_box(model.probs(rows)?);
            calls += 1;
        }
        Ok((calls, clock.elapsed().as_secs_f64()))
    };
    watch(WARM_UP)?;
    let (calls, seconds) = watch(WATCH)?;
    let probs = model.probs(inputs.view())?.mapv(|p| p as f32);
    save_rows(&request.dir.join("probs.npy"), probs.view())?;
    let rate = (calls * work.batch) as f64 / seconds;
    Ok(json!({ "rate": rate, "seconds": seconds }))
}
