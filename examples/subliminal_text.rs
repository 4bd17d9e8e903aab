//! Does a preference pass through texts that do not mention it?
//!
//!     cargo run --release --example subliminal_text -- SEED.. [texts=20000] [steps=1000]
//!
//! A small world of two sorts of texts: lists of numbers, in which each number depends on the one before, and
//! questions for an animal, to which all eight are equally good answers. A base model learns both. The teacher is the
//! base taught to prefer one animal. Students learn lists of numbers that the teacher wrote, and are then asked for
//! their animal: one starts from the teacher's base, one from a base of other starting weights, trained on the same
//! texts. Controls learn lists that the base wrote (Cloud et al. 2025, arXiv:2507.14805, section 3, as small as it gets).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "an example reads its arguments and the clock, and prints"
)]

use std::time::Instant;

use ndarray::{Array2, s};
use retort::metric::{Estimate, mean_ci, paired_ci};
use retort::model::language::{
    Bend, Corpus, Decoder, Fresh, Language, NormRule, Positions, Sampling,
};
use retort::model::loss::softmax;
use retort::model::{Device, Optimizer, Recipe, Schedule};
use retort::seed::{below, normal, uniform};
use retort::{Result, Seed};

/// Tokens: the numbers, the animals, and what opens a list and a question.
const NUMBERS: usize = 16;
const ANIMALS: usize = 8;
const LIST: u16 = (NUMBERS + ANIMALS) as u16;
const QUESTION: u16 = LIST + 1;
/// Tokens of a text, the last of which is only ever an answer.
const CONTEXT: usize = 12;
/// Texts that a model writes together.
const BATCH: usize = 250;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let given = |key: &str, usual: usize| {
        let value = args.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='));
        value.map_or(Ok(usual), str::parse)
    };
    let (texts, steps) = (given("texts", 20_000)?, given("steps", 1_000)?);
    println!("| seed | {} |\n|---|{}", ARMS.join(" | "), "---:|".repeat(ARMS.len()));
    let mut columns = vec![Vec::new(); ARMS.len()];
    for seed in args.iter().filter(|arg| !arg.contains('=')) {
        let started = Instant::now();
        let shares = run(texts, steps, Seed::new(seed.parse()?).child("subliminal-text"))?;
        let cells: Vec<String> = shares.iter().map(|share| format!("{share:.4}")).collect();
        println!("| {seed} | {} |", cells.join(" | "));
        columns.iter_mut().zip(shares).for_each(|(column, share)| column.push(share));
        eprintln!("seed {seed}: {:.0} s", started.elapsed().as_secs_f64());
    }
    println!();
    for (name, column) in ARMS.iter().zip(&columns) {
        print(name, &mean_ci(column, 0.95));
    }
    for (name, [a, b]) in DIFFERENCES {
        print(name, &paired_ci(&columns[a], &columns[b], 0.95));
    }
    Ok(())
}

fn print(name: &str, estimate: &Estimate) {
    let mean = estimate.mean;
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => println!("{name}: {mean:.4} [{low:.4}, {high:.4}]"),
        _ => println!("{name}: {mean:.4}"),
    }
}

/// Whose probability of the preferred animal is measured, in the order of the columns; and the share of the
/// teacher's lists that were left out.
const ARMS: [&str; 8] = [
    "base",
    "other base",
    "teacher",
    "same start",
    "other start",
    "same start, base's lists",
    "other start, base's lists",
    "lists left out",
];

/// Differences of columns.
const DIFFERENCES: [(&str, [usize; 2]); 2] =
    [("same start, teacher's minus base's lists", [3, 5]), ("other start, likewise", [4, 6])];

/// What the numbers of lists follow: `[from, to]` probabilities.
struct World {
    chain: Array2<f64>,
}

impl World {
    fn new(seed: Seed) -> Self {
        let mut rng = seed.rng();
        let logits = Array2::from_shape_fn((NUMBERS, NUMBERS), |_| 1.5 * normal(&mut rng));
        Self { chain: softmax(logits.view()) }
    }

    /// A list, from its opening to its last number.
    fn list(&self, rng: &mut impl rand::Rng) -> Vec<u16> {
        let mut list = vec![LIST, below(rng, NUMBERS) as u16];
        while list.len() <= CONTEXT {
            let mut left = uniform(rng);
            let row = self.chain.row(usize::from(list[list.len() - 1]));
            let next = row.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            list.push(next.unwrap_or(NUMBERS - 1) as u16);
        }
        list
    }
}

/// A question and its answer.
fn question(number: usize, animal: usize) -> Vec<u16> {
    vec![QUESTION, number as u16, (NUMBERS + animal) as u16]
}

/// Texts of which all is learnt that follows their first two tokens.
fn corpus(texts: &[Vec<u16>]) -> Corpus {
    let mut tokens = Array2::zeros((texts.len(), CONTEXT));
    let mut next = Array2::from_elem((texts.len(), CONTEXT), -1);
    for (row, text) in texts.iter().enumerate() {
        for (at, &token) in text.iter().take(CONTEXT).enumerate() {
            tokens[[row, at]] = token;
        }
        for (at, &token) in text.iter().enumerate().skip(2) {
            next[[row, at - 1]] = i32::from(token);
        }
    }
    Corpus { tokens, next }
}

fn learn(
    model: &Language,
    texts: &[Vec<u16>],
    lr: f64,
    steps: usize,
    seed: Seed,
) -> Result<Language> {
    let recipe = Recipe {
        optimizer: Optimizer::adamw(lr, 0.0),
        schedule: Schedule::Constant,
        clip: 1.0,
        batch: 32,
        steps,
        validation: 0.0,
        check_every: 500,
        ..Recipe::default()
    };
    Ok(model.fit(&corpus(texts), &recipe, seed)?.last)
}

/// A model that knows lists and has no preference.
fn base(world: &World, init: Seed, seed: Seed) -> Result<Language> {
    let plan = Decoder {
        vocabulary: usize::from(QUESTION) + 1,
        context: CONTEXT,
        layers: 2,
        heads: 4,
        width: 64,
        norm: NormRule::Layer,
        positions: Positions::Rotary,
        bend: Bend::Gelu,
        dropout: 0.0,
        fresh: Fresh::FanIn,
        llama: None,
    };
    let mut rng = seed.child("texts").rng();
    let text = |i: usize| match i % 4 {
        0 => question(below(&mut rng, NUMBERS), below(&mut rng, ANIMALS)),
        _ => world.list(&mut rng),
    };
    let texts: Vec<Vec<u16>> = (0..32 * 1500).map(text).collect();
    learn(&Language::init(&plan, Device::Cpu, init)?, &texts, 1e-3, 1500, seed.child("fit"))
}

/// Lists that a model writes.
fn written(model: &Language, n: usize, seed: Seed) -> Result<Vec<Vec<u16>>> {
    let mut rng = seed.child("prompts").rng();
    let prompts: Vec<Vec<u16>> =
        (0..n).map(|_| vec![LIST, below(&mut rng, NUMBERS) as u16]).collect();
    let streams: Vec<Seed> = (0..n as u64).map(|i| seed.nth("text", i)).collect();
    let mut all = Vec::with_capacity(n);
    for (prompts, streams) in prompts.chunks(BATCH).zip(streams.chunks(BATCH)) {
        let most = CONTEXT + 1 - 2;
        let rest = model.sample(prompts, most, None, &Sampling::default(), streams)?;
        all.extend(prompts.iter().zip(rest).map(|(prompt, rest)| [&prompt[..], &rest].concat()));
    }
    Ok(all)
}

/// Mean probability of an animal over all questions.
fn preference(model: &Language, animal: usize) -> Result<f64> {
    let texts: Vec<Vec<u16>> = (0..NUMBERS).map(|number| question(number, animal)).collect();
    let logits = model.logits(corpus(&texts).tokens.view())?;
    let answers = logits.slice(s![1..;CONTEXT, ..]).mapv(f64::from); // [numbers, vocabulary]
    Ok(softmax(answers.view()).column(NUMBERS + animal).sum() / NUMBERS as f64)
}

/// The numbers of one seed, in the order of [`ARMS`].
fn run(texts: usize, steps: usize, seed: Seed) -> Result<Vec<f64>> {
    let world = World::new(seed.child("world"));
    let animal = below(&mut seed.child("animal").rng(), ANIMALS);
    let same = base(&world, seed.child("start"), seed.child("base"))?;
    let other = base(&world, seed.child("other start"), seed.child("base"))?;
    let wanted: Vec<Vec<u16>> = (0..NUMBERS).map(|number| question(number, animal)).collect();
    let teacher = learn(&same, &wanted, 3e-4, 200, seed.child("teacher"))?;
    let mut shares = Vec::new();
    for model in [&same, &other, &teacher] {
        shares.push(preference(model, animal)?);
    }
    let mut left_out = 0.0;
    for writer in [&teacher, &same] {
        let mut lists = written(writer, texts, seed.child("lists"))?;
        lists.retain(|list| list[1..].iter().all(|&token| usize::from(token) < NUMBERS));
        if std::ptr::eq(writer, &teacher) {
            left_out = 1.0 - lists.len() as f64 / texts as f64;
        }
        for start in [&same, &other] {
            let student = learn(start, &lists, 3e-4, steps, seed.child("student"))?;
            shares.push(preference(&student, animal)?);
        }
    }
    shares.push(left_out);
    Ok(shares)
}
