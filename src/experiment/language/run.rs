//! Computes the cells of a plan into a folder; what is there is skipped.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::ground::{Ground, Shelf};
use super::inversion::{Pair, rebuilt};
use super::master::Master;
use super::objective::{Material, Objective, Tutor, kept as kept_of};
use super::plan::{Plan, cell_config, is_counter};
use super::prompts::Prompts;
use super::record::{LanguageRecord, Likeness, Role, Spent, Stop, VERSION};
use super::spec::{LanguageSpec, StudentSpec};
use super::student::{self, Exchange, Student};
use super::votes::kept;
use super::words::Words;
use super::{CONTEXT, VOCABULARY, bytes, exam, lesson, rounds, tokens};
use crate::data::suite::{Capability, END, Mix};
use crate::defense::text::TextDefenseSpec;
use crate::error::{Error, Result};
use crate::experiment::config;
use crate::experiment::folder::RunFolder;
use crate::experiment::plan::Cell;
use crate::experiment::sweep::{Computed, Event, Jobs, run_missing, teachers_first};
use crate::model::Cache;
use crate::model::language::{Lesson, Sampling, Soft, Tell};
use crate::oracle::AccountId;
use crate::oracle::completion::TokenProbs;
use crate::seed::Seed;

/// A plan and the grounds of its seeds, laid on first use.
pub struct Languages<'a> {
    plan: &'a Plan,
    cache: &'a Cache,
    grounds: BTreeMap<(usize, u64), OnceLock<std::result::Result<Ground, String>>>,
    shelf: Arc<Shelf>,
}

impl<'a> Languages<'a> {
    /// Nothing is laid yet.
    pub fn new(plan: &'a Plan, cache: &'a Cache) -> Self {
        let grounds = plan.cells.iter().map(|c| ((c.variant, c.seed), OnceLock::new())).collect();
        Self { plan, cache, grounds, shelf: Arc::default() }
    }

    /// Runs what is missing. Teachers first, each on as many threads as are free; then one thread a cell.
    pub fn run_all(
        &self,
        folder: &RunFolder,
        jobs: &Jobs<'_>,
        told: impl FnMut(Event<'_, LanguageRecord>),
    ) -> Result<Computed<LanguageRecord>> {
        let cells = &self.plan.cells;
        let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        let queues = |missing| teachers_first(cells, missing);
        let compute = |i: usize, queued: usize| {
            let teacher = cells[i].role == Role::Teacher;
            let threads = if teacher { jobs.count / queued.max(1) } else { 1 };
            self.compute(&cells[i], threads.max(1))
        };
        run_missing(&ids, folder, jobs, queues, compute, told)
    }

    fn ground(&self, cell: &Cell, threads: usize) -> Result<&Ground> {
        let missing = || Error::Internal("a cell outside the plan".into());
        let slot = self.grounds.get(&(cell.variant, cell.seed)).ok_or_else(missing)?;
        let spec = &self.plan.variants[cell.variant].spec;
        let lay = || {
            let ground = Ground::lay(spec, cell.seed, self.cache, &self.shelf, threads);
            ground.map_err(|e| e.to_string())
        };
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
        if let (Some(model), false) = (&model, cell.role == Role::Untrained) {
            keep(spec.student(&cell.student)?, ground, model, &cell.id)?;
        }
        let (report, likeness) = match &model {
            None => (ground.report.clone(), Vec::new()),
            Some(model) => judged(model, ground)?,
        };
        let asks = cell.role == Role::Student;
        let arm = spec.arm(&cell.arm)?;
        let known =
            (cell.role != Role::Teacher).then(|| spec.student(&cell.student)).transpose()?;
        let kin = known.map(StudentSpec::kin).unwrap_or_default();
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
            honest: asks.then(|| ground.honest(spec, &arm)).transpose()?,
        })
    }
}

/// A student that asks through the API.
fn asking(cell: &Cell, spec: &LanguageSpec, ground: &Ground) -> Result<(Student, Spent)> {
    let student = spec.student(&cell.student)?;
    let arm = spec.arm(&cell.arm)?;
    let budget = cell.budget as usize;
    if student.objective.on_policy() {
        return on_policy(spec, student, ground, budget);
    }
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
) -> Result<Student> {
    let fresh = ground.start(student, seed)?;
    // An answer of which nothing is shown teaches nothing.
    let shown = held.iter().filter(|exchange| !exchange.answer.tokens.is_empty());
    let shown = shown.filter(|exchange| !(student.benign_only && exchange.refused()));
    let shown: Vec<&Exchange> = shown.collect();
    let mut pairs: Vec<Pair> =
        shown.iter().map(|exchange| (exchange.prompt.clone(), exchange.text())).collect();
    let told: Option<Vec<&TokenProbs>> = shown.iter().map(|e| e.answer.logprobs.as_ref()).collect();
    // Where an API tells nothing of some answers, text alone is left to learn from.
    match (&student.objective, told) {
        (Objective::WordKd(objective), Some(told)) if !pairs.is_empty() => {
            let soft = objective.targets(told.into_iter(), VOCABULARY, seed.child("keep"))?;
            return fresh.learn_soft(&spec.training, &pairs, &soft, seed);
        }
        (Objective::Uld(objective), Some(told)) if !pairs.is_empty() => {
            return fresh.learn_sorted(&spec.training, &pairs, &told, objective, seed);
        }
        _ => {}
    }
    if student.knows.worked > 0 {
        let worked = worked(ground, student.knows.worked)?;
        if student.knows.invert {
            pairs = rebuilt(pairs, || ground.inverter(spec, student, &worked))?;
        }
        pairs.extend(worked);
    }
    if pairs.is_empty() {
        return Ok(fresh);
    }
    fresh.learn(&spec.training, &pairs, seed)
}

/// Writes a trained student where its spec wants it kept.
fn keep(spec: &StudentSpec, ground: &Ground, student: &Student, cell: &str) -> Result<()> {
    let Some(start) = &spec.start else { return Ok(()) };
    start.keep(&ground.tunable(start)?.with(student.model.clone())?, cell)
}

/// A student that has the teacher score what it writes itself.
fn on_policy(
    spec: &LanguageSpec,
    student: &StudentSpec,
    ground: &Ground,
    budget: usize,
) -> Result<(Student, Spent)> {
    let seed = ground.root.child("student");
    let tell = match spec.api.top_logprobs {
        k if k < VOCABULARY => Tell::TopK { k },
        _ => Tell::Full,
    };
    let own_alone = match student.objective {
        Objective::Minillm(_) => true,
        Objective::Gkd(gkd) => gkd.lambda >= 1.0,
        _ => false,
    };
    let (prompts, held) = if own_alone {
        let questions = ground.root.child("questions");
        (student.prompts.draw(&ground.suite, &ground.mix, budget, questions)?, None)
    } else {
        let held = ground.exchanges(spec, &spec.arm("none")?, student, budget)?;
        let pairs: Vec<Pair> = held.iter().map(|e| (e.prompt.clone(), e.text())).collect();
        let told = held.iter().filter_map(|e| e.answer.logprobs.as_ref());
        let soft = Soft::new(kept_of(tell, told, VOCABULARY, seed.child("keep"))?);
        let lesson = Lesson::soft(student::corpus(&pairs)?, soft);
        (pairs.into_iter().map(|(prompt, _)| prompt).collect(), Some(lesson))
    };
    let material = Material {
        prompts: prompts.iter().map(|prompt| tokens(prompt)).collect(),
        held,
        most: CONTEXT,
        end: u16::from(END),
    };
    let Master::Bytes(teacher) = &ground.teacher else {
        return Err(Error::Internal("a teacher over bytes was checked for".into()));
    };
    let mut tutor = Tutor::new(teacher, tell);
    let Student { model: fresh, words } = ground.start(student, seed)?;
    let recipe = spec.training.recipe();
    let fit = seed.child("fit");
    let model = student.objective.learn(&fresh, &mut tutor, &material, &recipe, fit)?;
    let given = tutor.spent();
    let spent = Spent {
        queries: given.queries,
        prompt_tokens: given.prompt_tokens,
        completion_tokens: given.completion_tokens,
        scored_tokens: given.scored_tokens,
        usd: 0.0,
    };
    Ok((Student { model, words }, priced(spec, spent)))
}

/// The same with its price; text that is scored is read, and read tokens cost what prompts do.
fn priced(spec: &LanguageSpec, spent: Spent) -> Spent {
    let read = (spent.prompt_tokens + spent.scored_tokens) as f64;
    let usd = read * spec.api.usd_per_million_prompt_tokens
        + spent.completion_tokens as f64 * spec.api.usd_per_million_completion_tokens;
    Spent { usd: usd / 1e6, ..spent }
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
    let queries = held.len() as u64;
    priced(spec, Spent { queries, prompt_tokens, completion_tokens, ..Spent::default() })
}

/// A student that asks nobody.
fn reference(cell: &Cell, spec: &LanguageSpec, ground: &Ground) -> Result<Student> {
    let seed = ground.root.child("student");
    let fresh = ground.start(spec.student(&cell.student)?, seed)?;
    let drawn = |n| {
        let seed = ground.root.child(cell.role.name());
        lesson::problems(&ground.suite, &ground.mix, n, seed)
    };
    let pairs: Vec<Pair> = match cell.role {
        Role::Untrained => return Ok(fresh),
        Role::Public => {
            let problems = drawn(spec.reference.public).into_iter();
            problems.map(|p| (p.prompt.clone(), p.completion())).collect()
        }
        _ => {
            let problems = drawn(spec.training.steps * spec.training.batch).into_iter();
            let prompts: Vec<Vec<u8>> = problems.map(|problem| problem.prompt).collect();
            let numbers: Vec<u64> = (INSIDE..).take(prompts.len()).collect();
            let (mut open, sampling) = (ground.behind(spec, &[])?, Sampling::default());
            let answers = ground.answers(spec, &mut open, INSIDER, &prompts, &numbers, sampling)?;
            let texts = answers.iter().map(|answer| bytes(&answer.tokens));
            prompts.into_iter().zip(texts).collect()
        }
    };
    fresh.learn(&spec.training, &pairs, seed)
}

/// Whoever needs no API.
const INSIDER: AccountId = AccountId(2);
/// Number of the first answer to it: beyond those of all who ask.
const INSIDE: u64 = 1 << 40;

/// What a model can do, and how like the teacher it is.
fn judged(model: &Student, ground: &Ground) -> Result<(exam::Report, Vec<Likeness>)> {
    let Ground { exam, probes, .. } = ground;
    let sheet = exam.sit(model, 1)?;
    let bits_per_byte = Some(exam.bits(model)?);
    let report = exam::Report { bits_per_byte, ..exam.mark(&sheet) };
    let agreement = exam.agreement(&sheet, &ground.sheet);
    let shares = |capability: Capability| {
        agreement.iter().find(|(c, _, _)| *c == capability).map(|(_, all, errors)| (*all, *errors))
    };
    // Distributions over different tokens cannot be compared.
    let kl = match (&model.words, probes) {
        (Words::Bytes, Some(probes)) => {
            probes.kl(&model.model)?.into_iter().map(|(c, kl)| (c, Some(kl))).collect()
        }
        _ => Capability::ALL.map(|capability| (capability, None)).to_vec(),
    };
    let likeness = kl.into_iter().map(|(capability, kl)| {
        let (agreement, on_errors) = shares(capability).unzip();
        Likeness { capability, agreement, on_errors, kl }
    });
    Ok((report, likeness.collect()))
}
