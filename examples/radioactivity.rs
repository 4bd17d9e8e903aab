//! Does a watermark show in a student of text that carries it? (`experiments/29_radioactivity`)
//!
//!     cargo run --release --example radioactivity -- SEED.. [texts=8000] [steps=1000] [tested=2000] [context=2] [keys=200]
//!
//! The teacher is the one that comes along; students learn to go on with texts, of which a share is marked. The open
//! test looks at the student's most likely byte along marked texts that it has not met, the closed one at what it
//! writes itself. Innocence is looked at with other keys, on what students of clean text write.

#![allow(clippy::disallowed_macros, reason = "an example prints")]

use retort::campaign::detect::ks;
use retort::data::suite::{Capability, Mix, Ranges, Suite};
use retort::defense::text::watermark::{GreenList, Params};
use retort::defense::text::{TextBatch, TextDefenseSpec, TextStack};
use retort::experiment::language::radioactivity::{Detector, Written};
use retort::experiment::language::spec::{Size, Training};
use retort::experiment::language::{CONTEXT, lesson, student, teacher};
use retort::metric::Green;
use retort::model::language::{Language, Sampling};
use retort::oracle::AccountId;
use retort::{Result, Seed};

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Percent of a student's texts that are marked.
const SHARES: [usize; 6] = [0, 1, 5, 10, 50, 100];
/// Texts that the teacher writes together.
const BATCH: usize = 64;
/// Different bytes.
const VOCABULARY: usize = 256;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |key: &str, usual: usize| -> Outcome<usize> {
        let given = args.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='));
        Ok(given.map_or(Ok(usual), str::parse)?)
    };
    let (texts, steps) = (number("texts", 8_000)?, number("steps", 1_000)?);
    let (tested, keys) = (number("tested", 2_000)?, number("keys", 200)?);
    let mark = Params { context: number("context", 2)?, ..Params::default() };
    println!("| seed | marked, % | open: green | of | log10 p | closed: green | of | log10 p |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let mut innocent = Vec::new();
    let mut shares: Vec<Vec<[f64; 2]>> = vec![Vec::new(); SHARES.len()];
    for seed in args.iter().filter(|arg| !arg.contains('=')) {
        let root = Seed::new(seed.parse()?).child("radioactivity");
        let world = World::new(texts, tested, &mark, &root)?;
        for (percent, found) in SHARES.iter().zip(&mut shares) {
            let student = world.student(texts * percent / 100, steps, &root)?;
            let own = world.writes(&student, &root)?;
            let detector = world.detector(&world.green);
            let scores = [detector.open(&student, &world.tested)?, detector.texts(&own)];
            let cells =
                scores.map(|s| format!("{:.4} | {} | {:.1}", share(&s), s.scored, s.p.log10));
            println!("| {seed} | {percent} | {} |", cells.join(" | "));
            found.push(scores.map(|s| share(&s)));
            if *percent == 0 {
                for key in 0..keys as u64 {
                    let other = *mark.build(root.nth("other key", key))?.green();
                    innocent.push(world.detector(&other).texts(&own).p.p);
                }
            }
        }
    }
    println!("\n| marked, % | open: green share | closed: green share |\n|---:|---|---|");
    for (percent, found) in SHARES.iter().zip(&shares) {
        let cell = |which: usize| {
            let values: Vec<f64> = found.iter().map(|s| s[which]).collect();
            let e = retort::metric::mean_ci(&values, 0.95);
            match (e.low, e.high) {
                (Some(low), Some(high)) => format!("{:.4} [{low:.4}, {high:.4}]", e.mean),
                _ => format!("{:.4}", e.mean),
            }
        };
        println!("| {percent} | {} | {} |", cell(0), cell(1));
    }
    if let Some((distance, p)) = ks::uniform(&innocent) {
        println!(
            "\n{} keys that marked nothing, students of clean text: Kolmogorov-Smirnov distance of p to \
             uniform {distance:.3}, p {p:.3}",
            innocent.len()
        );
    }
    Ok(())
}

fn share(score: &Green) -> f64 {
    score.green as f64 / score.scored.max(1) as f64
}

/// One seed: a key, texts with and without its mark, and texts for the test.
struct World {
    green: GreenList,
    marked: Vec<Written>,
    clean: Vec<Written>,
    /// Marked texts that no student meets.
    tested: Vec<Written>,
}

impl World {
    fn new(texts: usize, tested: usize, mark: &Params, root: &Seed) -> Outcome<Self> {
        let teacher = teacher::shipped()?;
        let suite = Suite::new(Ranges::default())?;
        let mix = Mix::new(Capability::ALL.map(|c| u32::from(c == Capability::Text)))?;
        let problems = lesson::problems(&suite, &mix, texts + tested, root.child("prompts"));
        let prompts: Vec<Vec<u8>> = problems.into_iter().map(|p| p.prompt).collect();
        let mark = [TextDefenseSpec::Watermark(mark.clone())];
        let key = root.child("key");
        let mut stack = TextStack::build(&mark, key, None)?;
        let green = *stack.green().ok_or("a stack with a watermark")?;
        let mut marked = written(&teacher, &mut stack, &prompts, root.child("marked"))?;
        let tested = marked.split_off(texts);
        let mut none = TextStack::default();
        let clean = written(&teacher, &mut none, &prompts[..texts], root.child("clean"))?;
        Ok(Self { green, marked, clean, tested })
    }

    /// A student of so many marked texts, and of clean ones for the others.
    fn student(&self, marked: usize, steps: usize, root: &Seed) -> Result<Language> {
        let held = self.marked[..marked].iter().chain(&self.clean[marked..]);
        let bytes = |tokens: &[u16]| tokens.iter().map(|&t| t as u8).collect::<Vec<u8>>();
        let pairs: Vec<_> = held.map(|w| (bytes(&w.prompt), bytes(&w.new))).collect();
        let training = Training { steps, ..Training::default() };
        student::learn(Size::default(), &training, &pairs, root.child("student"))
    }

    fn detector<'a>(&self, green: &'a GreenList) -> Detector<'a> {
        Detector { green, vocabulary: VOCABULARY, known: None }
    }

    /// What a suspect writes after prompts that no student met.
    fn writes(&self, suspect: &Language, root: &Seed) -> Outcome<Vec<Written>> {
        let prompts: Vec<Vec<u8>> =
            self.tested.iter().map(|w| w.prompt.iter().map(|&t| t as u8).collect()).collect();
        Ok(written(suspect, &mut TextStack::default(), &prompts, root.child("closed"))?)
    }
}

/// What the teacher writes behind a stack.
fn written(
    teacher: &Language,
    stack: &mut TextStack,
    prompts: &[Vec<u8>],
    seed: Seed,
) -> Result<Vec<Written>> {
    let mut all = Vec::with_capacity(prompts.len());
    for prompts in prompts.chunks(BATCH) {
        let first = all.len() as u64;
        let streams: Vec<Seed> =
            (first..).take(prompts.len()).map(|i| seed.nth("answer", i)).collect();
        let batch = TextBatch {
            accounts: &vec![AccountId(0); prompts.len()],
            prompts,
            streams: &streams,
            sampling: Sampling::default(),
            most: CONTEXT,
            reveal: None,
        };
        for (prompt, answer) in prompts.iter().zip(stack.answer(teacher, &batch)?) {
            let prompt = prompt.iter().map(|&byte| u16::from(byte)).collect();
            all.push(Written { prompt, new: answer.tokens });
        }
    }
    Ok(all)
}
