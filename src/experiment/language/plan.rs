//! From a spec to cells. A cell's id is the hash of all that can change its record.

use serde_json::{Value, json};

use super::record::VERSION;
use super::spec::{LanguageSpec, StudentSpec, Teacher};
use crate::defense::text::TextDefenseSpec;
use crate::error::{Error, Result};
use crate::experiment::folder;
use crate::experiment::plan::{Cell, check_distinct};
use crate::experiment::record::Role;

/// One point of the sweep.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Swept keys and values; empty without a sweep.
    pub label: String,
    /// The spec at this point, without a sweep.
    pub spec: LanguageSpec,
}

/// All cells, references first.
pub struct Plan {
    /// Points of the sweep.
    pub variants: Vec<Variant>,
    /// What is to be computed, in order.
    pub cells: Vec<Cell>,
}

impl Plan {
    /// Plans these variants over what lies outside their specs: a hash of the files that each points at.
    pub fn of(variants: Vec<Variant>, outside: &[String]) -> Result<Self> {
        let mut cells = Vec::new();
        for (variant, (point, outside)) in variants.iter().zip(outside).enumerate() {
            let spec = &point.spec;
            let blank = Cell::blank(variant);
            let mut push = |cell: Cell| -> Result<()> {
                let config = cell_config(spec, &cell)?;
                cells.push(cell.identified(VERSION, outside, &config, &point.label));
                Ok(())
            };
            for seed in spec.seeds.values() {
                push(Cell { seed, ..blank.clone() })?;
            }
            for student in kin(spec) {
                for role in references(spec) {
                    for seed in spec.seeds.values() {
                        let student = student.name.clone();
                        push(Cell { role, student, seed, ..blank.clone() })?;
                    }
                }
            }
            // Seeds last: with the first cells of each seed its ground is laid, one seed a thread.
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

/// The first student of each size or start.
fn kin(spec: &LanguageSpec) -> Vec<&StudentSpec> {
    let mut kin: Vec<&StudentSpec> = Vec::new();
    for student in &spec.student {
        if kin.iter().all(|other| other.kin() != student.kin()) {
            kin.push(student);
        }
    }
    kin
}

/// References that the spec asks for.
fn references(spec: &LanguageSpec) -> Vec<Role> {
    let wanted = [
        (Role::Untrained, true),
        (Role::Public, spec.reference.public > 0),
        (Role::Insider, spec.reference.insider),
    ];
    wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(role, _)| role).collect()
}

/// True if this student is the counter of every layer of the stack: the one that knows its code and parameters,
/// except the key. Layers without a known counter have none.
pub fn is_counter(student: &StudentSpec, stack: &[TextDefenseSpec]) -> bool {
    let counters = |layer: &TextDefenseSpec| match layer {
        // What an API does not tell of distributions cannot hurt whoever does without.
        TextDefenseSpec::HideLogprobs(_)
        | TextDefenseSpec::RoundLogprobs(_)
        | TextDefenseSpec::TopKLogprobs(_) => student.objective.text_only(),
        TextDefenseSpec::HideScratchpad(_) | TextDefenseSpec::SummariseScratchpad(_) => {
            student.knows.invert
        }
        TextDefenseSpec::TemperatureFloor(_) => student.votes > 1,
        _ => false,
    };
    !stack.is_empty() && stack.iter().all(counters)
}

/// What a student starts from, without paths: the identity of cells holds a hash of what lies there.
fn begun(student: &StudentSpec) -> Option<Value> {
    let start = student.start.as_ref()?;
    Some(json!({ "kind": "llama", "name": start.label() }))
}

/// The resolved config of one cell: what can change its record, and no path.
pub fn cell_config(spec: &LanguageSpec, cell: &Cell) -> Result<Value> {
    let internal = |e: serde_json::Error| Error::Internal(e.to_string());
    let teacher = match &spec.teacher {
        Teacher::File { .. } => json!({ "kind": "file" }),
        Teacher::Llama { .. } => json!({ "kind": "llama" }),
        other => serde_json::to_value(other).map_err(internal)?,
    };
    let mut config = json!({ "teacher": teacher, "suite": spec.suite, "seed": cell.seed });
    if cell.role == Role::Teacher {
        return Ok(config);
    }
    let student = spec.student(&cell.student)?;
    let mut add = |key: &str, value: Value| config[key] = value;
    match cell.role {
        Role::Student => {
            let mut known = serde_json::to_value(student).map_err(internal)?;
            if let Some(start) = begun(student) {
                known["start"] = start;
            }
            add("student", known);
            add("defense", serde_json::to_value(spec.arm(&cell.arm)?).map_err(internal)?);
            add("budget", json!({ "queries": cell.budget }));
            add("proxy", json!(spec.proxy));
            add("api", serde_json::to_value(&spec.api).map_err(internal)?);
        }
        _ => match begun(student) {
            None => add("student", json!({ "model": student.model })),
            Some(start) => add("student", json!({ "start": start })),
        },
    }
    if cell.role != Role::Untrained {
        add("training", serde_json::to_value(&spec.training).map_err(internal)?);
    }
    if cell.role == Role::Public {
        add("reference", json!({ "public": spec.reference.public }));
    }
    Ok(config)
}
