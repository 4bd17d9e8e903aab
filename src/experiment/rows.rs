//! The rows of an experiment: the teacher's set, the pool's where that is another, and what is refused of both
//! before anything is computed.

use super::plan;
use super::spec::{Spec, TeacherKind};
use super::world::Rim;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::seed::Seed;
use crate::student::RecoverySpec;

/// The rows of an experiment.
pub struct Rows {
    /// What the teacher knows.
    pub set: Dataset,
    /// What students ask instead, where the pool is of another set.
    pub strangers: Option<Dataset>,
    /// How many rows every split leaves to the defender alone.
    pub unseen: usize,
}

impl Rows {
    /// Loads the data of a spec and checks it against what the spec asks for.
    pub fn load(spec: &Spec, rim: &Rim) -> Result<Self> {
        let root = rim.data_root.as_deref();
        let set = spec.teacher.dataset.load(root)?;
        let strangers =
            spec.split.pool_dataset.as_ref().map(|other| other.load(root)).transpose()?;
        let split = Split::draw(&spec.split, &set, strangers.as_ref(), Seed::new(0))?;
        let pool = spec.split.pool as u64;
        for (i, student) in spec.student.iter().enumerate() {
            let Some(&over) = spec.budget.queries.iter().find(|&&q| q > pool) else { break };
            if student.strategy.distinct_pool() {
                return Err(Error::config(
                    "budget.queries",
                    over.to_string(),
                    format!(
                        "at most split.pool = {pool}, because student[{i}] (`{}`) asks each pool row once",
                        student.name
                    ),
                ));
            }
        }
        if spec.teacher.kind == TeacherKind::Answers {
            check_table(spec)?;
        }
        Ok(Self { unseen: unseen(&split).len(), set, strangers })
    }

    /// Hash of what a spec only points at: the rows, and the teacher's file where there is one. Part of
    /// every cell's id, so that another file under the same name is another cell.
    pub fn identity(&self, spec: &Spec) -> Result<String> {
        let strangers = self.strangers.as_ref().map(|other| format!(" {}", other.hash));
        let hash = format!("{}{}", self.set.hash, strangers.unwrap_or_default());
        let Some(path) = &spec.teacher.path else { return Ok(hash) };
        let bytes = std::fs::read(path).map_err(|e| {
            Error::config("teacher.path", format!("`{path}`: {e}"), "a file that can be read")
        })?;
        Ok(plan::short_hash(&format!("{hash} {}", blake3::hash(&bytes).to_hex())))
    }
}

/// Most rows that a defender keeps from everybody.
const UNSEEN: usize = 2_000;

/// Rows of a split that the defender alone has, and that its teacher did not learn from.
pub(super) fn unseen(split: &Split) -> &[usize] {
    &split.rest[..split.rest.len().min(UNSEEN)]
}

/// A table of answers knows the rows of its data set and no others: whoever makes up inputs is refused.
fn check_table(spec: &Spec) -> Result<()> {
    if spec.split.pool_dataset.is_some() {
        let expected = "a pool of the set that the table answers for";
        return Err(Error::config("split.pool-dataset", "another set", expected));
    }
    for (i, student) in spec.student.iter().enumerate() {
        let arms = spec.arms();
        let jitters = arms.iter().any(|arm| {
            matches!(plan::resolved_recovery(student, &arm.stack), RecoverySpec::Jitter { .. })
        });
        if student.strategy.makes_inputs() || jitters {
            return Err(Error::config(
                format!("student[{i}]"),
                format!("`{}`, who asks inputs of its own making", student.name),
                "students that ask rows of the data set: a table of answers knows no others",
            ));
        }
    }
    Ok(())
}
