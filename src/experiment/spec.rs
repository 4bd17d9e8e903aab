//! What a config file says. Parsed once, range-checked once; nothing re-checks later.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::{DatasetSpec, SplitSpec};
use crate::defense::DefenseSpec;
use crate::error::{Error, Result, check_name, first_repeat, nearest};
use crate::model::{Arch, Recipe};
use crate::oracle::teacher::Reveal;
use crate::student::{PoolKnown, StudentSpec};

/// A whole experiment: cells = defenses x students x budgets x seeds x swept keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spec {
    /// Name of the run folder.
    pub name: String,
    /// A count (0, 1, ...) or a list.
    #[serde(default)]
    pub seeds: Seeds,
    /// `cpu`, `cuda:0` or `auto`.
    #[serde(default = "cpu")]
    pub device: String,
    /// How students reach the gateway.
    #[serde(default)]
    pub transport: Transport,
    /// Who is distilled.
    pub teacher: TeacherSpec,
    /// Where data files are.
    #[serde(default)]
    pub data: DataSpec,
    /// Rows per purpose.
    #[serde(default)]
    pub split: SplitSpec,
    /// What the teacher's API reveals.
    #[serde(default)]
    pub api: ApiSpec,
    /// What students may spend.
    pub budget: BudgetSpec,
    /// Honest users beside the students.
    #[serde(default)]
    pub traffic: TrafficSpec,
    /// The training rule that all students share.
    #[serde(default)]
    pub training: Recipe,
    /// Settings of the uncharged measurements.
    #[serde(default)]
    pub measure: MeasureSpec,
    /// Named stacks; the arm `none` always exists.
    #[serde(default)]
    pub defense: Vec<ArmSpec>,
    /// Who tries to distil.
    pub student: Vec<StudentSpec>,
    /// Dotted key to a list of values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sweep: BTreeMap<String, Vec<serde_json::Value>>,
}

/// A count or a list of seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Seeds {
    /// Seeds 0 to n - 1.
    Count(u64),
    /// These seeds.
    List(Vec<u64>),
}

/// How students reach the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// A call.
    #[default]
    InProcess,
    /// A loopback socket; virtual time is handed to the server by the run's own loop.
    Http,
}

/// The teacher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TeacherSpec {
    /// Where the teacher comes from.
    #[serde(default)]
    pub kind: TeacherKind,
    /// Data set of all rows.
    #[serde(default)]
    pub dataset: DatasetSpec,
    /// Its architecture, for `trained`.
    #[serde(default = "teacher_arch")]
    pub model: Arch,
    /// How it is trained, for `trained`.
    #[serde(default = "teacher_recipe")]
    pub training: Recipe,
    /// Address on this machine, for `loopback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Name of the model at that address, for `loopback`; the only one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_name: Option<String>,
    /// Model or answers file, for `safetensors` and `answers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Where the teacher comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TeacherKind {
    /// Trained here, one per seed, cached by content.
    #[default]
    Trained,
    /// Any Open Inference Protocol server on this machine.
    Loopback,
    /// A fixed model saved by retort.
    Safetensors,
    /// A table: one row of probabilities per row of the data set, as NPY.
    Answers,
}

/// Where data files are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct DataSpec {
    /// Folder of data sets; `--data` and `RETORT_DATA` come first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}

/// What the API reveals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ApiSpec {
    /// `probs`, `top-k` or `label`.
    pub reveal: RevealKind,
    /// Entries of a `top-k` answer.
    pub k: usize,
}

/// The part of an answer that the API gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RevealKind {
    #[default]
    Probs,
    TopK,
    Label,
}

/// What students may spend; the first to bind ends the cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BudgetSpec {
    /// Answered rows; one cell per value.
    pub queries: Vec<u64>,
    /// Days of virtual time; needed where a rate limit is to mean anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<f64>,
    /// Attempts per query of the budget, answered or not.
    #[serde(default = "attempts")]
    pub attempts_per_query: u64,
}

/// Honest users beside the students.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TrafficSpec {
    /// Honest accounts; kinds rotate: in-distribution, shifted, narrow topic, high volume.
    pub accounts: usize,
    /// Days over which they ask; the budget's days where those are given.
    pub days: f64,
}

/// A named stack of defenses, outermost first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ArmSpec {
    /// Name in tables.
    pub name: String,
    /// Layers; the first sees the request first and the reply last.
    pub stack: Vec<DefenseSpec>,
}

/// Settings of the uncharged measurements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct MeasureSpec {
    /// Rows drawn uniformly from the valid feature range for `agreement_uniform`.
    pub uniform_rows: usize,
    /// Rows on the teacher's decision boundary for `agreement_boundary`.
    pub boundary_rows: usize,
    /// Step of the adversarial examples (L-infinity, in feature units) for `transfer_asr`.
    pub transfer_eps: f64,
}

impl Default for Seeds {
    fn default() -> Self {
        Self::Count(5)
    }
}

impl Default for TrafficSpec {
    fn default() -> Self {
        Self { accounts: 8, days: 1.0 }
    }
}

impl Default for MeasureSpec {
    fn default() -> Self {
        Self { uniform_rows: 500, boundary_rows: 200, transfer_eps: 0.2 }
    }
}

fn cpu() -> String {
    "cpu".into()
}

fn teacher_arch() -> Arch {
    Arch::Mlp { hidden: vec![128, 128] }
}

fn teacher_recipe() -> Recipe {
    Recipe { steps: 1000, ..Recipe::default() }
}

const fn attempts() -> u64 {
    20
}

impl Seeds {
    /// The seeds themselves.
    pub fn values(&self) -> Vec<u64> {
        match self {
            Self::Count(n) => (0..*n).collect(),
            Self::List(list) => list.clone(),
        }
    }
}

impl ApiSpec {
    /// The teacher's setting.
    pub fn reveal(&self) -> Reveal {
        match self.reveal {
            RevealKind::Probs => Reveal::Probs,
            RevealKind::TopK => Reveal::TopK { k: self.k },
            RevealKind::Label => Reveal::Label,
        }
    }
}

impl Spec {
    /// The arms, `none` first.
    pub fn arms(&self) -> Vec<ArmSpec> {
        let mut arms = self.defense.clone();
        if !arms.iter().any(|a| a.name == "none") {
            arms.insert(0, ArmSpec { name: "none".into(), stack: Vec::new() });
        }
        arms
    }

    /// Virtual time at which asking ends.
    pub fn horizon_days(&self) -> f64 {
        self.budget.days.unwrap_or(self.traffic.days)
    }

    /// Range checks that need no data. Keys in errors are dotted paths of the config.
    pub fn validate(&self) -> Result<()> {
        check_name("name", &self.name)?;
        if self.seeds.values().is_empty() {
            return Err(Error::config("seeds", "no seed", "at least one seed"));
        }
        let seeds = self.seeds.values();
        if let Some(twice) = first_repeat(seeds.iter()) {
            return Err(Error::config("seeds", format!("seed {twice} twice"), "each seed once"));
        }
        self.validate_budget()?;
        self.validate_teacher()?;
        self.validate_names()?;
        for (i, arm) in self.defense.iter().enumerate() {
            if arm.stack.is_empty() && arm.name != "none" {
                let key = format!("defense[{i}].stack");
                return Err(Error::config(key, "an empty list", "at least one defense"));
            }
            let waits = arm.stack.iter().find(|d| d.waits());
            if let (Some(layer), None) = (waits, self.budget.days) {
                return Err(Error::config(
                    "budget.days",
                    format!(
                        "nothing, while arm `{}` has a {}",
                        arm.name,
                        layer.kind().replace('-', " ")
                    ),
                    "days of virtual time, such as `days = 2`: without them waiting costs nothing and the layer changes nothing",
                ));
            }
        }
        for (i, student) in self.student.iter().enumerate() {
            student.validate().map_err(|e| e.under(&format!("student[{i}]")))?;
            let strange = self.split.pool_dataset.is_some() && !student.strategy.makes_inputs();
            if strange && student.knows.pool == PoolKnown::In {
                return Err(Error::config(
                    format!("student[{i}].knows.pool"),
                    format!("`in` for `{}`, who asks rows of another set", student.name),
                    "`near` or `out-of-domain`",
                ));
            }
            if student.strategy.needs_public() && self.split.public == 0 {
                let kind = student.strategy.kind();
                return Err(Error::config(
                    "split.public",
                    format!("0, while student[{i}] (`{}`) starts from public rows", student.name),
                    format!("at least one row for the strategy `{kind}`"),
                ));
            }
        }
        self.training.check()?;
        if self.traffic.accounts > 10_000
            || !(self.traffic.days > 0.0 && self.traffic.days <= 3650.0)
        {
            return Err(Error::config(
                "traffic",
                format!("{} accounts, {} days", self.traffic.accounts, self.traffic.days),
                "at most 10000 accounts and more than 0 days, at most 3650",
            ));
        }
        if !(0.0..=1e6).contains(&self.measure.transfer_eps) {
            return Err(Error::config(
                "measure.transfer-eps",
                self.measure.transfer_eps.to_string(),
                "a step of 0 or more",
            ));
        }
        Ok(())
    }

    fn validate_budget(&self) -> Result<()> {
        let queries = &self.budget.queries;
        if queries.is_empty() {
            return Err(Error::config("budget.queries", "an empty list", "at least one budget"));
        }
        if let Some(i) = queries.iter().position(|&q| q == 0) {
            return Err(Error::config(
                format!("budget.queries[{i}]"),
                "0",
                "a budget of at least 1 query (what a student knows without asking is the `public` reference)",
            ));
        }
        if let Some(twice) = first_repeat(queries.iter()) {
            return Err(Error::config(
                "budget.queries",
                format!("{twice} twice"),
                "each budget once",
            ));
        }
        if self.budget.days.is_some_and(|d| !(d > 0.0 && d <= 3650.0)) {
            return Err(Error::config(
                "budget.days",
                format!("{:?}", self.budget.days.unwrap_or_default()),
                "more than 0 days, at most 3650",
            ));
        }
        if self.budget.attempts_per_query == 0 {
            return Err(Error::config("budget.attempts-per-query", "0", "at least 1"));
        }
        Ok(())
    }

    fn validate_teacher(&self) -> Result<()> {
        let t = &self.teacher;
        t.training.check().map_err(|e| e.under("teacher"))?;
        let needs = |key: &str, there: bool| {
            if there {
                return Ok(());
            }
            Err(Error::config(
                format!("teacher.{key}"),
                "nothing",
                format!("a value, for this kind of teacher ({:?})", t.kind),
            ))
        };
        match t.kind {
            TeacherKind::Trained => Ok(()),
            TeacherKind::Loopback => {
                needs("url", t.url.is_some())?;
                crate::oracle::http::check_loopback(t.url.as_deref().unwrap_or_default())
            }
            TeacherKind::Safetensors | TeacherKind::Answers => needs("path", t.path.is_some()),
        }
    }

    fn validate_names(&self) -> Result<()> {
        if self.student.is_empty() {
            return Err(Error::config("student", "no student", "at least one `[[student]]`"));
        }
        for (i, arm) in self.defense.iter().enumerate() {
            check_name(&format!("defense[{i}].name"), &arm.name)?;
        }
        for (i, student) in self.student.iter().enumerate() {
            check_name(&format!("student[{i}].name"), &student.name)?;
        }
        if let Some(name) = first_repeat(self.defense.iter().map(|a| &a.name)) {
            return Err(Error::config(
                "defense",
                format!("two arms called `{name}`"),
                "each name once",
            ));
        }
        if let Some(name) = first_repeat(self.student.iter().map(|s| &s.name)) {
            return Err(Error::config(
                "student",
                format!("two students called `{name}`"),
                "each name once",
            ));
        }
        Ok(())
    }

    /// The arm of this name.
    pub fn arm(&self, name: &str) -> Result<ArmSpec> {
        self.arms().into_iter().find(|a| a.name == name).ok_or_else(|| {
            let arms = self.arms();
            let known: Vec<&str> = arms.iter().map(|a| a.name.as_str()).collect();
            let hint = nearest(name, known.iter().copied()).map(|n| format!("; nearest `{n}`"));
            Error::input(
                "arm",
                format!("`{name}`"),
                format!("one of {}{}", known.join(", "), hint.unwrap_or_default()),
            )
        })
    }
}
