//! Two published recipes of small language models, trained by ours: does the loss come out?
//!
//!     cargo run --release --example text_recipe -- shakespeare FILE SEED.. [steps=2000]
//!     cargo run --release --example text_recipe -- names FILE SEED.. [steps=N]
//!
//! `shakespeare` is the recipe that nanoGPT gives for a processor (its README, "I only have a macbook"), `names` the
//! default model of makemore. Prints the held-out loss in nats a symbol, a line for each seed and their mean.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "an example reads its arguments and the clock, and prints"
)]

use std::path::Path;
use std::time::Instant;

use ndarray::{Array2, Axis};
use retort::Seed;
use retort::metric::mean_ci;
use retort::model::language::{
    Bend, Corpus, Decoder, Fresh, Language, Learned, NormRule, Positions,
};
use retort::model::{Decay, Device, Optimizer, Recipe, Schedule};
use retort::seed::{below, permutation};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: text_recipe shakespeare FILE SEED.. [steps=2000]\n       \
    text_recipe names FILE SEED.. [steps=20000]";

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, file, rest @ ..] = &args[..] else { return Err(USAGE.into()) };
    let (steps, seeds): (Vec<_>, Vec<_>) = rest.iter().partition(|arg| arg.starts_with("steps="));
    let steps = steps.last().map(|arg| arg["steps=".len()..].parse()).transpose()?;
    let train: &dyn Fn(Seed) -> Outcome<Vec<(&'static str, f64)>> = match &what[..] {
        "shakespeare" => {
            let text = Shakespeare::read(Path::new(file))?;
            &move |seed| text.train(steps.unwrap_or(2_000), seed)
        }
        "names" => {
            let names = Names::read(Path::new(file))?;
            &move |seed| names.train(steps.unwrap_or(20_000), seed)
        }
        _ => return Err(USAGE.into()),
    };
    let mut columns: Vec<(&str, Vec<f64>)> = Vec::new();
    for seed in seeds {
        let started = Instant::now();
        let losses = train(Seed::new(seed.parse()?).child(what))?;
        if columns.is_empty() {
            columns = losses.iter().map(|&(name, _)| (name, Vec::new())).collect();
            let names: Vec<&str> = columns.iter().map(|&(name, _)| name).collect();
            println!("| seed | {} |\n|---|{}", names.join(" | "), "---:|".repeat(names.len()));
        }
        let cells: Vec<String> = losses.iter().map(|(_, loss)| format!("{loss:.4}")).collect();
        println!("| {seed} | {} |", cells.join(" | "));
        columns.iter_mut().zip(losses).for_each(|((_, all), (_, loss))| all.push(loss));
        eprintln!("seed {seed}: {:.0} s", started.elapsed().as_secs_f64());
    }
    for (name, losses) in columns {
        let estimate = mean_ci(&losses, 0.95);
        let (Some(low), Some(high)) = (estimate.low, estimate.high) else { continue };
        println!("\n{name}: {:.4} [{low:.4}, {high:.4}] over {} seeds", estimate.mean, estimate.n);
    }
    Ok(())
}

/// The part of a plan that both recipes share.
fn plan(vocabulary: usize, context: usize, width: usize) -> Decoder {
    Decoder {
        vocabulary,
        context,
        layers: 4,
        heads: 4,
        width,
        norm: NormRule::Layer,
        positions: Positions::Learnt,
        bend: Bend::Gelu,
        dropout: 0.0,
        fresh: Fresh::Gpt2,
        llama: None,
    }
}

fn fit(plan: &Decoder, corpus: &Corpus, recipe: &Recipe, seed: Seed) -> Outcome<Learned> {
    let fresh = Language::init(plan, Device::Cpu, seed.child("init"))?;
    Ok(fresh.fit(corpus, recipe, seed.child("fit"))?)
}

/// Mean of -log q(next) over the places that count, in nats a symbol.
fn loss(model: &Language, corpus: &Corpus) -> Outcome<f64> {
    let (mut nats, mut counted) = (0.0, 0_u32);
    for (text, next) in corpus.tokens.rows().into_iter().zip(corpus.next.rows()) {
        let logits = model.logits(text.insert_axis(Axis(0)))?;
        for (row, &target) in logits.rows().into_iter().zip(next) {
            let Ok(target) = usize::try_from(target) else { continue };
            let most = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let sum: f64 = row.iter().map(|&z| libm::exp(f64::from(z - most))).sum();
            nats += libm::log(sum) - f64::from(row[target] - most);
            counted += 1;
        }
    }
    Ok(nats / f64::from(counted.max(1)))
}

/// Numbers of the bytes that occur in a text, in the order of their values.
fn symbols(bytes: &[u8]) -> (Vec<u8>, usize) {
    let mut number = vec![0; 256];
    let mut count = 0;
    for byte in 0..=u8::MAX {
        if bytes.contains(&byte) {
            number[usize::from(byte)] = count;
            count += 1;
        }
    }
    (number, usize::from(count))
}

/// One long text, its last tenth held out.
struct Shakespeare {
    train: Vec<u8>,
    held: Vec<u8>,
    vocabulary: usize,
}

impl Shakespeare {
    const CONTEXT: usize = 64;
    const BATCH: usize = 12;

    fn read(file: &Path) -> Outcome<Self> {
        let bytes = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let (number, vocabulary) = symbols(&bytes);
        let mut train: Vec<u8> = bytes.iter().map(|&b| number[usize::from(b)]).collect();
        let held = train.split_off(train.len() * 9 / 10);
        if held.len() <= Self::CONTEXT {
            return Err(format!("{}: {} bytes are too few", file.display(), bytes.len()).into());
        }
        eprintln!("{} / {} characters, {vocabulary} symbols", train.len(), held.len());
        Ok(Self { train, held, vocabulary })
    }

    /// Windows of the text that start at these places.
    fn windows(text: &[u8], starts: &[usize]) -> Corpus {
        let size = (starts.len(), Self::CONTEXT);
        Corpus {
            tokens: Array2::from_shape_fn(size, |(i, at)| u16::from(text[starts[i] + at])),
            next: Array2::from_shape_fn(size, |(i, at)| i32::from(text[starts[i] + at + 1])),
        }
    }

    fn train(&self, steps: usize, seed: Seed) -> Outcome<Vec<(&'static str, f64)>> {
        let mut rng = seed.child("windows").rng();
        let starts = self.train.len() - Self::CONTEXT;
        let starts: Vec<usize> =
            (0..steps * Self::BATCH).map(|_| below(&mut rng, starts)).collect();
        let recipe = Recipe {
            optimizer: Optimizer::AdamW { lr: 1e-3, weight_decay: 0.1, betas: [0.9, 0.99] },
            decay: Decay::Matrices,
            schedule: Schedule::WarmCosine { steps: 100, floor: 0.1 },
            clip: 1.0,
            batch: Self::BATCH,
            steps,
            validation: 0.0,
            check_every: 500,
            ..Recipe::default()
        };
        let plan = plan(self.vocabulary, Self::CONTEXT, 128);
        let model = fit(&plan, &Self::windows(&self.train, &starts), &recipe, seed)?.last;
        // Side by side over all that is held out, so that each place counts once.
        let all = |text: &[u8]| -> Vec<usize> {
            (0..text.len() - Self::CONTEXT).step_by(Self::CONTEXT).collect()
        };
        let held = Self::windows(&self.held, &all(&self.held));
        let part = &self.train[..self.held.len()];
        let met = Self::windows(part, &all(part));
        Ok(vec![("train", loss(&model, &met)?), ("validation", loss(&model, &held)?)])
    }
}

/// Words, each with an end; symbol 0 stands before and after.
struct Names {
    words: Vec<Vec<u8>>,
    vocabulary: usize,
    context: usize,
}

impl Names {
    /// Names of the test, and as many to choose the weights by.
    const HELD: usize = 1_000;

    fn read(file: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let words: Vec<&str> = text.lines().map(str::trim).filter(|w| !w.is_empty()).collect();
        if words.len() < 4 * Self::HELD {
            return Err(format!("{}: {} names are too few", file.display(), words.len()).into());
        }
        let (number, letters) = symbols(words.concat().as_bytes());
        let coded = |word: &&str| word.bytes().map(|b| 1 + number[usize::from(b)]).collect();
        let words: Vec<Vec<u8>> = words.iter().map(coded).collect();
        let context = 1 + words.iter().map(Vec::len).max().unwrap_or(0);
        let (n, vocabulary) = (words.len(), letters + 1);
        eprintln!("{n} names, {vocabulary} symbols, at most {context} places");
        Ok(Self { words, vocabulary, context })
    }

    fn corpus(&self, which: &[usize]) -> Corpus {
        let mut tokens = Array2::zeros((which.len(), self.context));
        let mut next = Array2::from_elem((which.len(), self.context), -1);
        for (row, &word) in which.iter().enumerate() {
            let word = &self.words[word];
            for (at, &symbol) in word.iter().enumerate() {
                tokens[[row, at + 1]] = u16::from(symbol);
                next[[row, at]] = i32::from(symbol);
            }
            next[[row, word.len()]] = 0;
        }
        Corpus { tokens, next }
    }

    fn train(&self, steps: usize, seed: Seed) -> Outcome<Vec<(&'static str, f64)>> {
        let mut rest = permutation(&mut seed.child("split").rng(), self.words.len());
        let test = rest.split_off(rest.len() - Self::HELD);
        let recipe = Recipe {
            optimizer: Optimizer::AdamW { lr: 5e-4, weight_decay: 0.01, betas: [0.9, 0.99] },
            decay: Decay::All,
            schedule: Schedule::Constant,
            clip: 1.0,
            batch: 32,
            steps,
            validation: Self::HELD as f64 / rest.len() as f64,
            check_every: 500,
            ..Recipe::default()
        };
        let plan = plan(self.vocabulary, self.context, 64);
        let Learned { last, selected, .. } = fit(&plan, &self.corpus(&rest), &recipe, seed)?;
        let test = self.corpus(&test);
        let met = self.corpus(&rest[..Self::HELD]);
        Ok(vec![
            ("train", loss(&selected, &met)?),
            ("test", loss(&selected, &test)?),
            ("test, after the last step", loss(&last, &test)?),
        ])
    }
}
