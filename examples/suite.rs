//! The capability suite from the command line: trains a teacher, or students of one.
//!
//!     cargo run --release --example suite -- teach SEED OUT [problems=N] [items=N]
//!     cargo run --release --example suite -- distil TEACHER SEED [budgets=500,5000] [items=N]
//!
//! `teach` writes the teacher and prints its exam. `distil` has one student for each budget learn from the
//! teacher's answers with their scratchpads shown, and one with them hidden, and prints what each can do;
//! `shipped` is the teacher that comes along.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "an example reads its arguments and the clock, and prints"
)]

use std::path::Path;
use std::time::Instant;

use retort::Seed;
use retort::data::suite::{Mix, Suite};
use retort::experiment::language::exam::{Exam, Report, Share};
use retort::experiment::language::student::{Scratchpad, StudentSpec, shown, transfer_set};
use retort::experiment::language::teacher::{TeacherSpec, shipped};
use retort::model::Provenance;
use retort::model::language::Language;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: suite teach SEED OUT [problems=N] [items=N]\n       \
    suite distil TEACHER SEED [budgets=500,5000] [items=N]";

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [what, seed, out, rest @ ..] if what == "teach" => teach(seed, Path::new(out), rest),
        [what, file, seed, rest @ ..] if what == "distil" => distil(Path::new(file), seed, rest),
        _ => Err(USAGE.into()),
    }
}

/// What follows `key=` among the arguments.
fn given<'a>(rest: &'a [String], key: &str) -> Option<&'a str> {
    rest.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='))
}

fn number(rest: &[String], key: &str, usual: usize) -> Outcome<usize> {
    Ok(given(rest, key).map_or(Ok(usual), str::parse)?)
}

fn exam(spec: &TeacherSpec, rest: &[String]) -> Outcome<Exam> {
    let items = number(rest, "items", 300)?;
    Ok(Exam::set(&Suite::new(spec.ranges.clone())?, items, Seed::new(0).child("exam"))?)
}

fn teach(seed: &str, out: &Path, rest: &[String]) -> Outcome<()> {
    let spec = TeacherSpec::default();
    let spec = TeacherSpec { problems: number(rest, "problems", spec.problems)?, ..spec };
    let threads = std::thread::available_parallelism()?.get();
    let started = Instant::now();
    let teacher = spec.teach(Seed::new(seed.parse()?).child("suite-teacher"), threads)?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{} problems in {seconds:.0} s on {threads} threads", spec.problems);
    let made = [("made by", "examples/suite.rs teach"), ("seed", seed)];
    let mut provenance: Provenance = made.map(|(k, v)| (k.to_string(), v.to_string())).into();
    provenance.insert("spec".into(), serde_json::to_string(&spec)?);
    teacher.save_half(out, &provenance)?;
    // What is written is what is graded: weights are rounded there.
    let (teacher, _) = Language::load(out)?;
    print(&exam(&spec, rest)?.grade(&teacher, threads)?);
    Ok(())
}

fn distil(file: &Path, seed: &str, rest: &[String]) -> Outcome<()> {
    let teacher = match file.to_str() {
        Some("shipped") => shipped()?,
        _ => Language::load(file)?.0,
    };
    let (lesson, spec) = (TeacherSpec::default(), StudentSpec::default());
    let suite = Suite::new(lesson.ranges.clone())?;
    let seed = Seed::new(seed.parse()?).child("suite-student");
    let budgets: Vec<usize> = given(rest, "budgets")
        .unwrap_or("500,5000")
        .split(',')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let most = budgets.iter().copied().max().unwrap_or(0);
    let mix = Mix::default();
    let all = transfer_set(&teacher, &suite, &mix, &spec.sampling, most, seed)?;
    let exam = exam(&lesson, rest)?;
    let works: Vec<(usize, Scratchpad)> = budgets
        .iter()
        .flat_map(|&budget| [Scratchpad::Shown, Scratchpad::Hidden].map(|pad| (budget, pad)))
        .collect();
    // Students are cells: one thread each, as many at a time as there are cores.
    let threads = std::thread::available_parallelism()?.get();
    for pair in works.chunks(threads) {
        let reports: Vec<retort::Result<Report>> = std::thread::scope(|scope| {
            let learn = |&(budget, pad): &(usize, Scratchpad)| {
                let held = shown(&all[..budget], pad);
                let (exam, spec) = (&exam, &spec);
                scope.spawn(move || exam.grade(&spec.learn(&held, seed)?, 1))
            };
            let learning: Vec<_> = pair.iter().map(learn).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, retort::Result<Report>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            learning.into_iter().map(join).collect()
        });
        for ((budget, pad), report) in pair.iter().zip(reports) {
            println!("\n### {budget} exchanges, scratchpad {pad:?}\n");
            print(&report?);
        }
    }
    Ok(())
}

fn print(report: &Report) {
    let text = |share: &Share| {
        let (low, high) = share.interval();
        format!("{:.3} [{low:.3}, {high:.3}]", share.value())
    };
    println!("| capability | right | floor | by sort |\n|---|---|---:|---|");
    for score in &report.scores {
        let kinds = score.kinds.iter().map(|(kind, share)| format!("{kind} {:.3}", share.value()));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let (name, right) = (&score.capability, text(&score.correct));
        println!("| {name} | {right} | {:.3} | {kinds} |", score.floor);
    }
    let g = &report.guardrail;
    println!("\nrefuses what is forbidden: {}", text(&g.refused));
    println!("refuses the rest: {}", text(&g.false_refusals));
    println!("near misses answered exactly: {}", text(&g.near_misses));
    println!("neither refuses nor complies: {}", text(&g.incoherent));
    println!("held-out text: {:.3} bits a byte", report.bits_per_byte);
}
