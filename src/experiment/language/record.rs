//! What one cell of a language experiment leaves. Tables and figures read these and nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::exam::{Guardrail, Report, Score, Share};
pub use crate::data::suite::Capability;
pub use crate::experiment::record::{Role, Stop};

/// Version of the layout; part of every cell id.
pub const VERSION: u32 = 1;

/// One cell or reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageRecord {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// Name of the experiment.
    pub name: String,
    /// Swept keys and values; empty without a sweep.
    pub variant: String,
    /// Cell id: 16 hex digits.
    pub cell: String,
    /// What is measured.
    pub role: Role,
    /// Name of the defense stack; `none` for references.
    pub arm: String,
    /// Name of the student; for references its size, empty for the teacher.
    pub student: String,
    /// Size of the student, or the name of what it starts from: students that are alike there share references.
    pub kin: String,
    /// Exchanges that it may have; 0 for references.
    pub budget: u64,
    /// Seed.
    pub seed: u64,
    /// True if the student uses text alone.
    pub text_only: bool,
    /// True if this student is the declared counter of every defense of the arm.
    pub counter: bool,
    /// Defenses of the arm, outermost first, with parameters.
    pub stack: Vec<String>,
    /// Leaves of the resolved config of this cell, by dotted key.
    pub config: BTreeMap<String, serde_json::Value>,
    /// Why asking ended.
    pub stop: Stop,
    /// What the model can do.
    pub report: Report,
    /// How like the undefended teacher it is; empty for the teacher itself.
    pub likeness: Vec<Likeness>,
    /// What was spent.
    pub spent: Spent,
    /// What an honest user of the arm got for the same problems, and of the undefended teacher; none for references.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub honest: Option<Honest>,
}

/// A model beside the undefended teacher, in one capability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Likeness {
    pub capability: Capability,
    /// Same result, scratchpads left out; none of free text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agreement: Option<Share>,
    /// The same where the teacher is wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_errors: Option<Share>,
    /// Mean KL(teacher || model) of the next token, along the right answers; nats. None where the two have different
    /// tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kl: Option<f64>,
}

/// What a student paid for, in counts and in money. Tokens are bytes, which is what an API of the laboratory passes,
/// whatever a model behind it computes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// Answers, refusals among them.
    pub queries: u64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens that came back.
    pub completion_tokens: u64,
    /// Tokens of the student's own that the teacher scored.
    pub scored_tokens: u64,
    pub usd: f64,
}

/// What honest users got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Honest {
    /// Answers through the defenses.
    pub defended: Report,
    /// Right answers of the undefended teacher, by capability.
    pub undefended: Vec<(Capability, Share)>,
    /// Share of answers that the defenses changed.
    pub changed: Share,
}
