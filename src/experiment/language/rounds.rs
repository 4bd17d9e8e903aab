//! Asking in rounds: each time what the student of the answers so far is least sure of.

use super::CONTEXT;
use super::ground::{Ground, STUDENT};
use super::run::learnt;
use super::spec::{ArmSpec, LanguageSpec, StudentSpec, Training};
use super::student::{Exchange, Student};
use crate::error::Result;
use crate::model::language::{Ask, Reveal, Sampling};
use crate::seed::Seed;

/// Prompts whose answers are weighed together.
const BATCH: usize = 64;

/// `n` exchanges: a first round at random, then the least sure of `candidates` for each prompt.
pub fn exchanges(
    spec: &LanguageSpec,
    ground: &Ground,
    arm: &ArmSpec,
    student: &StudentSpec,
    n: usize,
    (rounds, candidates): (usize, usize),
) -> Result<Vec<Exchange>> {
    let each = n.div_ceil(rounds);
    let seed = ground.root.child("questions");
    let pool = student.prompts.draw(&ground.suite, &ground.mix, n * candidates, seed)?;
    let mut behind = ground.behind(spec, &arm.stack)?;
    let mut held: Vec<Exchange> = Vec::with_capacity(n);
    // Students of earlier rounds share the steps that the last one alone would have.
    let steps = (spec.training.steps / rounds).max(1);
    let short =
        LanguageSpec { training: Training { steps, ..spec.training.clone() }, ..spec.clone() };
    while held.len() < n {
        let count = each.min(n - held.len());
        let from = held.len() * candidates;
        let window = from..(from + count * candidates).min(pool.len());
        let mut numbers: Vec<usize> = window.clone().collect();
        if !held.is_empty() {
            let seed = ground.root.child("student").nth("round", held.len() as u64);
            let model = learnt(&short, student, ground, &held, seed)?;
            let sure = sureness(&model, &pool[window])?;
            numbers.sort_by(|&a, &b| sure[a - from].total_cmp(&sure[b - from]).then(a.cmp(&b)));
        }
        numbers.truncate(count);
        let prompts: Vec<Vec<u8>> = numbers.iter().map(|&i| pool[i].clone()).collect();
        let numbers: Vec<u64> = numbers.iter().map(|&i| i as u64).collect();
        let answers =
            ground.answers(spec, &mut behind, STUDENT, &prompts, &numbers, student.sampling)?;
        let pairs = prompts.into_iter().zip(answers);
        held.extend(pairs.map(|(prompt, answer)| Exchange { prompt, answer }));
    }
    Ok(held)
}

/// Mean log-probability of the tokens of a model's own most likely answers, by prompt.
fn sureness(student: &Student, prompts: &[Vec<u8>]) -> Result<Vec<f64>> {
    let Student { model, words } = student;
    let mut all = Vec::with_capacity(prompts.len());
    for batch in prompts.chunks(BATCH) {
        let prompts = batch.iter().map(|prompt| words.prompt(prompt));
        let prompts = prompts.collect::<Result<Vec<_>>>()?;
        let ask = Ask {
            prompts: &prompts,
            most: CONTEXT,
            end: Some(words.end()),
            sampling: Sampling { temperature: 0.0, ..Sampling::default() },
            // Nothing is drawn.
            streams: &vec![Seed::new(0); prompts.len()],
            reveal: Some(Reveal::Own { k: 1 }),
        };
        for answer in model.complete(&ask, None)? {
            let logs = answer.logprobs.map(|probs| probs.logs).unwrap_or_default();
            let sum: f64 = logs.iter().map(|&log| f64::from(log)).sum();
            all.push(sum / logs.len().max(1) as f64);
        }
    }
    Ok(all)
}
