//! From a spec to cells: every variant of swept keys, every arm, student, budget and seed, and the
//! references they need. A cell's id is the hash of all that can change its record.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config;
use super::folder;
use super::record::{Role, VERSION};
use super::spec::{ArmSpec, Spec, TeacherKind};
use crate::defense::{Counter, DefenseSpec, Outline};
use crate::error::{Error, Result};
use crate::model::{Arch, InputShape};
use crate::oracle::{AnswerKind, Card};
use crate::student::{PoolKnown, RecoverySpec, StudentSpec};

/// Identity of this build's sources.
pub const BUILD_ID: &str = env!("RETORT_BUILD_ID");

/// One resolved point of the sweep.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Swept keys and values, such as `training.steps=200`; empty without a sweep.
    pub label: String,
    /// The spec at this point, without a sweep.
    pub spec: Spec,
}

/// One thing to compute.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub struct Cell {
    /// 16 hex digits.
    pub id: String,
    /// Index of its variant.
    pub variant: usize,
    /// What is measured.
    pub role: Role,
    /// Name of the arm.
    pub arm: String,
    /// Name of the student; for references the name of the first student of its kin.
    pub student: String,
    /// Query budget; 0 for references.
    pub budget: u64,
    /// Seed.
    pub seed: u64,
}

impl Cell {
    /// The teacher without a defense, in no seed yet and without an id.
    pub fn blank(variant: usize) -> Self {
        Self {
            id: String::new(),
            variant,
            role: Role::Teacher,
            arm: "none".into(),
            student: String::new(),
            budget: 0,
            seed: 0,
        }
    }

    /// The same with its id: the hash of the version of its record, this build, what lies outside the spec, its config
    /// and its point of the sweep.
    pub fn identified(self, version: u32, outside: &str, config: &Value, point: &str) -> Self {
        let identity = json!([version, BUILD_ID, outside, self.role, self.seed, config, point]);
        Self { id: short_hash(&identity.to_string()), ..self }
    }
}

/// All cells, references first.
pub struct Plan {
    /// Points of the sweep.
    pub variants: Vec<Variant>,
    /// What is to be computed, in order.
    pub cells: Vec<Cell>,
}

impl Plan {
    /// Plans `variants` over what lies outside their specs: one hash of data and teacher file each.
    pub fn of(variants: Vec<Variant>, outside: &[String]) -> Result<Self> {
        let mut cells = Vec::new();
        for (v, (point, outside)) in variants.iter().zip(outside).enumerate() {
            let spec = &point.spec;
            let blank = Cell::blank(v);
            let mut push = |cell: Cell| -> Result<()> {
                let config = cell_config(spec, &cell)?;
                cells.push(cell.identified(VERSION, outside, &config, &point.label));
                Ok(())
            };
            for seed in spec.seeds.values() {
                push(Cell { seed, ..blank.clone() })?;
            }
            let mut kin = Vec::new();
            for student in &spec.student {
                let name = kin_of(student);
                if kin.contains(&name) {
                    continue;
                }
                kin.push(name);
                for role in [Role::Untrained, Role::Public, Role::Insider] {
                    for seed in spec.seeds.values() {
                        let student = student.name.clone();
                        push(Cell { role, student, seed, ..blank.clone() })?;
                    }
                }
            }
            for arm in spec.arms() {
                for student in &spec.student {
                    for &budget in &spec.budget.queries {
                        for seed in spec.seeds.values() {
                            let (arm, student) = (arm.name.clone(), student.name.clone());
                            let role = Role::Student;
                            push(Cell { role, arm, student, budget, seed, ..blank.clone() })?;
                        }
                    }
                }
            }
        }
        check_distinct(&cells)?;
        Ok(Self { variants, cells })
    }

    /// Position and id of every cell, one JSON object a line.
    pub fn manifest(&self) -> String {
        folder::manifest(&self.cells)
    }
}

/// Refuses a plan in which a cell comes twice.
pub fn check_distinct(cells: &[Cell]) -> Result<()> {
    let ids: BTreeSet<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
    if ids.len() == cells.len() {
        return Ok(());
    }
    let found = "two cells that are equal in everything";
    Err(Error::config("sweep", found, "a sweep over keys that change a cell"))
}

/// Writes `files` for a data set that is the user's own files.
fn without_paths(table: &mut Value, key: &str) {
    if let Some(dataset) = table.get_mut(key).filter(|dataset| dataset.is_object()) {
        *dataset = "files".into();
    }
}

/// The resolved config of one cell: what can change its record, and no path.
pub fn cell_config(spec: &Spec, cell: &Cell) -> Result<Value> {
    let internal = |e: serde_json::Error| Error::Internal(e.to_string());
    let mut teacher = serde_json::to_value(&spec.teacher).map_err(internal)?;
    if let Value::Object(map) = &mut teacher {
        map.remove("path"); // a path is no part of an identity: `Rows::identity` has the content
    }
    without_paths(&mut teacher, "dataset");
    let mut split = serde_json::to_value(&spec.split).map_err(internal)?;
    without_paths(&mut split, "pool-dataset");
    let mut config = json!({
        "teacher": teacher,
        "split": split,
        "api": spec.api,
        "device": spec.device,
        "measure": spec.measure,
        "seed": cell.seed,
    });
    let Value::Object(map) = &mut config else {
        return Err(Error::Internal("config is a table".into()));
    };
    if cell.role != Role::Teacher {
        let student = student_of(spec, &cell.student)?;
        map.insert("training".into(), serde_json::to_value(&spec.training).map_err(internal)?);
        if cell.role == Role::Student {
            map.insert("student".into(), serde_json::to_value(student).map_err(internal)?);
            map.insert(
                "defense".into(),
                serde_json::to_value(spec.arm(&cell.arm)?).map_err(internal)?,
            );
            map.insert("transport".into(), serde_json::to_value(spec.transport).map_err(internal)?);
            map.insert("traffic".into(), serde_json::to_value(&spec.traffic).map_err(internal)?);
            map.insert(
                "budget".into(),
                json!({"queries": cell.budget, "days": spec.budget.days, "attempts-per-query": spec.budget.attempts_per_query}),
            );
        } else {
            map.insert("student".into(), json!({ "model": student.model }));
        }
    }
    Ok(config)
}

/// The leaves of a cell's config, by dotted key.
pub fn cell_leaves(spec: &Spec, cell: &Cell) -> Result<BTreeMap<String, Value>> {
    Ok(config::leaves(&cell_config(spec, cell)?))
}

/// Key of a trained teacher: what its weights depend on. Its rows are drawn before those of any other purpose.
pub fn teacher_key(spec: &Spec, data_hash: &str, seed: u64) -> String {
    short_hash(
        &json!([
            VERSION,
            BUILD_ID,
            data_hash,
            seed,
            spec.teacher.model,
            spec.teacher.training,
            spec.split.teacher,
            spec.split.test_from,
            spec.device
        ])
        .to_string(),
    )
}

/// Students of the same architecture share references: the training rule is the spec's own.
pub fn kin_of(student: &StudentSpec) -> String {
    arch_label(&student.model)
}

fn arch_label(arch: &Arch) -> String {
    match arch {
        Arch::Logistic {} => "logistic".into(),
        Arch::Mlp { hidden } => {
            format!("mlp-{}", hidden.iter().map(usize::to_string).collect::<Vec<_>>().join("-"))
        }
        Arch::Lenet { filters: [a, b], hidden } => format!("lenet-{a}-{b}-{hidden}"),
        Arch::Cnn { conv, hidden } => {
            let conv = conv.iter().map(|plan| {
                let pool = if plan.pool { "p" } else { "" };
                format!("{}x{}{pool}", plan.filters, plan.kernel)
            });
            let words: Vec<String> = conv.chain(hidden.iter().map(usize::to_string)).collect();
            format!("cnn-{}", words.join("-"))
        }
        Arch::Tree { depth, leaf_rows, laplace } => {
            format!("tree-{depth}-{leaf_rows}{}", if *laplace { "-laplace" } else { "" })
        }
        Arch::OneVsRest {} => "one-vs-rest".into(),
    }
}

/// The student of this name.
pub fn student_of<'a>(spec: &'a Spec, name: &str) -> Result<&'a StudentSpec> {
    spec.student.iter().find(|s| s.name == name).ok_or_else(|| {
        let known: Vec<&str> = spec.student.iter().map(|s| s.name.as_str()).collect();
        Error::input("student", format!("`{name}`"), format!("one of {}", known.join(", ")))
    })
}

/// Checks every stack against the answers it would get, and every student against the answers that
/// would reach it, before anything is computed. `unseen` rows are left to the defender by the split.
pub fn check_fit(spec: &Spec, card: Card, shape: InputShape, unseen: usize) -> Result<()> {
    let (inner, classes) = (card, card.classes);
    let card = spec.api.reveal().card(inner)?;
    let outline = Outline {
        shape,
        classes,
        arch: &spec.teacher.model,
        model: matches!(spec.teacher.kind, TeacherKind::Trained | TeacherKind::Safetensors),
        rows: spec.split.teacher,
        unseen,
    };
    for arm in spec.arms() {
        let i = spec.defense.iter().position(|a| a.name == arm.name).unwrap_or_default();
        let below = DefenseSpec::check_stack(&arm.stack, card, &outline)
            .map_err(|e| e.under(&format!("defense[{i}]")))?;
        for (s, student) in spec.student.iter().enumerate() {
            student_fits(student, &arm, below.answers)
                .map_err(|e| e.under(&format!("student[{s}]")))?;
        }
    }
    if let Some(student) = spec.student.iter().find(|s| s.objective.ties_rows())
        && spec.training.shards > 1
    {
        return Err(Error::config(
            "training.shards",
            spec.training.shards.to_string(),
            format!("1: the objective of student `{}` compares the rows of a batch", student.name),
        ));
    }
    for (s, student) in spec.student.iter().enumerate() {
        student.model.check(shape, classes).map_err(|e| e.under(&format!("student[{s}]")))?;
    }
    spec.teacher.model.check(shape, classes).map_err(|e| e.under("teacher"))
}

/// Refuses a student that can make nothing of an arm's answers. Keys are relative to the student.
fn student_fits(student: &StudentSpec, arm: &ArmSpec, answers: AnswerKind) -> Result<()> {
    let recovery = resolved_recovery(student, &arm.stack);
    recovery.fits(answers).map_err(|e| e.under("recovery"))?;
    student.fits(recovery.gives(answers))
}

/// The recovery a student uses in an arm: `counter` becomes what the arm's outermost defense with a
/// counter declares.
pub fn resolved_recovery(student: &StudentSpec, stack: &[DefenseSpec]) -> RecoverySpec {
    if !matches!(student.recovery, RecoverySpec::Counter) {
        return student.recovery.clone();
    }
    counters(stack).first().map_or(RecoverySpec::None, recovery_for)
}

/// Declared counters of a stack, outermost first.
pub fn counters(stack: &[DefenseSpec]) -> Vec<Counter> {
    stack.iter().map(DefenseSpec::counter).collect()
}

/// Repeats that the repeat-and-average and jitter-and-average counters pay for.
const REPEATS: usize = 4;

/// Accounts of a student whose counter is more accounts.
pub const MORE_ACCOUNTS: usize = 4;

fn recovery_for(counter: &Counter) -> RecoverySpec {
    match counter {
        Counter::InverseTable => RecoverySpec::InverseTable { rows: crate::student::TABLE_ROWS },
        Counter::MatchedTemperature { t } => RecoverySpec::MatchedTemperature { t: *t },
        Counter::Repeat => RecoverySpec::Average { n: REPEATS },
        Counter::Jitter => RecoverySpec::Jitter { n: REPEATS, scale: 0.02 },
        Counter::LabelOnly => RecoverySpec::Top1,
        Counter::InDistribution | Counter::MoreAccounts => RecoverySpec::None,
    }
}

/// True if this student is the declared counter of the whole stack.
pub fn is_counter(student: &StudentSpec, stack: &[DefenseSpec]) -> bool {
    let all = counters(stack);
    if matches!(student.recovery, RecoverySpec::Counter) {
        return all.len() <= 1;
    }
    !all.is_empty()
        && all.iter().all(|c| match c {
            Counter::InDistribution => {
                student.knows.pool == PoolKnown::In && !student.strategy.makes_inputs()
            }
            Counter::MoreAccounts => student.knows.accounts > 1,
            Counter::LabelOnly => student.label_only(),
            Counter::InverseTable => student.recovery.simulates(),
            other => student.recovery.same_kind(&recovery_for(other)),
        })
}

/// Accounts of a student in an arm.
pub fn accounts_of(student: &StudentSpec, stack: &[DefenseSpec]) -> usize {
    let wants_more = matches!(student.recovery, RecoverySpec::Counter)
        && counters(stack).first() == Some(&Counter::MoreAccounts);
    if wants_more {
        student.knows.accounts.max(MORE_ACCOUNTS)
    } else {
        student.knows.accounts.max(1)
    }
}

/// Names of an arm's layers with their parameters.
pub fn stack_labels(arm: &ArmSpec) -> Vec<String> {
    arm.stack.iter().map(DefenseSpec::label).collect()
}

/// 16 hex digits of a blake3 hash.
pub fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_string()
}
