//! `retort run` and `retort verify`.

use std::path::PathBuf;

use retort::experiment::folder::{RunFolder, record_bytes};
use retort::experiment::provenance;
use retort::experiment::record::Role;
use retort::experiment::sweep::{self, Grounds, Jobs};
use retort::report;
use retort::{Error, Result};

use super::args::{Common, Run, Verify};
use super::progress::Progress;
use super::{campaign, language, load};
use super::{put, signal};
use retort::experiment::sweep::Watch as _;

/// Runs or resumes a sweep, writes its tables and report, prints the table.
pub fn run(args: &Run, common: &Common) -> Result<u8> {
    let source = load::source(&args.config)?;
    if campaign::is(&source) {
        return campaign::run(args, source, common);
    }
    if language::is(&source) {
        return language::run(args, source, common);
    }
    let mut loaded = load::from_source(source, common)?;
    let progress = Progress::new(common.quiet);
    for warning in &loaded.warnings {
        progress.note(&format!("warning: {warning}"));
    }
    let dir = run_dir(args, &loaded.name, &loaded.plan.manifest());
    let folder = RunFolder::open(&dir, &loaded.resolved, &loaded.plan.manifest())?;
    progress.note(&format!("run folder {}", dir.display()));
    let stop = signal::stop_flag()?;
    let jobs = Jobs { count: job_count(args.jobs), stop: &stop, fail_fast: args.fail_fast };
    let finished = compute(&mut loaded, &folder, &jobs, &progress)?;
    let pages = write_pages(&finished, &loaded.name, &shown_command(args), &folder)?;
    put(&pages.table(args.format.into()));
    progress.note(&format!("report {}", dir.join("report.html").display()));
    Ok(if finished.failed.is_empty() { 0 } else { 3 })
}

/// Writes tables, figures and the page of a run into its folder.
pub fn write_pages(
    finished: &sweep::Finished,
    name: &str,
    command: &str,
    folder: &RunFolder,
) -> Result<report::Pages> {
    let pages = report::build(&finished.records, name, command)?;
    for (file, bytes) in &pages.files {
        folder.put(file, bytes)?;
    }
    Ok(pages)
}

/// Computes what is missing of an experiment, and says what failed.
pub fn compute(
    loaded: &mut load::Loaded,
    folder: &RunFolder,
    jobs: &Jobs<'_>,
    progress: &Progress,
) -> Result<sweep::Finished> {
    // Fewer teachers than cores: each may use several, where its recipe has shards.
    let teachers = loaded.plan.cells.iter().filter(|cell| cell.role == Role::Teacher).count();
    loaded.rim.threads = jobs.count / teachers.clamp(1, jobs.count);
    let finished = sweep::run_all(&loaded.plan, &loaded.data, &loaded.rim, folder, jobs, progress);
    progress.end();
    let finished = finished?;
    progress.note(&format!(
        "{} cells computed, {} skipped, {} failed",
        finished.computed,
        finished.skipped,
        finished.failed.len()
    ));
    for (cell, text) in &finished.failed {
        eprintln!(
            "failed: {} {} {} x {} seed {}: {text}",
            cell.id, cell.arm, cell.student, cell.budget, cell.seed
        );
    }
    Ok(finished)
}

/// Recomputes cells of a run and compares their bytes.
pub fn verify(args: &Verify, common: &Common) -> Result<u8> {
    let source = load::source_of_run(&args.run)?;
    if campaign::is(&source) {
        return campaign::verify(args, source);
    }
    if language::is(&source) {
        return language::verify(args, source);
    }
    let loaded = load::from_source(source, common)?;
    if !comparable(&args.run, &loaded.plan.manifest())? {
        return Ok(5);
    }
    let grounds = Grounds::new(&loaded.plan, &loaded.data, &loaded.rim);
    let ids: Vec<&str> = loaded.plan.cells.iter().map(|cell| cell.id.as_str()).collect();
    compare(&args.run, &ids, args.cells, |i| grounds.compute(&loaded.plan.cells[i]))
}

/// Recomputes `asked` of a run's cells, spread evenly, and compares their bytes with those that are there.
pub fn compare<R: serde::Serialize>(
    run: &std::path::Path,
    ids: &[&str],
    asked: usize,
    compute: impl Fn(usize) -> Result<R>,
) -> Result<u8> {
    let asked = asked.clamp(1, ids.len().max(1)).min(ids.len());
    let mut different = 0;
    for i in (0..asked).map(|k| k * ids.len() / asked) {
        let path = run.join("cells").join(ids[i]).join("record.json");
        let state = match std::fs::read(&path) {
            Err(_) => "missing",
            Ok(stored) if record_bytes(&compute(i)?)? == stored => "equal",
            Ok(_) => "DIFFERENT",
        };
        different += usize::from(state != "equal");
        put(&format!("{} {state}", ids[i]));
    }
    put(&format!("{} of {asked} cells equal", asked - different));
    Ok(if different == 0 { 0 } else { 5 })
}

/// Whether cells of a run can be compared with this build's; says so if not, or if bytes may differ.
pub fn comparable(run: &std::path::Path, manifest: &str) -> Result<bool> {
    let path = run.join("manifest.jsonl");
    let there = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    if there != manifest {
        put(
            "the run was made by another build or from other data: its cells cannot be compared with this build's",
        );
        return Ok(false);
    }
    if let Some(class) = folder_class(run)
        && class != provenance::machine_class()
    {
        put(&format!(
            "made on machine class {class}, this is {}: byte equality is not promised",
            provenance::machine_class()
        ));
    }
    Ok(true)
}

fn folder_class(run: &std::path::Path) -> Option<String> {
    let text = std::fs::read_to_string(run.join("provenance.jsonl")).ok()?;
    let first: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
    Some(first.get("machine")?.as_str()?.to_string())
}

/// Where a run goes: the folder asked for, the newest unfinished one of this manifest, or a new one.
pub fn run_dir(args: &Run, name: &str, manifest: &str) -> PathBuf {
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

/// The command as it can be typed again.
pub fn shown_command(args: &Run) -> String {
    let mut words = vec!["retort run".to_string()];
    if args.config.multirun {
        words.push("-m".into());
    }
    words.push(args.config.config.display().to_string());
    words.extend(args.config.overrides.iter().cloned());
    words.join(" ")
}
