//! One run, whatever it computes: its folder, what it says on its way, and how it ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use retort::Result;
use retort::experiment::folder::{RunFolder, write_files};
use retort::experiment::sweep::Jobs;
use retort::experiment::{provenance, sweep};

use super::args::Run;
use super::progress::Progress;
use super::{put, signal};

/// A run whose folder is open.
pub struct Running<'a> {
    args: &'a Run,
    stop: Arc<AtomicBool>,
    pub folder: RunFolder,
    pub progress: Progress,
}

impl<'a> Running<'a> {
    /// Opens the folder of the experiment `name` with this config and these cells.
    pub fn open(
        args: &'a Run,
        progress: Progress,
        name: &str,
        resolved: &str,
        manifest: &str,
    ) -> Result<Self> {
        let dir = run_dir(args, name, manifest);
        let folder = RunFolder::open(&dir, resolved, manifest)?;
        progress.note(&format!("run folder {}", dir.display()));
        Ok(Self { args, stop: signal::stop_flag()?, folder, progress })
    }

    /// As many at a time as were asked for.
    pub fn jobs(&self) -> Jobs<'_> {
        let Run { jobs, fail_fast, .. } = *self.args;
        Jobs { count: job_count(jobs), stop: &self.stop, fail_fast }
    }

    /// The command as it can be typed again.
    pub fn command(&self) -> String {
        let config = &self.args.config;
        let mut words = vec!["retort run".to_string()];
        if config.multirun {
            words.push("-m".into());
        }
        words.push(config.config.display().to_string());
        words.extend(config.overrides.iter().cloned());
        words.join(" ")
    }

    /// Writes the files of its report and prints its table; gives the exit code.
    pub fn close(
        &self,
        files: &BTreeMap<String, Vec<u8>>,
        table: &str,
        failed: usize,
    ) -> Result<u8> {
        write_files(self.folder.path(), files)?;
        put(table);
        let page = self.folder.path().join("report.html");
        self.progress.note(&format!("report {}", page.display()));
        Ok(if failed == 0 { 0 } else { 3 })
    }
}

/// Where a run goes: the folder asked for, the newest unfinished one of this manifest, or a new one.
fn run_dir(args: &Run, name: &str, manifest: &str) -> PathBuf {
    if let Some(dir) = &args.out {
        return dir.clone();
    }
    let root = PathBuf::from("runs").join(name);
    if !args.new
        && let Some(dir) = sweep::unfinished(&root, manifest)
    {
        return dir;
    }
    let (day, time) = provenance::stamp();
    let dir = root.join(day).join(time);
    let mut free = dir.clone();
    let mut n = 1;
    while free.join("manifest.jsonl").exists() {
        n += 1;
        free = dir.with_file_name(format!(
            "{}-{n}",
            dir.file_name().unwrap_or_default().to_string_lossy()
        ));
    }
    free
}

/// Cells at a time: what was asked, or one a core.
pub fn job_count(asked: usize) -> usize {
    if asked > 0 {
        asked
    } else {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }
}
