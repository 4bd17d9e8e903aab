//! Computes the cells of a plan into a folder; what is there is skipped.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::ground::Ground;
use super::inversion::{Pair, rebuilt};
use super::plan::{Plan, cell_config, is_counter};
use super::prompts::Prompts;
use super::record::{LanguageRecord, Likeness, Role, Spent, Stop, VERSION};
use super::spec::{LanguageSpec, StudentSpec};
use super::student::{self, Exchange};
use super::votes::kept;
use super::{exam, lesson, rounds};
use crate::data::suite::{Capability, Mix};
use crate::defense::text::TextDefenseSpec;
use crate::error::{Error, Result};
use crate::experiment::config;
use crate::experiment::folder::RunFolder;
use crate::experiment::plan::Cell;
use crate::experiment::sweep::{Computed, Ended, Jobs, run_missing};
use crate::model::Cache;
use crate::model::language::Language;
use crate::seed::Seed;

/// A plan and the grounds of its seeds, laid on first use.
pub struct Languages<'a> {
    plan: &'a Plan,
    cache: &'a Cache,
    grounds: BTreeMap<(usize, u64), OnceLock<std::result::Result<Ground, String>>>,
}

impl<'a> Languages<'a> {
    /// Nothing is laid yet.
    pub fn new(plan: &'a Plan, cache: &'a Cache) -> Self {
        let grounds = plan.cells.iter().map(|c| ((c.variant, c.seed), OnceLock::new())).collect();
        Self { plan, cache, grounds }
    }

    /// Runs what is missing. Teachers first, each on as many threads as are free; then one thread a cell.
    pub fn run_all(
        &self,
        folder: &RunFolder,
        jobs: &Jobs<'_>,
        told: impl FnMut(Ended<'_, LanguageRecord>),
    ) -> Result<Computed<LanguageRecord>> {
        let cells = &self.plan.cells;
        let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        let teachers_first = |missing: Vec<usize>| {
            let (teachers, rest) =
                missing.into_iter().partition(|&i| cells[i].role == Role::Teacher);
            vec![teachers, rest]
        };
        let compute = |i: usize, queued: usize| {
            let teacher = cells[i].role == Role::Teacher;
            let threads = if teacher { jobs.count / queued.max(1) } else { 1 };
            self.compute(&cells[i], threads.max(1))
        };
        run_missing(&ids, folder, jobs, teachers_first, compute, told)
    }

    fn ground(&self, cell: &Cell, threads: usize) -> Result<&Ground> {
        let missing = || Error::Internal("a cell outside the plan".into());
        let slot = self.grounds.get(&(cell.variant, cell.seed)).ok_or_else(missing)?;
        let spec = &self.plan.variants[cell.variant].spec;
        let lay = || Ground::lay(spec, cell.seed, self.cache, threads).map_err(|e| e.to_string());
        slot.get_or_init(lay).as_ref().map_err(|text| Error::Internal(text.clone()))
    }

    /// The record of a cell.
    pub fn compute(&self, cell: &Cell, threads: usize) -> Result<LanguageRecord> {
        let variant = &self.plan.variants[cell.variant];
        let spec = &variant.spec;
        let ground = self.ground(cell, threads)?;
        let (model, spent) = match cell.role {
            Role::Teacher => (None, Spent::default()),
            Role::Student => {
                let (model, spent) = asking(cell, spec, ground)?;
                (Some(model), spent)
            }
            _ => (Some(reference(cell, spec, ground)?), Spent::default()),
        };
        let (report, likeness) = match &model {
            None => (ground.report.clone(), Vec::new()),
            Some(model) => judged(model, ground)?,
        };
        let asks = cell.role == Role::Student;
        let arm = spec.arm(&cell.arm)?;
        let known =
            (cell.role != Role::Teacher).then(|| spec.student(&cell.student)).transpose()?;
        let kin = known.map(|student| student.model.label()).unwrap_or_default();
        Ok(LanguageRecord {
            version: VERSION,
            name: spec.name.clone(),
            variant: variant.label.clone(),
            cell: cell.id.clone(),
            role: cell.role,
            arm: cell.arm.clone(),
            student: if asks { cell.student.clone() } else { kin.clone() },
            kin,
            budget: cell.budget,
            seed: cell.seed,
            text_only: asks && known.is_some_and(|student| student.objective.text_only()),
            counter: asks && known.is_some_and(|s| is_counter(s, &arm.stack)),
            stack: arm.stack.iter().map(TextDefenseSpec::label).collect(),
            config: config::leaves(&cell_config(spec, cell)?),
            stop: if asks { Stop::BudgetSpent } else { Stop::NotAsked },
            report,
            likeness,
            spent,
            honest: asks.then(|| ground.honest(&arm)).transpose()?,
        })
    }
}

/// A student that asks through the API.
fn asking(cell: &Cell, spec: &LanguageSpec, ground: &Ground) -> Result<(Language, Spent)> {
    let student = spec.student(&cell.student)?;
    let arm = spec.arm(&cell.arm)?;
    let budget = cell.budget as usize;
    let held = match student.prompts {
        Prompts::Uncertainty { rounds, candidates } => {
            rounds::exchanges(spec, ground, &arm, student, budget, (rounds, candidates))?
        }
        _ => ground.exchanges(spec, &arm, student, budget)?,
    };
    let spent = charged(spec, &held);
    // A student of one seed starts from the same weights under every arm and budget.
    let seed = ground.root.child("student");
    let held = kept(held, student.votes);
    let model = learnt(spec, student, ground, &held, seed)?;
    Ok((model, spent))
}

/// A student of what it holds.
pub fn learnt(
    spec: &LanguageSpec,
    student: &StudentSpec,
    ground: &Ground,
    held: &[Exchange],
    seed: Seed,
) -> Result<Language> {
    // An answer of which nothing is shown teaches nothing.
    let shown = held.iter().filter(|exchange| !exchange.answer.tokens.is_empty());
    let shown = shown.filter(|exchange| !(student.benign_only && exchange.refused()));
    let mut pairs: Vec<Pair> =
        shown.map(|exchange| (exchange.prompt.clone(), exchange.text())).collect();
    if student.knows.worked > 0 {
        let worked = worked(ground, student.knows.worked)?;
        if student.knows.invert {
            let seed = seed.child("inverter");
            pairs = rebuilt(student.model, &spec.training, &worked, pairs, seed)?;
        }
        pairs.extend(worked);
    }
    if pairs.is_empty() {
        return student::fresh(student.model, seed);
    }
    student::learn(student.model, &spec.training, &pairs, seed)
}

/// Public problems with true scratchpads.
fn worked(ground: &Ground, n: usize) -> Result<Vec<Pair>> {
    let mix = Mix::new(
        Capability::ALL.map(|c| u32::from(matches!(c, Capability::Reasoning | Capability::Run))),
    )?;
    let problems = lesson::problems(&ground.suite, &mix, n, ground.root.child("worked"));
    Ok(problems.iter().map(|p| (p.prompt.clone(), p.completion())).collect())
}

fn charged(spec: &LanguageSpec, held: &[Exchange]) -> Spent {
    let sum = |tokens: fn(&Exchange) -> usize| held.iter().map(|e| tokens(e) as u64).sum::<u64>();
    let prompt_tokens = sum(|exchange| exchange.prompt.len());
    let completion_tokens = sum(|exchange| exchange.answer.tokens.len());
    let usd = prompt_tokens as f64 * spec.api.usd_per_million_prompt_tokens
        + completion_tokens as f64 * spec.api.usd_per_million_completion_tokens;
    Spent {
        queries: held.len() as u64,
        prompt_tokens,
        completion_tokens,
        scored_tokens: 0,
        usd: usd / 1e6,
    }
}

/// A student that asks nobody.
fn reference(cell: &Cell, spec: &LanguageSpec, ground: &Ground) -> Result<Language> {
    let size = spec.student(&cell.student)?.model;
    let seed = ground.root.child("student");
    let known = match cell.role {
        Role::Untrained => return student::fresh(size, seed),
        Role::Public => spec.reference.public,
        _ => spec.training.steps * spec.training.batch,
    };
    let seed_of_problems = ground.root.child(cell.role.name());
    let problems = lesson::problems(&ground.suite, &ground.mix, known, seed_of_problems);
    let pairs: Vec<_> = problems.iter().map(|p| (p.prompt.clone(), p.completion())).collect();
    student::learn(size, &spec.training, &pairs, seed)
}

/// What a model can do, and how like the teacher it is.
fn judged(model: &Language, ground: &Ground) -> Result<(exam::Report, Vec<Likeness>)> {
    let Ground { exam, probes, .. } = ground;
    let sheet = exam.sit(model, 1)?;
    let bits_per_byte = Some(exam.bits(model)?);
    let report = exam::Report { bits_per_byte, ..exam.mark(&sheet) };
    let agreement = exam.agreement(&sheet, &ground.sheet);
    let shares = |capability: Capability| {
        agreement.iter().find(|(c, _, _)| *c == capability).map(|(_, all, errors)| (*all, *errors))
    };
    let kl = probes.kl(model)?.into_iter();
    let likeness = kl.map(|(capability, kl)| {
        let (agreement, on_errors) = shares(capability).unzip();
        Likeness { capability, agreement, on_errors, kl }
    });
    Ok((report, likeness.collect()))
}
