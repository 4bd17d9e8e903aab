//! Language experiments on the command line: the same commands over their configs.

use std::collections::BTreeMap;

use retort::experiment::config::{self, Source};
use retort::experiment::folder;
use retort::experiment::language::plan::{Plan, Variant};
use retort::experiment::language::record::LanguageRecord;
use retort::experiment::language::spec::LanguageSpec;
use retort::experiment::language::{Languages, files};
use retort::experiment::plan::Cell;
use retort::experiment::record::Role;
use retort::experiment::sweep::Event;
use retort::model::Cache;
use retort::{Result, report};

use super::args::{Check, Common, Format, Plan as PlanArgs, Report, Run, Verify};
use super::check::listed;
use super::estimate;
use super::progress::{Progress, describe};
use super::run::{comparable, compare};
use super::running::{Running, job_count};
use super::{load, put};

/// Whether a config is a language experiment.
pub fn is(source: &Source) -> bool {
    source.has("kind")
}

/// A checked experiment with its cells.
struct Loaded {
    base: LanguageSpec,
    plan: Plan,
}

fn load(source: &Source) -> Result<Loaded> {
    let base: LanguageSpec = source.parse()?;
    let (mut variants, mut outside) = (Vec::new(), Vec::new());
    for (label, at) in load::points(source)? {
        let mut spec: LanguageSpec = at.parse()?;
        spec.sweep.clear();
        spec.validate().map_err(|e| at.locate(e))?;
        outside.push(files::outside(&spec).map_err(|e| at.locate(e))?);
        variants.push(Variant { label, spec });
    }
    let plan = Plan::of(variants, &outside).map_err(|e| source.locate(e))?;
    Ok(Loaded { base, plan })
}

fn cache(progress: Option<&Progress>) -> Cache {
    let (cache, warning) =
        Cache::open(Cache::usual_dir(), std::env::temp_dir().join("retort-cache"));
    if let (Some(progress), Some(warning)) = (progress, warning) {
        progress.note(&format!("warning: {warning}"));
    }
    cache
}

/// Runs or resumes an experiment, writes its report, prints its tables.
pub fn run(args: &Run, source: Source, common: &Common) -> Result<u8> {
    let Loaded { base, plan } = load(&source)?;
    let progress = Progress::new(common.quiet);
    let cache = cache(Some(&progress));
    let resolved = config::resolved(&base);
    let running = Running::open(args, progress, &base.name, &resolved, &plan.manifest())?;
    let Running { folder, progress, .. } = &running;
    let what = |i: usize| describe(&plan.cells[i]);
    let told = |event: Event<'_, LanguageRecord>| progress.hear(&event, what, |_| String::new());
    let finished = Languages::new(&plan, &cache).run_all(folder, &running.jobs(), told);
    let finished = progress.end(finished, |i| format!("{} {}", plan.cells[i].id, what(i)))?;
    let pages = report::language::build(&finished.records, &base.name, &running.command())?;
    running.close(&pages.files, &pages.table(args.format.into()), finished.failed.len())
}

/// Recomputes cells of a run and compares their bytes.
pub fn verify(args: &Verify, source: Source) -> Result<u8> {
    let Loaded { plan, .. } = load(&source)?;
    if !comparable(&args.run, &plan.manifest())? {
        return Ok(5);
    }
    let cache = cache(None);
    let languages = Languages::new(&plan, &cache);
    let ids: Vec<&str> = plan.cells.iter().map(|cell| cell.id.as_str()).collect();
    let again = |i: usize| languages.compute(&plan.cells[i], job_count(0));
    compare(&args.run, &ids, args.cells, again)
}

/// Builds the report of runs.
pub fn report(args: &Report, common: &Common) -> Result<u8> {
    let mut records: Vec<LanguageRecord> = Vec::new();
    for run in &args.runs {
        records.extend(folder::read_records(run)?);
    }
    let name = records.first().map(|r| r.name.clone()).unwrap_or_default();
    let runs: Vec<String> = args.runs.iter().map(|r| r.display().to_string()).collect();
    let command = format!("retort report {}", runs.join(" "));
    let pages = report::language::build(&records, &name, &command)?;
    super::report::write(args, common, &pages.files)?;
    put(&pages.table(args.format.into()));
    Ok(0)
}

/// Checks a config; prints the resolved one on request.
pub fn check(args: &Check, source: Source) -> Result<u8> {
    let Loaded { base, plan } = load(&source)?;
    if args.resolved {
        put(&config::resolved(&base));
        return Ok(0);
    }
    let variants = plan.variants.len();
    put(&format!("{}: {} cells, {variants} variant(s)", base.name, plan.cells.len()));
    for arm in base.arms() {
        put(&format!("  arm {}", arm.name));
        for layer in &arm.stack {
            let hook = format!("{:?}", layer.hook()).to_lowercase();
            let changes = layer.changes();
            put(&format!(
                "    {hook} layer {}: changes tokens {}, results {}, log-probabilities {}; stateful {}",
                layer.label(),
                changes.tokens,
                changes.results,
                changes.logprobs,
                changes.stateful
            ));
        }
    }
    for student in &base.student {
        put(&format!("  student {}", student.name));
    }
    Ok(0)
}

/// Lists cells.
pub fn plan(args: &PlanArgs, source: Source) -> Result<u8> {
    let Loaded { plan, .. } = load(&source)?;
    match args.format {
        Format::Json => put(&plan.manifest()),
        Format::Csv => put(&listed(&plan.cells)),
        Format::Md => put(&summary(&plan)?),
    }
    Ok(0)
}

/// Steps of a cell's training.
fn steps(spec: &LanguageSpec, cell: &Cell) -> usize {
    match cell.role {
        Role::Teacher | Role::Untrained => 0,
        _ => spec.training.steps,
    }
}

/// Seconds of one core that all trainings take, of students that are not models from disk.
fn seconds(plan: &Plan) -> Result<f64> {
    let (mut seconds, mut tried) = (0.0, Vec::new());
    for (i, variant) in plan.variants.iter().enumerate() {
        let spec = &variant.spec;
        for student in spec.student.iter().filter(|student| student.start.is_none()) {
            let own = plan.cells.iter().filter(|c| c.variant == i && c.student == student.name);
            let steps = own.map(|cell| steps(spec, cell)).sum::<usize>();
            // A step's time depends on size and batch; each pair is tried once.
            let kind = (student.model, spec.training.batch);
            let step = match tried.iter().find(|(known, _)| *known == kind) {
                Some((_, step)) => *step,
                None => {
                    let step = estimate::text_step(student, &spec.training, &spec.suite)?;
                    tried.push((kind, step));
                    step
                }
            };
            seconds += steps as f64 * step;
        }
    }
    Ok(seconds)
}

fn summary(plan: &Plan) -> Result<String> {
    use std::fmt::Write as _;
    let mut roles: BTreeMap<Role, (usize, u64, usize)> = BTreeMap::new();
    for cell in &plan.cells {
        let steps = steps(&plan.variants[cell.variant].spec, cell);
        let (cells, queries, all) = roles.entry(cell.role).or_default();
        (*cells, *queries, *all) = (*cells + 1, *queries + cell.budget, *all + steps);
    }
    let mut text =
        String::from("| role | cells | queries | training steps |\n|---|---:|---:|---:|\n");
    for (role, (cells, queries, steps)) in roles {
        let _ = writeln!(text, "| {} | {cells} | {queries} | {steps} |", role.name());
    }
    let jobs = job_count(0);
    let time = estimate::about(seconds(plan)? / jobs as f64);
    let _ = writeln!(
        text,
        "\nTraining alone takes {time} on {jobs} jobs; asking, own texts of students, rebuilt scratchpads and exams come on top."
    );
    Ok(text)
}
