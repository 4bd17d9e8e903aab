//! An actor's small student: the examples it holds, and how it learns from them.
//!
//! Examples are the actor's own questions, answered by the teacher through the gateway. Suspects are
//! refused or get answers that never enter a lesson, so what is learnt from went through an empty stack.
//! The objective is the teacher's whole distribution (Hinton, Vinyals and Dean 2015, section 2). Every
//! student has the same cap on steps, whatever it holds.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

use super::world::{Keep, World};
use crate::campaign::spec::LearningSpec;
use crate::defense::Stack;
use crate::error::{Error, Result};
use crate::gateway::{Door, Gateway};
use crate::ledger::{Budget, Ledger};
use crate::model::{Lesson, Loss, Model, Optimizer, Recipe, Targets, fit};
use crate::oracle::teacher::{Reveal, Teacher};
use crate::oracle::{Answers, Batch, Tick};
use crate::seed::Seed;

/// With fewer examples nothing is learnt.
pub const FEWEST: usize = 10;
/// Questions asked at once.
const BATCH: usize = 4_096;

/// Questions of an area with the teacher's answers.
#[derive(Clone, Debug)]
pub struct Notes {
    /// `[n, d]`
    inputs: Array2<f32>,
    /// `[n, classes + 1]`
    probs: Array2<f64>,
}

/// The first `counts[area]` examples of an actor in each area.
pub fn ask(
    world: &World,
    teacher: &Arc<Model>,
    actor: &str,
    counts: &[usize],
) -> Result<Vec<Notes>> {
    let mut ledger = Ledger::new();
    let owner = ledger.open_actor(actor, Budget::default());
    let account = ledger.open_account(owner);
    let oracle = Teacher::new(Arc::clone(teacher), Reveal::Probs);
    let mut door = Gateway::new(ledger, Stack::default(), Box::new(oracle));
    let stream = format!("ask/{actor}");
    let notes = |(area, &n): (usize, &usize)| {
        let inputs = world.rows(&stream, area, n, Keep::All).inputs;
        let mut parts = vec![Answers::Probs(Array2::zeros((0, world.refusal() + 1)))];
        for from in (0..n).step_by(BATCH) {
            let rows = inputs.slice(s![from..n.min(from + BATCH), ..]).to_owned();
            parts.push(door.ask(&Batch::classify(account, Tick::ZERO, rows))?.answers);
        }
        match Answers::concat(parts)? {
            Answers::Probs(probs) => Ok(Notes { inputs, probs }),
            other => Err(Error::Internal(format!("a teacher who gives {}", other.kind().name()))),
        }
    };
    counts.iter().enumerate().map(notes).collect()
}

/// A student of the first `counts[area]` of these notes.
pub fn train(
    world: &World,
    spec: &LearningSpec,
    notes: &[Notes],
    counts: &[usize],
    seed: Seed,
) -> Result<Model> {
    let fresh = world.network(&spec.hidden, seed.child("init"))?;
    if counts.iter().sum::<usize>() < FEWEST {
        return Ok(fresh);
    }
    let held = || notes.iter().zip(counts);
    let inputs: Vec<ArrayView2<'_, f32>> =
        held().map(|(note, &n)| note.inputs.slice(s![..n, ..])).collect();
    let probs: Vec<ArrayView2<'_, f64>> =
        held().map(|(note, &n)| note.probs.slice(s![..n, ..])).collect();
    let broken = |e: ndarray::ShapeError| Error::Internal(e.to_string());
    let lesson = Lesson {
        inputs: concatenate(Axis(0), &inputs).map_err(broken)?,
        targets: Targets::Probs(concatenate(Axis(0), &probs).map_err(broken)?),
    };
    let loss = Loss::SoftLabel { temperature: 1.0, eps: 1e-6 };
    Ok(fit(fresh, &lesson, loss, &recipe(spec), seed.child("fit"))?.last)
}

fn recipe(spec: &LearningSpec) -> Recipe {
    Recipe {
        optimizer: Optimizer::adamw(3e-3, 1e-4),
        batch: 64,
        steps: spec.steps,
        validation: 0.0,
        check_every: spec.steps,
        ..Recipe::default()
    }
}
