//! `retort reproduce`: published | ours | interval | verdict.

use std::path::{Path, PathBuf};

use retort::experiment::folder::{RunFolder, write_atomic, write_files};
use retort::experiment::sweep::Jobs;
use retort::report::reproduce::{Expected, Judged, Outcome, Rule, Verdict};
use retort::report::{self, reproduce};
use retort::{Error, Result};

use super::args::{Common, Reproduce};
use super::progress::Progress;
use super::run::compute;
use super::running::job_count;
use super::{load, put, signal};

/// Runs what `expected.toml` files compare, and judges it.
pub fn reproduce(args: &Reproduce, common: &Common) -> Result<u8> {
    let experiments = chosen(args)?;
    // What is wrong with one, or missing for it, is said before another is computed.
    for (_, dir, expected) in &experiments {
        for config in expected.configs() {
            load::from_source(load::source_of(&dir.join(config))?, common)?;
        }
    }
    let progress = Progress::new(common.quiet);
    let stop = signal::stop_flag()?;
    let jobs = Jobs { count: job_count(args.jobs), stop: &stop, fail_fast: false };
    let (mut outcomes, mut failed) = (Vec::new(), false);
    for (name, dir, expected) in &experiments {
        progress.note(&format!("{name}: {}", expected.paper));
        let mut rows: Vec<(usize, Judged)> = Vec::new();
        for config in expected.configs() {
            let path = dir.join(config);
            let mut loaded = load::from_source(load::source_of(&path)?, common)?;
            let stem = path.file_stem().unwrap_or_default();
            let out = args.out.join(name).join(stem);
            let folder = RunFolder::open(&out, &loaded.resolved, &loaded.plan.manifest())?;
            let finished = compute(&mut loaded, &folder, &jobs, &progress)?;
            failed |= !finished.failed.is_empty();
            let command = format!("retort reproduce {name}");
            let pages = report::build(&finished.records, &loaded.name, &command)?;
            write_files(&out, &pages.files)?;
            let own = expected.row.iter().enumerate().filter(|(_, row)| row.config == config);
            for (place, row) in own {
                rows.push((place, row.judge(&finished.records)?));
            }
        }
        rows.sort_by_key(|(place, _)| *place);
        let rows = rows.into_iter().map(|(_, judged)| judged).collect();
        outcomes.push(Outcome { name: name.clone(), paper: expected.paper.clone(), rows });
    }
    let table = reproduce::table(&outcomes, args.format.into());
    write_atomic(
        &args.out.join("table.md"),
        reproduce::table(&outcomes, Default::default()).as_bytes(),
    )?;
    put(&table);
    progress.note(&tally(&outcomes));
    let rows = outcomes.iter().flat_map(|outcome| &outcome.rows);
    let differs = rows.filter(|judged| judged.verdict == Verdict::Differs).count();
    Ok(if failed {
        3
    } else if differs > 0 {
        5
    } else {
        0
    })
}

/// `12 rows judged: 8 of 9 stochastic within tolerance, 3 of 3 exact; 1 open`
fn tally(outcomes: &[Outcome]) -> String {
    let count = |exact: bool, verdict: Option<Verdict>| {
        let rows = outcomes.iter().flat_map(|outcome| &outcome.rows);
        rows.filter(|j| j.verdict != Verdict::Open && (j.row.rule == Rule::Exact) == exact)
            .filter(|j| verdict.is_none_or(|v| j.verdict == v))
            .count()
    };
    let open = outcomes.iter().flat_map(|o| &o.rows).filter(|j| j.verdict == Verdict::Open).count();
    let within = Some(Verdict::Within);
    format!(
        "{} rows judged: {} of {} stochastic rows within, {} of {} exact rows; {open} open",
        count(false, None) + count(true, None),
        count(false, within),
        count(false, None),
        count(true, within),
        count(true, None),
    )
}

/// Name, folder and rows of the experiments asked for, in the order of their names.
fn chosen(args: &Reproduce) -> Result<Vec<(String, PathBuf, Expected)>> {
    let known = with_rows(&args.experiments)?;
    let mut out = Vec::new();
    for name in if args.all { &known } else { &args.names } {
        if !known.contains(name) {
            let nearest = retort::error::nearest(name, known.iter().map(String::as_str));
            let hint = nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            let expected = format!("one of {}{hint}", known.join(", "));
            return Err(Error::input("experiment", format!("`{name}`"), expected));
        }
        let dir = args.experiments.join(name);
        let file = dir.join("expected.toml");
        let source = load::source_of(&file)?;
        let expected: Expected = source.parse()?;
        expected.check().map_err(|e| source.locate(e))?;
        if expected.quick || !args.quick {
            out.push((name.clone(), dir, expected));
        }
    }
    Ok(out)
}

/// Folders that hold an `expected.toml`, in order.
fn with_rows(experiments: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(experiments).map_err(Error::io(experiments))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.join("expected.toml").is_file())
        .filter_map(|dir| Some(dir.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    if names.is_empty() {
        let what = format!("experiments in {}", experiments.display());
        return Err(Error::input(
            what,
            "none with an `expected.toml`",
            "the project's folder `experiments`, or --experiments",
        ));
    }
    Ok(names)
}
