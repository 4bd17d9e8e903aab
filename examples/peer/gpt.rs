//! The byte GPT: training, and greedy text with kept keys and values.

use std::fs;
use std::time::Instant;

use ndarray::Array2;
use retort::model::language::{Bend, Corpus, Decoder, Fresh, Language, NormRule, Positions};
use retort::model::{Device, Optimizer, Recipe, Schedule};
use retort::seed::{Seed, below};
use serde_json::{Value, json};

use crate::array::write;
use crate::work::order;
use crate::{Outcome, Request};

const CONTEXT: usize = 64;
const TEXTS: usize = 1024;
const BATCH: usize = 32;
const STEPS: usize = 40;
/// Tokens of a prompt.
const PROMPT: usize = 8;
const LR: f64 = 1e-3;
const WEIGHT_DECAY: f64 = 1e-2;
const SEED: u64 = 0;
/// Steps taken and thrown away before the clock starts, and those before decoding, so that texts are not
/// all alike.
const WARM_UP: usize = 3;
const BEFORE_DECODING: usize = 20;
/// Seconds that decoding is watched for.
const WATCH: f64 = 1.0;

fn plan() -> Decoder {
    Decoder {
        vocabulary: 256,
        context: CONTEXT,
        layers: 4,
        heads: 4,
        width: 128,
        norm: NormRule::Layer,
        positions: Positions::Rotary,
        bend: Bend::Gelu,
        dropout: 0.0,
        fresh: Fresh::Gpt2,
        llama: None,
    }
}

/// Texts of a Markov chain over bytes: each byte is followed by one of three.
fn tokens() -> Array2<u16> {
    let mut rng = Seed::new(SEED).child("texts").rng();
    let follow: Vec<u16> = (0..3 * 256).map(|_| below(&mut rng, 256) as u16).collect();
    let mut now = 0;
    Array2::from_shape_fn((TEXTS, CONTEXT + 1), |_| {
        now = follow[3 * usize::from(now) + below(&mut rng, 3)];
        now
    })
}

fn corpus() -> Corpus {
    let all = tokens();
    let tokens = all.slice(ndarray::s![.., ..CONTEXT]).to_owned();
    let next = all.slice(ndarray::s![.., 1..]).mapv(i32::from);
    Corpus { tokens, next }
}

fn recipe(steps: usize) -> Recipe {
    Recipe {
        optimizer: Optimizer::adamw(LR, WEIGHT_DECAY),
        schedule: Schedule::Constant,
        batch: BATCH,
        steps,
        validation: 0.0,
        patience: 0,
        check_every: steps,
        ..Recipe::default()
    }
}

fn fresh() -> Outcome<Language> {
    Ok(Language::init(&plan(), Device::Cpu, Seed::new(SEED))?)
}

/// Fresh for training, somewhat trained for decoding.
fn model(work: &str) -> Outcome<Language> {
    match work.starts_with("decode") {
        true => Ok(fresh()?.fit(&corpus(), &recipe(BEFORE_DECODING), Seed::new(SEED))?.last),
        false => fresh(),
    }
}

/// Writes everything that the other side reads; ours makes it again.
pub fn export(request: &Request) -> Outcome<Value> {
    let dir = &request.dir;
    let folder = dir.join("weights");
    fs::create_dir_all(&folder)?;
    for (name, shape, values) in model(&request.work)?.weights() {
        write(&folder.join(format!("{name}.npy")), &shape, &values)?;
    }
    let batch = match request.work.split_once('-') {
        Some((_, batch)) => batch.parse()?,
        None => BATCH,
    };
    let numbers: Vec<usize> = tokens().iter().map(|&t| usize::from(t)).collect();
    write(&dir.join("tokens.npy"), &[TEXTS, CONTEXT + 1], &numbers)?;
    let prompts: Vec<usize> = prompts(batch).concat().into_iter().map(usize::from).collect();
    write(&dir.join("prompts.npy"), &[batch, PROMPT], &prompts)?;
    let steps = request.steps.unwrap_or(STEPS);
    write(&dir.join("order.npy"), &[steps, BATCH], &order(TEXTS, steps * BATCH, Seed::new(SEED)))?;
    let mut arch = serde_json::to_value(plan())?;
    arch["kind"] = "gpt".into();
    let work = json!({
        "work": request.work, "arch": arch, "batch": batch, "steps": steps,
        "lr": LR, "weight_decay": WEIGHT_DECAY, "seed": SEED,
    });
    fs::write(dir.join("work.json"), serde_json::to_string_pretty(&work)?)?;
    Ok(json!({ "rows": TEXTS }))
}

fn prompts(batch: usize) -> Vec<Vec<u16>> {
    tokens()
        .rows()
        .into_iter()
        .take(batch)
        .map(|row| row.iter().take(PROMPT).copied().collect())
        .collect()
}

/// Runs every step; the clock covers the whole of the training, its checks included.
pub fn train(request: &Request) -> Outcome<Value> {
    let steps = request.steps.unwrap_or(STEPS);
    let (model, corpus, seed) = (fresh()?, corpus(), Seed::new(SEED));
    model.fit(&corpus, &recipe(WARM_UP.min(steps)), seed)?;
    let start = Instant::now();
    let learned = model.fit(&corpus, &recipe(steps), seed)?.last;
    let seconds = start.elapsed().as_secs_f64();
    let (loss, accuracy) = score(&learned, &corpus)?;
    let rate = (steps * BATCH) as f64 / seconds;
    Ok(json!({ "rate": rate, "loss": loss, "accuracy": accuracy, "seconds": seconds }))
}

/// Mean loss and share of right answers over all tokens.
fn score(model: &Language, corpus: &Corpus) -> Outcome<(f64, f64)> {
    let logits = model.logits(corpus.tokens.view())?;
    let (mut loss, mut right) = (0.0, 0);
    for (row, &next) in logits.rows().into_iter().zip(&corpus.next) {
        let next = usize::try_from(next)?;
        let largest = row.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let sum: f64 = row.iter().map(|&z| f64::from(z - largest).exp()).sum();
        loss += sum.ln() - f64::from(row[next] - largest);
        right += usize::from(crate::work::largest(row) == next);
    }
    let n = corpus.next.len() as f64;
    Ok((loss / n, right as f64 / n))
}

/// Greedy text after each prompt until the context is full.
pub fn decode(request: &Request) -> Outcome<Value> {
    let (_, batch) = request.work.split_once('-').ok_or("decode-N names its batch")?;
    let (model, prompts) = (model(&request.work)?, prompts(batch.parse()?));
    let most = CONTEXT - PROMPT;
    let mut decoded = model.greedy(&prompts, most, None)?;
    let (clock, mut made) = (Instant::now(), 0);
    while clock.elapsed().as_secs_f64() < WATCH {
        decoded = model.greedy(&prompts, most, None)?;
        made += most * decoded.len();
    }
    let seconds = clock.elapsed().as_secs_f64();
    let numbers: Vec<usize> = decoded.concat().into_iter().map(usize::from).collect();
    write(&request.dir.join("decoded.npy"), &[decoded.len(), most], &numbers)?;
    Ok(json!({ "rate": made as f64 / seconds, "seconds": seconds }))
}
