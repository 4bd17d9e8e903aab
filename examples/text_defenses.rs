//! What each defense of a text API costs whoever asks honestly: right answers of the shipped teacher behind it.
//!
//!     cargo run --release --example text_defenses -- [items=100] [temperature=1] [proxy=1000] [only=KIND] [key=value]
//!
//! One row for each kind, with its example settings; `only` shows one kind, and further keys change its
//! settings (`only=antidistillation lambda=3`). Answers are drawn at the temperature that is given. The proxy
//! student of those defenses that need one learns from so many exchanges first.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "an example reads its arguments and the clock, and prints"
)]

use std::time::Instant;

use retort::Seed;
use retort::data::suite::{Capability, Mix, Problem, Suite, grade};
use retort::defense::text::{Proxy, TextBatch, TextDefenseSpec, TextStack};
use retort::experiment::language::student::{StudentSpec, transfer_set};
use retort::experiment::language::teacher::{TeacherSpec, shipped};
use retort::experiment::language::{CONTEXT, lesson};
use retort::model::language::{Language, Sampling};
use retort::oracle::AccountId;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Prompts that are asked together.
const BATCH: usize = 64;
/// Lessons of the defender that students are not to learn.
const LESSONS: usize = 200;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut pairs: Vec<(&str, &str)> = args.iter().filter_map(|arg| arg.split_once('=')).collect();
    let mut take = |key: &str| {
        let at = pairs.iter().position(|(k, _)| *k == key)?;
        Some(pairs.remove(at).1)
    };
    let items: usize = take("items").unwrap_or("100").parse()?;
    let temperature: f64 = take("temperature").unwrap_or("1").parse()?;
    let exchanges: usize = take("proxy").unwrap_or("1000").parse()?;
    let only = take("only");
    let specs = TextDefenseSpec::examples().into_iter();
    let specs: Vec<_> = specs.filter(|spec| only.is_none_or(|only| only == spec.kind())).collect();
    let specs = specs.iter().map(|spec| changed(spec, &pairs)).collect::<Outcome<Vec<_>>>()?;

    let (teacher, seed) = (shipped()?, Seed::new(0));
    let suite = Suite::new(TeacherSpec::default().ranges)?;
    let mut rng = seed.child("exam").rng();
    let mut problems = Vec::new();
    for capability in Capability::ALL.into_iter().filter(|c| *c != Capability::Text) {
        problems.extend(suite.exam(capability, items, &mut rng)?);
    }
    let proxy = proxy(&teacher, &suite, exchanges, seed.child("proxy"))?;
    let names = ["reasoning", "run", "write", "tools", "format", "guardrail"];
    println!("| defense | {} | tokens | s |\n|---|{}", names.join(" | "), "---:|".repeat(8));
    let sampling = Sampling { temperature, ..Sampling::default() };
    let show = |name: String, specs: &[TextDefenseSpec]| -> Outcome<()> {
        let started = Instant::now();
        let teacher = TextStack::train(specs, &teacher, seed, Some(&proxy))?;
        let mut stack = TextStack::build(specs, seed, Some(&proxy))?;
        let (right, tokens) = ask(&mut stack, &teacher, &problems, sampling)?;
        let shares = right.chunks(items).map(|part| {
            let hits = part.iter().filter(|hit| **hit).count();
            format!("{:.2}", hits as f64 / items as f64)
        });
        let shares = shares.collect::<Vec<_>>().join(" | ");
        let mean = tokens as f64 / problems.len() as f64;
        println!("| {name} | {shares} | {mean:.1} | {:.1} |", started.elapsed().as_secs_f64());
        Ok(())
    };
    show("none".into(), &[])?;
    for spec in specs {
        let text = serde_json::to_string(&spec)?;
        show(format!("`{text}`"), &[spec])?;
    }
    Ok(())
}

/// The spec with other settings.
fn changed(spec: &TextDefenseSpec, pairs: &[(&str, &str)]) -> Outcome<TextDefenseSpec> {
    let mut value = serde_json::to_value(spec)?;
    for (key, text) in pairs {
        value[*key] = serde_json::from_str(text)?;
    }
    Ok(serde_json::from_value(value)?)
}

/// A student of this teacher, and lessons from the same suite.
fn proxy(teacher: &Language, suite: &Suite, exchanges: usize, seed: Seed) -> Outcome<Proxy> {
    let (mix, spec) = (Mix::default(), StudentSpec { steps: 1_000, ..StudentSpec::default() });
    let held = transfer_set(teacher, suite, &mix, &spec.sampling, exchanges, seed)?;
    let held: Vec<_> = held.into_iter().map(|(_, exchange)| exchange).collect();
    let model = spec.learn(&held, seed)?;
    let problems = lesson::problems(suite, &mix, LESSONS, seed.child("lessons"));
    let completions: Vec<Vec<u8>> = problems.iter().map(Problem::completion).collect();
    let pairs = problems.iter().zip(&completions).map(|(p, c)| (&p.prompt[..], &c[..]));
    Ok(Proxy { model, lessons: lesson::corpus(pairs, CONTEXT)? })
}

/// Which answers are right, and how many tokens there are in all.
fn ask(
    stack: &mut TextStack,
    teacher: &Language,
    problems: &[Problem],
    sampling: Sampling,
) -> Outcome<(Vec<bool>, usize)> {
    let (mut right, mut tokens) = (Vec::new(), 0);
    for batch in problems.chunks(BATCH) {
        let prompts: Vec<Vec<u8>> = batch.iter().map(|problem| problem.prompt.clone()).collect();
        let first = right.len() as u64;
        let streams: Vec<Seed> =
            (first..).take(batch.len()).map(|i| Seed::new(0).nth("answer", i)).collect();
        let asked = TextBatch {
            accounts: &vec![AccountId(0); batch.len()],
            prompts: &prompts,
            streams: &streams,
            sampling,
            most: CONTEXT,
            reveal: None,
        };
        for (problem, answer) in batch.iter().zip(stack.answer(teacher, &asked)?) {
            let bytes: Vec<u8> = answer.tokens.iter().map(|&token| token as u8).collect();
            right.push(grade(problem, &bytes).correct);
            tokens += answer.tokens.len();
        }
    }
    Ok((right, tokens))
}
