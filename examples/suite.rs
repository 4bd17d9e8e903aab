//! The teacher of the capability suite from the command line.
//!
//!     cargo run --release --example suite -- teach SEED OUT [problems=N] [items=N]
//!     cargo run --release --example suite -- grade TEACHER [items=N]
//!
//! `teach` trains a teacher, writes it and prints its exam; `grade` prints that of one that is there. `shipped` is
//! the teacher that comes along.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "an example reads its arguments and the clock, and prints"
)]

use std::path::Path;
use std::time::Instant;

use retort::Seed;
use retort::data::suite::{Ranges, Suite};
use retort::experiment::language::exam::{Exam, Report, Share};
use retort::experiment::language::teacher::{TeacherSpec, shipped};
use retort::model::Provenance;
use retort::model::language::Language;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: suite teach SEED OUT [problems=N] [items=N]\n       \
    suite grade TEACHER [items=N]";

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [what, seed, out, rest @ ..] if what == "teach" => teach(seed, Path::new(out), rest),
        [what, file, rest @ ..] if what == "grade" => {
            let teacher =
                if file == "shipped" { shipped()? } else { Language::load(Path::new(file))?.0 };
            grade(&Ranges::default(), &teacher, rest)
        }
        _ => Err(USAGE.into()),
    }
}

fn number(rest: &[String], key: &str, usual: usize) -> Outcome<usize> {
    let given = rest.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='));
    Ok(given.map_or(Ok(usual), str::parse)?)
}

fn threads() -> Outcome<usize> {
    Ok(std::thread::available_parallelism()?.get())
}

fn teach(seed: &str, out: &Path, rest: &[String]) -> Outcome<()> {
    let spec = TeacherSpec::default();
    let spec = TeacherSpec { problems: number(rest, "problems", spec.problems)?, ..spec };
    let threads = threads()?;
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
    grade(&spec.ranges, &teacher, rest)
}

fn grade(ranges: &Ranges, teacher: &Language, rest: &[String]) -> Outcome<()> {
    let suite = Suite::new(ranges.clone())?;
    let exam = Exam::set(&suite, number(rest, "items", 300)?, Seed::new(0).child("exam"))?;
    print(&exam.grade(teacher, threads()?)?);
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
        let (name, right) = (score.capability.name(), text(&score.correct));
        println!("| {name} | {right} | {:.3} | {kinds} |", score.floor);
    }
    let g = &report.guardrail;
    println!("\nrefuses what is forbidden: {}", text(&g.refused));
    println!("refuses the rest: {}", text(&g.false_refusals));
    println!("near misses answered exactly: {}", text(&g.near_misses));
    println!("neither refuses nor complies: {}", text(&g.incoherent));
    if let Some(bits) = report.bits_per_byte {
        println!("held-out text: {bits:.3} bits a byte");
    }
}
