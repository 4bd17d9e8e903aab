//! `retort check` and `retort plan`: everything short of computing.

use retort::Result;
use retort::experiment::plan::{Cell, student_of};
use retort::experiment::record::Role;
use retort::experiment::spec::{Spec, TeacherKind};

use super::args::{Check, Common, Format, Plan as PlanArgs};
use super::campaign;
use super::estimate::{self, Work};
use super::language;
use super::load::{self, Loaded};
use super::put;
use super::running::job_count;

/// Checks a config; prints the resolved one on request.
pub fn check(args: &Check, common: &Common) -> Result<u8> {
    let source = load::source(&args.config)?;
    if campaign::is(&source) {
        return campaign::check(args, source);
    }
    if language::is(&source) {
        return language::check(args, source);
    }
    let loaded = load::from_source(source, common)?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    if args.resolved {
        put(&loaded.resolved);
        return Ok(0);
    }
    let spec = &loaded.plan.variants[0].spec;
    put(&format!(
        "{}: {} cells, {} variant(s)",
        loaded.name,
        loaded.plan.cells.len(),
        loaded.plan.variants.len()
    ));
    for arm in spec.arms() {
        put(&format!("  arm {}", arm.name));
        for layer in &arm.stack {
            let p = layer.promise();
            put(&format!(
                "    reply layer {}: keeps top-1 {}, L1 at most {}, deterministic {}, stateful {}, counter: {}",
                layer.label(),
                p.keeps_top1,
                p.l1_bound,
                p.deterministic,
                p.stateful,
                layer.counter()
            ));
        }
    }
    for student in &spec.student {
        put(&format!("  student {}", student.name));
    }
    Ok(0)
}

/// Lists cells with the training work they stand for.
pub fn plan(args: &PlanArgs, common: &Common) -> Result<u8> {
    let source = load::source(&args.config)?;
    if campaign::is(&source) {
        return campaign::plan(args, source);
    }
    if language::is(&source) {
        return language::plan(args, source);
    }
    let loaded = load::from_source(source, common)?;
    let plan = &loaded.plan;
    match args.format {
        Format::Json => put(&plan.manifest()),
        Format::Csv => put(&listed(&plan.cells)),
        Format::Md => put(&summary(&loaded)?),
    }
    Ok(0)
}

/// Cells as CSV, a header first.
pub fn listed(cells: &[Cell]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("index,cell,variant,role,arm,student,budget,seed\n");
    for (i, c) in cells.iter().enumerate() {
        let (role, Cell { id, variant, arm, student, budget, seed, .. }) = (c.role.name(), c);
        let _ = writeln!(text, "{i},{id},{variant},{role},{arm},{student},{budget},{seed}");
    }
    text
}

fn summary(loaded: &Loaded) -> Result<String> {
    use std::fmt::Write as _;
    let plan = &loaded.plan;
    let mut text =
        String::from("| role | cells | most queries | training steps |\n|---|---:|---:|---:|\n");
    let mut all_steps = 0;
    for role in [Role::Teacher, Role::Untrained, Role::Public, Role::Insider, Role::Student] {
        let cells: Vec<_> = plan.cells.iter().filter(|c| c.role == role).collect();
        let queries: u64 = cells.iter().map(|c| c.budget).sum();
        let steps: usize = cells.iter().map(|c| steps(&plan.variants[c.variant].spec, c)).sum();
        all_steps += steps;
        let _ = writeln!(text, "| {} | {} | {queries} | {steps} |", role.name(), cells.len());
    }
    let jobs = job_count(0);
    let time = estimate::about(estimate::seconds(&work(loaded)?)? / jobs as f64);
    let _ = writeln!(
        text,
        "\n{} cells, at most {all_steps} optimiser steps.\n\
         Training alone takes {time} on {jobs} jobs; asking, active rounds and scoring come on top.",
        plan.cells.len()
    );
    Ok(text)
}

fn steps(spec: &Spec, cell: &Cell) -> usize {
    match cell.role {
        Role::Teacher if spec.teacher.kind == TeacherKind::Trained => {
            spec.teacher.training.steps_of(spec.split.teacher)
        }
        Role::Teacher | Role::Untrained => 0,
        Role::Public => spec.training.steps_of(spec.split.public),
        Role::Insider => spec.training.steps_of(spec.split.pool + spec.split.public),
        Role::Student => spec.training.steps_of(usize::try_from(cell.budget).unwrap_or(usize::MAX)),
    }
}

/// Steps of each network, by network.
fn work(loaded: &Loaded) -> Result<Vec<Work<'_>>> {
    let mut all: Vec<Work<'_>> = Vec::new();
    for cell in &loaded.plan.cells {
        let (spec, data) =
            (&loaded.plan.variants[cell.variant].spec, &loaded.data[cell.variant].set);
        let (arch, recipe) = match cell.role {
            Role::Teacher => (&spec.teacher.model, &spec.teacher.training),
            _ => (&student_of(spec, &cell.student)?.model, &spec.training),
        };
        let one = Work::new(arch, data, recipe, steps(spec, cell));
        match all.iter_mut().find(|w| w.same(&one)) {
            Some(there) => there.steps += one.steps,
            None => all.push(one),
        }
    }
    all.retain(|w| w.steps > 0);
    Ok(all)
}
