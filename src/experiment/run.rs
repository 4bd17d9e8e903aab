//! Computes one cell. Pure: the same cell, ground and device give the same record; no file, clock or
//! environment is read here.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::{Axis, concatenate};

use super::evidence::{self, Suspects};
use super::honest::{Crowd, CrowdReport};
use super::measure::{self, Judged};
use super::plan::{self, Cell};
use super::record::{AccountTotals, Record, Role, StageDistortion, Stop, VERSION};
use super::session::{self, Session, Terms};
use super::spec::Spec;
use super::world::{Ground, Rim};
use crate::data::Dataset;
use crate::defense::{DefenseSpec, Flagged, Known, Stack};
use crate::error::{Error, Result};
use crate::gateway::Gateway;
use crate::ledger::{Budget, Ledger, Totals};
use crate::metric::Score;
use crate::model::{Lesson, Loss, Model, Targets, fit};
use crate::oracle::{AccountId, Tick};
use crate::seed::Seed;
use crate::student::{self, Learned, Simulator, Student, StudentSpec, View};

/// Computes `cell`.
pub fn run(
    cell: &Cell,
    variant: &str,
    spec: &Spec,
    data: &Dataset,
    ground: &Ground,
    rim: &Rim,
) -> Result<Record> {
    let mut record = blank(cell, variant, spec)?;
    let outcome = match cell.role {
        Role::Teacher => {
            let judged = Judged::teacher(ground);
            record.scores = judged.scores();
            record.right = judged.right();
            Ok(())
        }
        Role::Student => student_cell(cell, spec, data, ground, rim, &mut record),
        _ => reference(cell, spec, data, ground, rim, &mut record),
    };
    match outcome {
        Err(Error::Diverged { step, last_loss }) => {
            record.stop = Stop::Diverged;
            record.scores = measure::diverged(step, last_loss);
            Ok(record)
        }
        Err(other) => Err(other),
        Ok(()) => Ok(record),
    }
}

fn blank(cell: &Cell, variant: &str, spec: &Spec) -> Result<Record> {
    let arm = spec.arm(&cell.arm)?;
    let student =
        (cell.role != Role::Teacher).then(|| plan::student_of(spec, &cell.student)).transpose()?;
    let asks = cell.role == Role::Student;
    Ok(Record {
        version: VERSION,
        name: spec.name.clone(),
        variant: variant.to_string(),
        cell: cell.id.clone(),
        role: cell.role,
        arm: cell.arm.clone(),
        student: match student {
            Some(s) if asks => s.name.clone(),
            Some(s) => plan::kin_of(s),
            None => String::new(),
        },
        kin: student.map(plan::kin_of).unwrap_or_default(),
        budget: cell.budget,
        seed: cell.seed,
        label_only: asks && student.is_some_and(StudentSpec::label_only),
        counter: asks && student.is_some_and(|s| plan::is_counter(s, &arm.stack)),
        stack: if asks { plan::stack_labels(&arm) } else { Vec::new() },
        config: plan::cell_leaves(spec, cell)?,
        stop: Stop::NotAsked,
        scores: Vec::new(),
        right: String::new(),
        accounts: Vec::new(),
        stages: Vec::new(),
    })
}

/// The streams of a student: shared by every arm and budget of a seed, so differences are paired.
fn student_seed(seed: u64) -> Seed {
    Seed::new(seed).child("student")
}

fn reference(
    cell: &Cell,
    spec: &Spec,
    data: &Dataset,
    ground: &Ground,
    rim: &Rim,
    record: &mut Record,
) -> Result<()> {
    let student = plan::student_of(spec, &cell.student)?;
    let seed = student_seed(cell.seed);
    let fresh = fresh(student, spec, data, rim, cell.seed)?;
    let (model, flops) = match cell.role {
        Role::Untrained => (fresh, 0.0),
        Role::Public => public_student(fresh, spec, ground)?,
        _ => {
            let inputs = concatenate(Axis(0), &[ground.pool.view(), ground.public.view()])
                .map_err(|e| Error::Internal(e.to_string()))?;
            let targets = Targets::Probs(ground.clean(&inputs)?);
            let loss = Loss::SoftLabel { temperature: 1.0, eps: 1e-6 };
            let fitted =
                fit(fresh, &Lesson { inputs, targets }, loss, &spec.training, seed.child("fit"))?;
            (fitted.last, fitted.flops)
        }
    };
    let judged = Judged::model(&model, ground, spec)?;
    record.scores = judged.scores();
    record.scores.push(Score::of("student_flops", Some(flops)));
    record.right = judged.right();
    Ok(())
}

/// A student's network before it learns.
fn fresh(
    student: &StudentSpec,
    spec: &Spec,
    data: &Dataset,
    rim: &Rim,
    seed: u64,
) -> Result<Model> {
    let (init, seed) = (spec.training.init, student_seed(seed).child("init"));
    Model::init_by(init, &student.model, data.shape, data.classes, rim.device, seed)
}

/// A student of public rows and their true labels, and what it cost; as it was where there are none.
fn public_student(fresh: Model, spec: &Spec, ground: &Ground) -> Result<(Model, f64)> {
    if ground.public.is_empty() {
        return Ok((fresh, 0.0));
    }
    let (inputs, targets) = (ground.public.clone(), Targets::Labels(ground.public_labels.clone()));
    let (lesson, seed) = (Lesson { inputs, targets }, student_seed(ground.seed).child("fit"));
    let fitted = fit(fresh, &lesson, Loss::HardLabel, &spec.training, seed)?;
    Ok((fitted.last, fitted.flops))
}

fn student_cell(
    cell: &Cell,
    spec: &Spec,
    data: &Dataset,
    ground: &Ground,
    rim: &Rim,
    record: &mut Record,
) -> Result<()> {
    let config = plan::student_of(spec, &cell.student)?;
    let arm = spec.arm(&cell.arm)?;
    let root = Seed::new(cell.seed);
    let (ledger, accounts) = open_ledger(cell, spec, config, &arm.stack);
    let oracle = ground.oracle(spec, &arm.stack)?;
    let stack = Stack::build(&arm.stack, root.child("defense"), oracle.card(), &ground.workshop)?;
    let singly = arm.stack.iter().any(|d| d.promise().refuses);
    let mut door = (rim.open)(Gateway::new(ledger, stack, oracle))?;

    let mut student = build_student(config, spec, &arm.stack, data, ground, rim)?;
    let shown = config.knows.public_labels.min(ground.public_labels.len());
    let mut view = View {
        pool: &ground.pool,
        public: &ground.public,
        public_labels: (shown > 0).then(|| &ground.public_labels[..shown]),
        left: cell.budget,
        budget: cell.budget,
        classes: data.classes,
        shape: data.shape,
        range: data.range,
    };
    let until = Tick::days(spec.horizon_days());
    let mut crowd = Crowd::new(&ground.traffic, accounts.honest, singly, until);
    let terms = Terms {
        accounts: accounts.student,
        queries: cell.budget,
        attempts: cell.budget.saturating_mul(spec.budget.attempts_per_query),
        until: spec.budget.days.map(Tick::days),
    };
    let session = session::hold(door.as_mut(), student.as_mut(), &mut view, &terms, &mut crowd);
    let gateway = door.close()?;
    let session = session?;
    let learned = student.learn(&view, student_seed(cell.seed).child("fit"))?;
    fill(record, &session, &learned, &gateway, ground, spec)?;
    if evidence::claims(&gateway) {
        let innocent = innocent(config, spec, data, ground, rim)?;
        let suspects = Suspects { student: &learned.last, innocent };
        record.scores.extend(evidence::scores(&gateway, &suspects)?);
    }
    Ok(())
}

/// A suspect that never met the teacher: the student on public rows, trained once for all arms of a seed.
fn innocent(
    student: &StudentSpec,
    spec: &Spec,
    data: &Dataset,
    ground: &Ground,
    rim: &Rim,
) -> Result<Option<Arc<Model>>> {
    if ground.public.is_empty() {
        return Ok(None);
    }
    let learn = || {
        let fresh = fresh(student, spec, data, rim, ground.seed)?;
        Ok(public_student(fresh, spec, ground)?.0)
    };
    ground.innocents.once(&plan::kin_of(student), learn).map(Some)
}

struct Accounts {
    student: Vec<AccountId>,
    honest: Vec<AccountId>,
}

fn open_ledger(
    cell: &Cell,
    spec: &Spec,
    student: &StudentSpec,
    stack: &[DefenseSpec],
) -> (Ledger, Accounts) {
    let mut ledger = Ledger::new();
    let actor = ledger.open_actor("student", Budget { queries: Some(cell.budget) });
    let n = plan::accounts_of(student, stack);
    let accounts = (0..n).map(|_| ledger.open_account(actor)).collect();
    let honest = (0..spec.traffic.accounts)
        .map(|i| {
            let actor = ledger.open_actor(&format!("honest-{i}"), Budget::default());
            ledger.open_account(actor)
        })
        .collect();
    (ledger, Accounts { student: accounts, honest })
}

fn build_student(
    config: &StudentSpec,
    spec: &Spec,
    stack: &[DefenseSpec],
    data: &Dataset,
    ground: &Ground,
    rim: &Rim,
) -> Result<Box<dyn Student>> {
    let seed = student_seed(ground.seed);
    let known = Known {
        pool: &ground.pool,
        shape: data.shape,
        classes: data.classes,
        arch: &ground.workshop.arch,
        device: rim.device,
        seed: seed.child("simulated defense"),
    };
    let resolved =
        StudentSpec { recovery: plan::resolved_recovery(config, stack), ..config.clone() };
    student::build(
        &resolved,
        &spec.training,
        rim.device,
        if resolved.recovery.informed() { simulator(stack, &known) } else { None },
        data.shape,
        data.classes,
        seed,
    )
}

/// The row-wise part of a stack as one function, innermost first, for students that know it.
fn simulator(stack: &[DefenseSpec], known: &Known<'_>) -> Option<Simulator> {
    let steps: Vec<_> = stack.iter().rev().filter_map(|layer| layer.simulate(known)).collect();
    if steps.is_empty() {
        return None;
    }
    Some(Arc::new(move |clean: &[f64], out: &mut [f64]| {
        out.copy_from_slice(clean);
        let mut row = clean.to_vec();
        for step in &steps {
            row.copy_from_slice(out);
            step(&row, out);
        }
    }))
}

fn fill(
    record: &mut Record,
    session: &Session,
    learned: &Learned,
    gateway: &Gateway,
    ground: &Ground,
    spec: &Spec,
) -> Result<()> {
    let judged = Judged::model(&learned.last, ground, spec)?;
    let selected = Judged::model_basic(&learned.selected, ground)?;
    record.stop = session.stop;
    record.right = judged.right();
    record.scores = judged.scores();
    record.scores.extend([
        Score::of("accuracy_selected", Some(selected.accuracy())),
        Score::of("agreement_selected", Some(selected.agreement())),
        Score::of("queries_spent", Some(session.answered as f64)),
        Score::of("answer_entropy", session.entropy),
        Score::of("days", Some(session.last_answer.as_days())),
        Score::of("student_flops", Some(learned.flops)),
        Score::of("transfer_rows", Some(learned.transfer_rows as f64)),
    ]);
    if let Some(dropped) = learned.dropped_rows {
        record.scores.push(Score::of("dropped_rows", Some(dropped as f64)));
    }
    record.scores.extend(honest_scores(&session.crowd));
    record.scores.extend(detection_scores(gateway));
    record.accounts = account_totals(gateway);
    record.stages = stage_distortions(gateway);
    Ok(())
}

/// What each layer changed.
pub(super) fn stage_distortions(gateway: &Gateway) -> Vec<StageDistortion> {
    let stages = gateway.stages().into_iter();
    stages
        .map(|s| StageDistortion {
            layer: s.layer,
            rows: s.rows,
            l1_mean: s.l1_mean,
            l1_max: s.l1_max,
            top1_changed: s.top1_changed,
        })
        .collect()
}

fn honest_scores(crowd: &CrowdReport) -> Vec<Score> {
    vec![
        Score::of("honest_accuracy", crowd.accuracy),
        Score::of("honest_teacher_accuracy", crowd.teacher_accuracy),
        Score::of("distortion_l1_mean", crowd.l1_mean),
        Score::of("distortion_l1_max", crowd.l1_max),
        Score::of("honest_refused", crowd.refused),
        Score::of("honest_wait_p95", crowd.wait_p95),
    ]
}

/// What the outermost gate or detector flagged; nothing for a stack without one.
fn detection_scores(gateway: &Gateway) -> Vec<Score> {
    let flags = gateway.stack().flags();
    let Some((_, flags)) = flags.first() else { return Vec::new() };
    let totals = gateway.ledger().totals();
    let (honest, student): (Vec<_>, Vec<_>) =
        totals.iter().partition(|t| t.actor.starts_with("honest-"));
    let of =
        |accounts: &[&Totals]| accounts.iter().map(|t| flags.of(t.account)).collect::<Vec<_>>();
    let (honest, student) = (of(&honest), of(&student));
    let share = |accounts: &[Flagged]| {
        let rows: u64 = accounts.iter().map(|a| a.rows).sum();
        let flagged: u64 = accounts.iter().map(|a| a.flagged).sum();
        (rows > 0).then(|| flagged as f64 / rows as f64)
    };
    let first = student.iter().filter_map(|a| a.first).min();
    let named = honest.iter().filter(|a| a.first.is_some()).count();
    let asked = honest.iter().filter(|a| a.rows > 0).count();
    vec![
        Score::of("flagged", share(&student)),
        Score::of("queries_until_detection", first.map(|n| n as f64)),
        Score::of("honest_flagged", share(&honest)),
        Score::of("honest_accounts_flagged", (asked > 0).then(|| named as f64 / asked as f64)),
    ]
}

/// The student's accounts in full, honest ones summed into one line.
pub(super) fn account_totals(gateway: &Gateway) -> Vec<AccountTotals> {
    let mut rows: BTreeMap<(bool, u32), AccountTotals> = BTreeMap::new();
    for t in gateway.ledger().totals() {
        let honest = t.actor.starts_with("honest-");
        let key = (honest, if honest { 0 } else { t.account.0 });
        let row = rows.entry(key).or_insert_with(|| AccountTotals {
            account: t.account.0,
            actor: if honest { "honest".into() } else { t.actor.clone() },
            ..AccountTotals::default()
        });
        row.attempted += t.attempted;
        row.answered += t.answered;
        row.broken_off += t.broken_off;
        for (reason, n) in t.denied {
            *row.denied.entry(reason).or_default() += n;
        }
    }
    rows.into_values().collect()
}
