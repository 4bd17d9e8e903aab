//! `retort run` and `retort verify`.

use retort::experiment::folder::{RunFolder, record_bytes};
use retort::experiment::provenance;
use retort::experiment::record::{Record, Role};
use retort::experiment::sweep::{self, Computed, Event, Grounds, Jobs};
use retort::report;
use retort::{Error, Result};

use super::args::{Common, Run, Verify};
use super::progress::{Progress, describe};
use super::put;
use super::running::Running;
use super::{campaign, language, load};

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
    let manifest = loaded.plan.manifest();
    let running = Running::open(args, progress, &loaded.name, &loaded.resolved, &manifest)?;
    let finished = compute(&mut loaded, &running.folder, &running.jobs(), &running.progress)?;
    let pages = report::build(&finished.records, &loaded.name, &running.command())?;
    running.close(&pages.files, &pages.table(args.format.into()), finished.failed.len())
}

/// Computes what is missing of an experiment, and says what failed.
pub fn compute(
    loaded: &mut load::Loaded,
    folder: &RunFolder,
    jobs: &Jobs<'_>,
    progress: &Progress,
) -> Result<Computed<Record>> {
    // Fewer teachers than cores: each may use several, where its recipe has shards.
    let cells = &loaded.plan.cells;
    let teachers = cells.iter().filter(|cell| cell.role == Role::Teacher).count();
    loaded.rim.threads = jobs.count / teachers.clamp(1, jobs.count);
    let what = |i: usize| describe(&cells[i]);
    let short = |record: &Record| match record.get("agreement") {
        Some(agreement) => format!(", agreement {agreement:.3}"),
        None => String::new(),
    };
    let told = |event: Event<'_, Record>| progress.hear(&event, what, short);
    let finished = sweep::run_all(&loaded.plan, &loaded.data, &loaded.rim, folder, jobs, told);
    progress.end(finished, |i| format!("{} {}", cells[i].id, what(i)))
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
