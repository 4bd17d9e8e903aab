//! Our side of `benches/peers/compare.py`: exports a work's data and starting weights, then runs it.
//!
//!     peer ACTION WORK DIR [--steps N] [--seed S]
//!
//! `export` fills DIR; `train`, `infer`, `decode` and `knockoff` read it and print one line of JSON. So does
//! `causes`, which says what starting weights and repeated rows do to an extraction, `peak`, which reads
//! nothing and says what a core gives at best, and `gemm`, which says how much of it our products get.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark reads the clock and prints"
)]

mod array;
mod causes;
mod gemm;
mod gpt;
mod infer;
mod knockoff;
mod peak;
mod train;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

/// Whatever goes wrong is told to the caller in words.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What the command line asks for.
struct Request {
    action: String,
    work: String,
    dir: PathBuf,
    /// Optimiser steps, where a work's own number is not wanted.
    steps: Option<usize>,
    seed: u64,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|request| answer(&request)) {
        Ok(report) => {
            println!("{}", with_peak(report));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("peer: {why}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Outcome<Request> {
    const USAGE: &str = "usage: peer ACTION WORK DIR [--steps N] [--seed S]";
    let mut next = || args.next().ok_or(USAGE);
    let (action, work, dir) = (next()?, next()?, next()?.into());
    let mut request = Request { action, work, dir, steps: None, seed: 0 };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        match flag.as_str() {
            "--steps" => request.steps = Some(value.parse()?),
            "--seed" => request.seed = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(request)
}

fn answer(request: &Request) -> Outcome<Value> {
    let kind = request.work.split('-').next().unwrap_or_default();
    match (request.action.as_str(), kind) {
        ("export", "gpt" | "decode") => gpt::export(request),
        ("train", "gpt") => gpt::train(request),
        ("decode", _) => gpt::decode(request),
        ("export", "knockoff") => knockoff::export(request),
        ("export", _) => work::export(request),
        ("train", _) => train::train(request),
        ("infer", _) => infer::infer(request),
        ("knockoff", _) => knockoff::extract(request),
        ("causes", _) => causes::causes(request),
        ("peak", _) => peak::peak(),
        ("gemm", _) => gemm::gemm(),
        (other, _) => Err(format!("no action `{other}`").into()),
    }
}

/// Adds this process's own peak of memory, where the system tells it. What a parent learns from
/// `wait4` starts at the parent's own size, which is larger than ours.
fn with_peak(mut report: Value) -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    if let Some(kilobytes) = kilobytes {
        report["peak_mb"] = json!(kilobytes / 1024.0);
    }
    report
}
