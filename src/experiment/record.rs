//! The record: one plain struct, written once, byte-equal for equal config, seed, build and machine
//! class. Tables and figures read records and nothing else.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Score;

/// Version of the record's layout; part of every cell id.
pub const VERSION: u32 = 2;

/// What a record measures.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The undefended teacher of a seed.
    Teacher,
    /// A student of the same architecture that was never trained.
    Untrained,
    /// The same student, on the true labels of the public split only.
    Public,
    /// The same student, distilled with undefended full answers on pool and public rows, no budget.
    Insider,
    /// A cell: one student under one arm, budget and seed.
    Student,
}

impl Role {
    /// Its name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Untrained => "untrained",
            Self::Public => "public",
            Self::Insider => "insider",
            Self::Student => "student",
        }
    }
}

/// Why asking ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// A budget bound: queries.
    BudgetSpent,
    /// The student had nothing left to ask.
    StudentDone,
    /// The days of the budget were over.
    DaysOver,
    /// Every account is blocked.
    Blocked,
    /// Attempts reached their cap.
    AttemptsSpent,
    /// Nothing was asked: a reference.
    NotAsked,
    /// Training met a value that is not finite: no accuracy is reported.
    Diverged,
}

/// One cell or reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// Name of the experiment.
    pub name: String,
    /// Swept keys and values; empty without a sweep. Tables never aggregate over it.
    #[serde(default)]
    pub variant: String,
    /// Cell id: 16 hex digits.
    pub cell: String,
    /// What is measured.
    pub role: Role,
    /// Name of the defense stack; `none` for references.
    pub arm: String,
    /// Name of the student; for references the name of its architecture, empty for the teacher.
    pub student: String,
    /// Architecture and training rule of the student, equal for records that share references.
    pub kin: String,
    /// Query budget; 0 for references.
    pub budget: u64,
    /// Seed.
    pub seed: u64,
    /// True if the student uses class labels only (the control of every defense row).
    pub label_only: bool,
    /// True if this student is, or contains, the counter that the arm's defense declares.
    pub counter: bool,
    /// Kinds of the arm's defenses, outermost first, with parameters, such as `round(digits=1)`.
    pub stack: Vec<String>,
    /// Leaves of the resolved config of this cell, by dotted key.
    pub config: BTreeMap<String, serde_json::Value>,
    /// Why asking ended.
    pub stop: Stop,
    /// Scores, in fixed order.
    pub scores: Vec<Score>,
    /// Per test item, 1 where the student is right and 0 where not; the teacher's and references' too.
    /// For two-level bootstraps. Written as a string of `0` and `1`.
    pub right: String,
    /// Per account: name, attempted, answered, denied by reason, broken off.
    pub accounts: Vec<AccountTotals>,
    /// Mean and maximal L1 distortion that each stage of the stack added, outermost first.
    pub stages: Vec<StageDistortion>,
}

/// Counters of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountTotals {
    pub account: u32,
    pub actor: String,
    pub attempted: u64,
    pub answered: u64,
    pub denied: BTreeMap<String, u64>,
    pub broken_off: u64,
}

/// What one layer changed, over all rows that passed it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageDistortion {
    pub layer: String,
    pub rows: u64,
    pub l1_mean: f64,
    pub l1_max: f64,
    pub top1_changed: u64,
}

impl Record {
    /// The score called `metric`, if it is there and defined.
    pub fn get(&self, metric: &str) -> Option<f64> {
        self.scores.iter().find(|s| s.metric == metric).and_then(|s| s.value)
    }
}
