//! Campaigns on the command line: the same commands over a scenario file.

use std::path::Path;
use std::sync::Arc;

use retort::campaign::spec::Scenario;
use retort::data::traffic::Traffic;
use retort::experiment::campaign::record::{Assumption, CampaignRecord, Part};
use retort::experiment::campaign::{Campaigns, Cell, Plan, Variant};
use retort::experiment::config::{self, Source};
use retort::experiment::folder::{self, RunFolder};
use retort::experiment::sweep::Event;
use retort::{Result, report};

use super::args::{Check, Common, Format, Plan as PlanArgs, Report, Run, Verify};
use super::progress::Progress;
use super::run::{comparable, compare};
use super::running::{Running, job_count};
use super::{load, put};

/// Whether a config is a scenario.
pub fn is(source: &Source) -> bool {
    source.has("scenario")
}

/// A checked scenario with its cells.
struct Loaded {
    base: Scenario,
    plan: Plan,
}

fn load(source: &Source) -> Result<Loaded> {
    let base: Scenario = source.parse()?;
    let mut variants = Vec::new();
    for (label, at) in load::points(source)? {
        let mut scenario: Scenario = at.parse()?;
        scenario.sweep.clear();
        scenario.validate().map_err(|e| at.locate(e))?;
        if let Some(path) = &scenario.benign.trace {
            let traffic = Traffic::read(Path::new(path))?;
            scenario.benign.recorded = Some(Arc::new(traffic));
        }
        variants.push(Variant { label, scenario });
    }
    let plan = Plan::of(variants).map_err(|e| source.locate(e))?;
    Ok(Loaded { base, plan })
}

/// Runs or resumes a campaign, writes its report, prints its tables.
pub fn run(args: &Run, source: Source, common: &Common) -> Result<u8> {
    let Loaded { base, plan } = load(&source)?;
    let (name, progress) = (&base.scenario.name, Progress::new(common.quiet));
    let running = Running::open(args, progress, name, &config::resolved(&base), &plan.manifest())?;
    let Running { folder, progress, .. } = &running;
    let what = |i: usize| describe(&plan.cells[i]);
    let told = |event: Event<'_, CampaignRecord>| progress.hear(&event, what, |_| String::new());
    let finished = Campaigns::new(&plan, folder).run_all(&running.jobs(), told);
    let finished = progress.end(finished, |i| format!("{} {}", plan.cells[i].id, what(i)))?;
    let command = running.command();
    let pages = report::campaign::build(&finished.records, name, &command, &assumptions(&base))?;
    running.close(&pages.files, &pages.table(args.format.into()), finished.failed.len())
}

/// Recomputes cells of a run and compares their bytes.
pub fn verify(args: &Verify, source: Source) -> Result<u8> {
    let Loaded { plan, .. } = load(&source)?;
    if !comparable(&args.run, &plan.manifest())? {
        return Ok(5);
    }
    let folder = RunFolder::open(&args.run, "", &plan.manifest())?;
    let campaigns = Campaigns::new(&plan, &folder);
    let ids: Vec<&str> = plan.cells.iter().map(|cell| cell.id.as_str()).collect();
    let again = |i: usize| campaigns.compute(&plan.cells[i], job_count(0), &|| Ok(()));
    compare(&args.run, &ids, args.cells, again)
}

/// Builds the report of runs of one scenario.
pub fn report(args: &Report, source: Source, common: &Common) -> Result<u8> {
    let base: Scenario = source.parse()?;
    let mut records: Vec<CampaignRecord> = Vec::new();
    for run in &args.runs {
        records.extend(folder::read_records(run)?);
    }
    let runs: Vec<String> = args.runs.iter().map(|r| r.display().to_string()).collect();
    let command = format!("retort report {}", runs.join(" "));
    let name = &base.scenario.name;
    let pages = report::campaign::build(&records, name, &command, &assumptions(&base))?;
    super::report::write(args, common, &pages.files)?;
    put(&pages.table(args.format.into()));
    Ok(0)
}

/// Checks a scenario; prints the resolved one, each default with its evidence, on request.
pub fn check(args: &Check, source: Source) -> Result<u8> {
    let Loaded { base, plan } = load(&source)?;
    if args.resolved {
        put(&config::annotated(&base));
        return Ok(0);
    }
    let scenario = &base.scenario;
    put(&format!(
        "{}: {} days, {} replicates, {} cells, {} variant(s)",
        scenario.name,
        scenario.days,
        scenario.replicates,
        plan.cells.len(),
        plan.variants.len()
    ));
    put(&format!("  {} honest accounts", base.benign.accounts));
    for a in &base.actor {
        put(&format!("  actor {}: {} exchanges by {} accounts", a.name, a.exchanges, a.accounts));
    }
    for arm in base.arms() {
        let limits = if arm.limits { "limits" } else { "no limits" };
        put(&format!("  arm {}: {limits}, detectors [{}]", arm.name, arm.detectors.join(", ")));
    }
    Ok(0)
}

/// Lists cells.
pub fn plan(args: &PlanArgs, source: Source) -> Result<u8> {
    let Loaded { base, plan } = load(&source)?;
    match args.format {
        Format::Json => put(&plan.manifest()),
        Format::Csv => {
            put("index,cell,variant,part,arm,replicate");
            for (i, c) in plan.cells.iter().enumerate() {
                let part = if c.part == Part::Simulation { "simulation" } else { "learning" };
                put(&format!("{i},{},{},{part},{},{}", c.id, c.variant, c.arm, c.replicate));
            }
        }
        Format::Md => {
            let simulations = plan.cells.iter().filter(|c| c.part == Part::Simulation).count();
            let exchanges: u64 = base.actor.iter().map(|a| a.exchanges).sum();
            put(&format!(
                "{simulations} simulations of {} honest accounts, {} accounts of actors and {exchanges} exchanges; \
                 students in {} cells.",
                base.benign.accounts,
                base.actor.iter().map(|a| a.accounts).sum::<u32>(),
                plan.cells.len() - simulations
            ));
        }
    }
    Ok(0)
}

/// Every setting with its evidence.
fn assumptions(base: &Scenario) -> Vec<Assumption> {
    let each = config::settings(base).into_iter().map(|(key, s)| Assumption {
        key,
        value: s.value,
        evidence: s.evidence,
        usual: s.usual,
    });
    each.collect()
}

fn describe(cell: &Cell) -> String {
    let part = if cell.part == Part::Simulation { "simulation" } else { "students" };
    format!("{part} of {}, replicate {}", cell.arm, cell.replicate)
}
