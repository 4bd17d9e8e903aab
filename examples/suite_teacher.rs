//! Trains a teacher of the capability suite, examines it, and writes it to a file.
//!
//!     cargo run --release --example suite_teacher -- SEED OUT [problems=N] [items=N]

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "an example reads its arguments and the clock, and prints"
)]

use std::path::Path;
use std::time::Instant;

use retort::Seed;
use retort::data::suite::Suite;
use retort::experiment::language::exam::{Exam, Report, Share};
use retort::experiment::language::teacher::TeacherSpec;
use retort::model::Provenance;
use retort::model::language::Language;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [seed, out, rest @ ..] = &args[..] else {
        return Err("usage: suite_teacher SEED OUT [problems=N] [items=N]".into());
    };
    let seed = Seed::new(seed.parse()?);
    let number = |key: &str, usual: usize| -> Result<usize, std::num::ParseIntError> {
        let given = rest.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='));
        given.map_or(Ok(usual), str::parse)
    };
    let spec = TeacherSpec::default();
    let spec = TeacherSpec { problems: number("problems", spec.problems)?, ..spec };
    let items = number("items", 300)?;
    let threads = std::thread::available_parallelism()?.get();
    let started = Instant::now();
    let teacher = spec.teach(seed.child("suite-teacher"), threads)?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{} problems in {seconds:.0} s on {threads} threads", spec.problems);
    let made = [("made by", "examples/suite_teacher.rs"), ("seed", &args[0])];
    let mut provenance: Provenance = made.map(|(k, v)| (k.to_string(), v.to_string())).into();
    provenance.insert("spec".into(), serde_json::to_string(&spec)?);
    teacher.save_half(Path::new(out), &provenance)?;
    // What is written is what is graded: weights are rounded there.
    let (teacher, _) = Language::load(Path::new(out))?;
    let exam = Exam::set(&Suite::new(spec.ranges.clone())?, items, Seed::new(0).child("exam"))?;
    print(&exam.grade(&teacher, threads)?);
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
