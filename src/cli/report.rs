//! `retort report` and `retort status`.

use std::collections::BTreeMap;

use retort::experiment::folder;
use retort::experiment::provenance;
use retort::{Result, report};

use super::args::{Common, Report, Status};
use super::{campaign, language, load, put};

/// Builds the report of one or more runs and prints its table.
pub fn report(args: &Report, common: &Common) -> Result<u8> {
    if let Ok(source) = load::source_of_run(&args.runs[0]) {
        if campaign::is(&source) {
            return campaign::report(args, source, common);
        }
        if language::is(&source) {
            return language::report(args, common);
        }
    }
    let mut records: Vec<retort::experiment::record::Record> = Vec::new();
    for run in &args.runs {
        records.extend(folder::read_records(run)?);
    }
    let name = records.first().map(|r| r.name.clone()).unwrap_or_default();
    let runs: Vec<String> = args.runs.iter().map(|r| r.display().to_string()).collect();
    let pages = report::build(&records, &name, &format!("retort report {}", runs.join(" ")))?;
    write(args, common, &pages.files)?;
    put(&pages.table(args.format.into()));
    Ok(0)
}

/// Writes the files of a report where they are asked for.
pub fn write(args: &Report, common: &Common, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| args.runs[0].clone());
    folder::write_files(&out, files)?;
    if !common.quiet {
        eprintln!("report {}", out.join("report.html").display());
    }
    Ok(())
}

/// Says how far a run is.
pub fn status(args: &Status) -> Result<u8> {
    let cells = folder::read_manifest(&args.run)?;
    let done = cells
        .iter()
        .filter(|c| args.run.join("cells").join(c).join("record.json").exists())
        .count();
    let state = if done == cells.len() {
        "done"
    } else {
        "unfinished: the same `retort run` command resumes it"
    };
    put(&format!("{done} of {} cells, {state}", cells.len()));
    put(&format!("machine class here: {}", provenance::machine_class()));
    Ok(0)
}
