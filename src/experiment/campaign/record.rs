//! What one cell of a campaign leaves. Tables and figures read these and nothing else.

use serde::{Deserialize, Serialize};

pub use crate::campaign::adapt::Choice;
pub use crate::campaign::calibrate::Limit;
pub use crate::campaign::detection::Roc;
pub use crate::campaign::learn::Learnt;
pub use crate::campaign::money::Costs;
pub use crate::campaign::outcome::{Cap, Outcome, Party, Point};
pub use crate::campaign::spec::{Scenario, Scope};
pub use crate::campaign::tally::{Refusal, Tally};

/// Version of the layout; part of every cell id.
pub const VERSION: u32 = 2;

/// What a cell computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The population on its clock.
    Simulation,
    /// Students of what had leaked by each day.
    Learning,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignRecord {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// Name of the scenario.
    pub name: String,
    /// Swept keys and values; empty without a sweep.
    pub variant: String,
    /// Cell id: 16 hex digits.
    pub cell: String,
    /// Name of the arm.
    pub arm: String,
    /// Number of the replicate.
    pub replicate: u32,
    /// What follows.
    pub part: Part,
    /// What the simulation ended with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Outcome>,
    /// What students learnt.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub learnt: Vec<ActorLearnt>,
}

/// What the students of an actor learnt, day by day and area by area.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActorLearnt {
    /// Name of the actor.
    pub actor: String,
    /// Where the actor stood at the end of each day of the grid: a copy, so that a curve over days, dollars
    /// and operations needs no other record.
    pub points: Vec<Point>,
    /// One for each day of the grid and area.
    pub rows: Vec<Learnt>,
}

/// A setting of the scenario, and the evidence behind its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumption {
    /// Dotted key.
    pub key: String,
    /// Its value as TOML.
    pub value: String,
    /// `S` seen in a source, `M` measured or computed from public data, `K` known from the literature, `A`
    /// assumed; then what it is. Empty for a setting of the scenario's own.
    pub evidence: String,
    /// Whether the value is the default that the evidence is about.
    pub usual: bool,
}
