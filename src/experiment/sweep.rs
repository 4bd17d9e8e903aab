//! Many cells: the run folder, worker threads, resume. Writes files; prints nothing.
//!
//! A finished cell is one `record.json`, and its rename is the commit: kill -9 loses at most the cells
//! in flight. The same command again skips what is there.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::folder::RunFolder;
use super::plan::{self, Cell, Plan};
use super::record::{Record, Role};
use super::rows::Rows;
use super::world::{Ground, Rim};
use super::{provenance, run};
use crate::error::{Error, Result};

/// How a sweep is run.
pub struct Jobs<'a> {
    /// Worker threads.
    pub count: usize,
    /// Set from outside to stop after the cells in flight.
    pub stop: &'a AtomicBool,
    /// Stop at the first failed cell.
    pub fail_fast: bool,
}

/// Grounds of a plan, laid on first use and shared by all cells of a (variant, seed).
pub struct Grounds<'a> {
    plan: &'a Plan,
    data: &'a [Rows],
    rim: &'a Rim,
    laid: BTreeMap<(usize, u64), OnceLock<std::result::Result<Ground, String>>>,
    typed: Mutex<BTreeMap<(usize, u64), Error>>,
}

impl<'a> Grounds<'a> {
    /// Nothing is laid yet.
    pub fn new(plan: &'a Plan, data: &'a [Rows], rim: &'a Rim) -> Self {
        let laid = plan.cells.iter().map(|c| ((c.variant, c.seed), OnceLock::new())).collect();
        Self { plan, data, rim, laid, typed: Mutex::default() }
    }

    /// Data, splits, teacher and truth of a cell.
    pub fn of(&self, cell: &Cell) -> Result<&Ground> {
        let key = (cell.variant, cell.seed);
        let slot =
            self.laid.get(&key).ok_or_else(|| Error::Internal("a cell outside the plan".into()))?;
        let ground = slot.get_or_init(|| {
            let spec = &self.plan.variants[cell.variant].spec;
            let data = &self.data[cell.variant];
            let teacher = plan::teacher_key(spec, &data.set.hash, cell.seed);
            Ground::lay(spec, data, cell.seed, &teacher, self.rim).map_err(|e| {
                let text = e.to_string();
                if let Ok(mut typed) = self.typed.lock() {
                    typed.insert(key, e);
                }
                text
            })
        });
        ground.as_ref().map_err(|text| {
            let first = self.typed.lock().ok().and_then(|mut t| t.remove(&key));
            first.unwrap_or_else(|| Error::Internal(text.clone()))
        })
    }

    /// Computes one cell, with panics caught.
    pub fn compute(&self, cell: &Cell) -> Result<Record> {
        let variant = &self.plan.variants[cell.variant];
        let data = &self.data[cell.variant];
        let work =
            || run::run(cell, &variant.label, &variant.spec, &data.set, self.of(cell)?, self.rim);
        caught(&cell.id, work)
    }
}

/// What the missing cells of a folder ended with.
pub struct Computed<R> {
    /// Records of finished cells, in plan order.
    pub records: Vec<R>,
    /// Places of cells that failed, with their message, in plan order.
    pub failed: Vec<(usize, String)>,
    /// Cells computed now.
    pub computed: usize,
    /// Cells that were there before.
    pub skipped: usize,
}

/// What happens, for whoever shows progress.
pub enum Event<'a, R> {
    /// So many cells in all, of which some are there already.
    Begins { total: usize, there: usize },
    /// A cell ended.
    Ends {
        /// How many have ended by now.
        done: usize,
        /// Its place in the plan.
        cell: usize,
        /// What it left, or why it failed.
        result: std::result::Result<&'a R, &'a str>,
    },
}

/// Computes those of the cells called `ids` that `folder` lacks. `queues` cuts their places into queues, one
/// after another; `compute` gets a place and the number of cells in its queue.
pub fn run_missing<R: Serialize + DeserializeOwned + Send>(
    ids: &[&str],
    folder: &RunFolder,
    jobs: &Jobs<'_>,
    queues: impl FnOnce(Vec<usize>) -> Vec<Vec<usize>>,
    compute: impl Fn(usize, usize) -> Result<R> + Sync,
    mut told: impl FnMut(Event<'_, R>),
) -> Result<Computed<R>> {
    let mut records: BTreeMap<usize, R> = BTreeMap::new();
    for (i, id) in ids.iter().enumerate() {
        records.extend(folder.read(id).map(|record| (i, record)));
    }
    let skipped = records.len();
    told(Event::Begins { total: ids.len(), there: skipped });
    let missing = (0..ids.len()).filter(|i| !records.contains_key(i)).collect();
    let mut failed = BTreeMap::new();
    for queue in queues(missing) {
        let work = |i: usize| {
            let started = provenance::now();
            let record = caught(ids[i], || compute(i, queue.len()))?;
            folder.write(ids[i], &record, provenance::seconds_since(started))?;
            Ok(record)
        };
        in_parallel(&queue, jobs, &work, |cell, result| {
            let done = records.len() + failed.len() + 1;
            told(Event::Ends { done, cell, result: result.as_ref().map_err(String::as_str) });
            match result {
                Ok(record) => drop(records.insert(cell, record)),
                Err(text) => drop(failed.insert(cell, text)),
            }
        })?;
    }
    if jobs.stop.load(Ordering::SeqCst) && records.len() + failed.len() < ids.len() {
        return Err(Error::Interrupted);
    }
    let computed = records.len() - skipped;
    let (records, failed) = (records.into_values().collect(), failed.into_iter().collect());
    Ok(Computed { records, failed, computed, skipped })
}

/// Teachers before all others: every other cell needs one, and two threads must not train the same.
pub fn teachers_first(cells: &[Cell], missing: Vec<usize>) -> Vec<Vec<usize>> {
    let (teachers, rest) = missing.into_iter().partition(|&i| cells[i].role == Role::Teacher);
    vec![teachers, rest]
}

/// Runs what is missing of `plan` into `folder`.
pub fn run_all(
    plan: &Plan,
    data: &[Rows],
    rim: &Rim,
    folder: &RunFolder,
    jobs: &Jobs<'_>,
    told: impl FnMut(Event<'_, Record>),
) -> Result<Computed<Record>> {
    let ids: Vec<&str> = plan.cells.iter().map(|cell| cell.id.as_str()).collect();
    let grounds = Grounds::new(plan, data, rim);
    let queues = |missing| teachers_first(&plan.cells, missing);
    let compute = |i: usize, _| grounds.compute(&plan.cells[i]);
    run_missing(&ids, folder, jobs, queues, compute, told)
}

/// Computes every item of a queue on worker threads and hands each end, in whatever order, to `done`.
pub fn in_parallel<R: Send>(
    queue: &[usize],
    jobs: &Jobs<'_>,
    compute: &(impl Fn(usize) -> Result<R> + Sync),
    mut done: impl FnMut(usize, std::result::Result<R, String>),
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let abort = AtomicBool::new(false);
    let (send, receive) = mpsc::channel::<(usize, Result<R>)>();
    std::thread::scope(|scope| {
        for _ in 0..jobs.count.clamp(1, queue.len().max(1)) {
            let send = send.clone();
            let (next, abort) = (&next, &abort);
            scope.spawn(move || {
                while !abort.load(Ordering::SeqCst) && !jobs.stop.load(Ordering::SeqCst) {
                    let Some(&i) = queue.get(next.fetch_add(1, Ordering::SeqCst)) else { break };
                    if send.send((i, compute(i))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        for (i, result) in receive {
            match result {
                Ok(record) => done(i, Ok(record)),
                // Wrong input is wrong for every cell: stop at once, nothing to retry.
                Err(error) if error.exit_code() == 2 => {
                    abort.store(true, Ordering::SeqCst);
                    return Err(error);
                }
                // A cell in flight that was asked to stop is not a failure: it is missing.
                Err(Error::Interrupted) => {}
                Err(error) => {
                    done(i, Err(error.to_string()));
                    if jobs.fail_fast {
                        abort.store(true, Ordering::SeqCst);
                    }
                }
            }
        }
        Ok(())
    })
}

/// Runs `work` with panics caught.
pub fn caught<R>(cell: &str, work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a message");
        Err(Error::Internal(format!("cell {cell} panicked: {text}")))
    })
}

/// The newest unfinished run under `runs/<name>` with this manifest, if any.
pub fn unfinished(root: &Path, manifest: &str) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for day in std::fs::read_dir(root).ok()?.flatten() {
        for time in std::fs::read_dir(day.path()).into_iter().flatten().flatten() {
            found.push(time.path());
        }
    }
    found.sort();
    found.into_iter().rev().find(|dir| {
        !dir.join("records.csv").exists()
            && std::fs::read_to_string(dir.join("manifest.jsonl")).is_ok_and(|m| m == manifest)
    })
}
