//! What a scenario file says: who asks, through which limits, watched by whom, at what price.
//!
//! Every default carries the evidence behind it as `x-evidence` in the schema: `S` seen in a source,
//! `M` measured or computed from public data, `K` known from the literature, `A` an assumption.
//! `retort check --resolved` prints it beside each value.

mod actor;
mod benign;
mod check;
mod content;
mod detector;
mod learning;
mod limits;
mod response;

pub use actor::{ActorSpec, Chip, CostSpec, LinkageSpec, RateShape, TrainingSpec};
pub use benign::BenignSpec;
pub use content::ContentSpec;
pub use detector::{CalibrateSpec, DetectorKind, DetectorSpec, Scope};
pub use learning::{AreaSpec, LearningSpec};
pub use limits::{LimitsSpec, Reserve, ScopeKey, ScopeLimit, TierSpec, Unit, anthropic_2025};
pub use response::{Action, ResponseSpec};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A whole scenario: cells = arms x replicates (x any swept key).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// Length, clock and repetition.
    pub scenario: ClockSpec,
    /// The teacher behind the API.
    #[serde(default)]
    pub teacher: TeacherSpec,
    /// Steps of the ladder of limits, lowest first.
    #[serde(default = "anthropic_2025")]
    pub tier: Vec<TierSpec>,
    /// How limits are counted, and limits that accounts share.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// Honest accounts.
    #[serde(default)]
    pub benign: BenignSpec,
    /// What requests are about.
    #[serde(default)]
    pub content: ContentSpec,
    /// Who distils.
    pub actor: Vec<ActorSpec>,
    /// Who watches.
    #[serde(default)]
    pub detector: Vec<DetectorSpec>,
    /// What follows an alarm.
    #[serde(default)]
    pub response: ResponseSpec,
    /// Sets of limits and detectors to compare; without any: `open`, `limits` and `all`.
    #[serde(default)]
    pub arm: Vec<ArmSpec>,
    /// What is learnt from what leaks.
    #[serde(default)]
    pub learning: LearningSpec,
    /// What is written.
    #[serde(default)]
    pub output: OutputSpec,
    /// Dotted key to a list of values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sweep: BTreeMap<String, Vec<serde_json::Value>>,
}

/// Length, clock and repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClockSpec {
    /// Name of the run folder.
    pub name: String,
    /// Version of this layout: 1.
    pub schema: u32,
    /// Root of all random streams.
    pub seed: u64,
    /// Days of virtual time.
    #[serde(default = "days")]
    #[schemars(extend("x-evidence" = "S: window of the second disclosure; the first gives none"))]
    pub days: u32,
    /// Minutes between barriers, where accounts learn of each other.
    #[serde(default = "epoch_minutes")]
    #[schemars(extend("x-evidence" = "A: reactions are late by at most this"))]
    pub epoch_minutes: u32,
    /// Independent repetitions; arms share their draws.
    #[serde(default = "replicates")]
    #[schemars(extend("x-evidence" = "A"))]
    pub replicates: u32,
    /// Day of the week at time zero.
    #[serde(default)]
    pub start_weekday: Weekday,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Weekday {
    #[default]
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// The teacher as a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TeacherSpec {
    /// List price of input tokens.
    #[schemars(extend("x-evidence" = "S: Sonnet 4.6, early 2026"))]
    pub price_in_usd_per_mtok: f64,
    /// List price of output tokens.
    #[schemars(extend("x-evidence" = "S: Sonnet 4.6, early 2026"))]
    pub price_out_usd_per_mtok: f64,
    /// From admission to the end of an answer.
    #[schemars(extend("x-evidence" = "A"))]
    pub latency_s: f64,
}

/// A set of limits and detectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ArmSpec {
    /// Name in tables.
    pub name: String,
    /// Whether tiers and scopes bind.
    #[serde(default = "yes")]
    pub limits: bool,
    /// Names of detectors that watch.
    #[serde(default)]
    pub detectors: Vec<String>,
    /// Accounts that share at least so many of card, device and address are linked.
    #[serde(default = "link_by")]
    #[schemars(extend("x-evidence" = "A"))]
    pub link_by: u32,
    /// What becomes a cluster.
    #[serde(default)]
    pub link_with: LinkWith,
    /// Whether actors know what watches them and run their accounts in the cheapest way that still works.
    #[serde(default)]
    pub adaptive: bool,
}

/// How linked accounts become clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkWith {
    /// Connected components: all that hang together, by however few.
    #[default]
    Components,
    /// Label propagation (Raghavan et al. 2007): communities, so that one shared address does not join two
    /// families.
    Propagation,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct OutputSpec {
    /// Days at which the campaign is measured; those beyond its end are dropped.
    #[schemars(extend("x-evidence" = "A"))]
    pub day_grid: Vec<u32>,
}

impl Default for TeacherSpec {
    fn default() -> Self {
        Self { price_in_usd_per_mtok: 3.0, price_out_usd_per_mtok: 15.0, latency_s: 8.0 }
    }
}

impl Default for OutputSpec {
    fn default() -> Self {
        Self { day_grid: vec![1, 3, 7, 14, 30, 45] }
    }
}

const fn days() -> u32 {
    45
}

const fn epoch_minutes() -> u32 {
    60
}

const fn replicates() -> u32 {
    20
}

const fn link_by() -> u32 {
    2
}

const fn yes() -> bool {
    true
}

impl Scenario {
    /// The arms, in order.
    pub fn arms(&self) -> Vec<ArmSpec> {
        if !self.arm.is_empty() {
            return self.arm.clone();
        }
        let arm = |name: &str, limits, detectors| ArmSpec {
            name: name.into(),
            limits,
            detectors,
            link_by: link_by(),
            link_with: LinkWith::default(),
            adaptive: false,
        };
        let every = self.detector.iter().map(|d| d.name.clone()).collect();
        let mut arms = vec![arm("open", false, vec![]), arm("limits", true, vec![])];
        if !self.detector.is_empty() {
            arms.push(arm("all", true, every));
        }
        arms
    }

    /// Days at which the campaign is measured, its last day included.
    pub fn day_grid(&self) -> Vec<u32> {
        let last = self.scenario.days;
        let mut grid: Vec<u32> =
            self.output.day_grid.iter().copied().filter(|&d| d < last).collect();
        grid.push(last);
        grid
    }
}
