//! A bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use retort::experiment::plan::Cell;
use retort::experiment::record::{Record, Role};
use retort::experiment::sweep::Watch;
use std::sync::Mutex;

/// Shows how a sweep goes, on stderr.
pub struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    total: AtomicUsize,
    done: AtomicUsize,
    last: Mutex<Instant>,
    started: Instant,
}

/// Off a terminal, one line at most this often.
const EVERY: Duration = Duration::from_secs(5);

impl Progress {
    /// A bar if stderr is a terminal, lines otherwise; only failures when quiet.
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template(
                "{bar:40} {pos}/{len} cells  {elapsed} (about {eta} left)  {wide_msg}",
            ) {
                bar.set_style(style);
            }
            bar
        });
        let now = started();
        Self { quiet, bar, total: 0.into(), done: 0.into(), last: Mutex::new(now), started: now }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// A cell ended, the `done`th of all, with the message of its failure.
    pub fn ended(&self, done: usize, what: &str, failure: Option<&str>, result: &str) {
        if let Some(failure) = failure {
            self.line(&format!("FAILED {what}: {failure}"));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(what.to_string());
            return;
        }
        let total = self.total.load(Ordering::Relaxed);
        let Ok(mut last) = self.last.lock() else { return };
        if !self.quiet && (since(*last) >= EVERY || done == total) {
            *last = started();
            let seconds = since(self.started).as_secs_f64();
            eprintln!("[{seconds:>4.0} s] {done}/{total} cells; last {what}{result}");
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "progress shows real time; no result does")]
fn started() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "progress shows real time; no result does")]
fn since(start: Instant) -> Duration {
    start.elapsed()
}

impl Watch for Progress {
    fn begin(&self, total: usize, done: usize) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
        if done > 0 {
            self.note(&format!("{done} of {total} cells are there already and are skipped"));
        } else {
            self.note(&format!("{total} cells to compute"));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }

    fn cell(&self, cell: &Cell, record: Option<&Record>, error: Option<&str>) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let agreement = record.and_then(|r| r.get("agreement"));
        let agreement = agreement.map(|a| format!(", agreement {a:.3}")).unwrap_or_default();
        let error = error.map(|e| format!("cell {}: {e}", cell.id));
        self.ended(done, &describe(cell), error.as_deref(), &agreement);
    }

    fn note(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }
}

/// What a cell is, in a few words.
pub fn describe(cell: &Cell) -> String {
    match cell.role {
        Role::Teacher => format!("teacher, seed {}", cell.seed),
        Role::Student => {
            format!("{} x {} x {}, seed {}", cell.arm, cell.student, cell.budget, cell.seed)
        }
        role => format!("{role:?} reference, seed {}", cell.seed).to_lowercase(),
    }
}
