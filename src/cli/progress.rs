//! A bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use retort::Result;
use retort::experiment::plan::Cell;
use retort::experiment::record::Role;
use retort::experiment::sweep::{Computed, Event};

/// Shows how a sweep goes, on stderr.
pub struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    total: AtomicUsize,
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
        Self { quiet, bar, total: 0.into(), last: Mutex::new(now), started: now }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// A line for people, but not for quiet ones.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// Shows what happens in a run; `what` names the cell at a place of its plan, `short` says what came out of one.
    pub fn hear<R>(
        &self,
        event: &Event<'_, R>,
        what: impl Fn(usize) -> String,
        short: impl Fn(&R) -> String,
    ) {
        match *event {
            Event::Begins { total, there } => self.begin(total, there),
            Event::Ends { done, cell, result } => {
                let what = what(cell);
                if let Err(failure) = result {
                    self.line(&format!("FAILED {what}: {failure}"));
                }
                self.ended(done, &what, &result.map(short).unwrap_or_default());
            }
        }
    }

    fn begin(&self, total: usize, there: usize) {
        self.total.store(total, Ordering::Relaxed);
        if there > 0 {
            self.note(&format!("{there} of {total} cells are there already and are skipped"));
        } else {
            self.note(&format!("{total} cells to compute"));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(there as u64);
        }
    }

    /// A cell ended, the `done`th of all.
    fn ended(&self, done: usize, what: &str, result: &str) {
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

    /// Takes the bar away, and says what a run ended with; `what` names the cell at a place of its plan.
    pub fn end<R>(
        &self,
        finished: Result<Computed<R>>,
        what: impl Fn(usize) -> String,
    ) -> Result<Computed<R>> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let finished = finished?;
        let Computed { computed, skipped, failed, .. } = &finished;
        let lost = failed.len();
        self.note(&format!("{computed} cells computed, {skipped} skipped, {lost} failed"));
        for (cell, text) in failed {
            self.line(&format!("failed: {}: {text}", what(*cell)));
        }
        Ok(finished)
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
