//! What a config of a language experiment says. Parsed once, range-checked once.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objective::Objective;
use super::prompts::Prompts;
use super::start::{self, Start};
use super::teacher::TeacherSpec;
use crate::data::suite::{Capability, Mix, Ranges};
use crate::defense::text::TextDefenseSpec;
use crate::error::{Error, Result, check_name, first_repeat};
use crate::experiment::spec::Seeds;
use crate::model::language::Sampling;

/// A whole experiment: cells = defenses x students x budgets x seeds x swept keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LanguageSpec {
    /// `language`: what tells this config from those of classifiers.
    pub kind: Kind,
    /// Name of the run folder.
    pub name: String,
    /// A count (0, 1, ...) or a list.
    #[serde(default)]
    pub seeds: Seeds,
    /// Who is distilled.
    #[serde(default)]
    pub teacher: Teacher,
    /// What can be asked, and how much of it is held out.
    #[serde(default)]
    pub suite: SuiteSpec,
    /// What the teacher's API reveals, and its prices.
    #[serde(default)]
    pub api: ApiSpec,
    /// What students may spend.
    pub budget: BudgetSpec,
    /// The training rule that all students share.
    #[serde(default)]
    pub training: Training,
    /// Students that do not ask through the API.
    #[serde(default)]
    pub reference: ReferenceSpec,
    /// What defenders hold in the place of students, for defenses that need it.
    #[serde(default)]
    pub proxy: ProxySpec,
    /// Named stacks; the arm `none` always exists.
    #[serde(default)]
    pub defense: Vec<ArmSpec>,
    /// Who tries to distil.
    pub student: Vec<StudentSpec>,
    /// Dotted key to a list of values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sweep: BTreeMap<String, Vec<serde_json::Value>>,
}

/// The kind of experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Language,
}

/// Where the teacher comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case")]
pub enum Teacher {
    /// The one that comes with this program, for every seed.
    #[default]
    Shipped,
    /// One trained for each seed; takes minutes each, kept in the cache.
    Trained {
        #[serde(default)]
        recipe: TeacherSpec,
    },
    /// A decoder over bytes that `save` wrote.
    File { path: String },
    /// A model of the Llama family: a GGUF file, or a folder with `config.json`, `tokenizer.json` and
    /// `model.safetensors` (or its pieces). It goes on from the bytes of prompts in its own tokens.
    Llama { path: String },
}

/// Problems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SuiteSpec {
    /// How far problems reach.
    pub ranges: Ranges,
    /// How often in-distribution prompts are of each capability: reasoning, run, write, tools, format, guardrail,
    /// text.
    pub mix: [u32; 7],
    /// Held-out problems of each capability that a model is graded on.
    pub items: usize,
}

impl Default for SuiteSpec {
    fn default() -> Self {
        let mix = Capability::ALL.map(|capability| Mix::default().weight(capability));
        Self { ranges: Ranges::default(), mix, items: 200 }
    }
}

/// What the API reveals beside the text, and what it costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ApiSpec {
    /// Log-probabilities of the most likely tokens at each place: how many; 0 is none, 256 is all
    /// of a teacher over bytes.
    pub top_logprobs: usize,
    /// Price of a million prompt tokens.
    pub usd_per_million_prompt_tokens: f64,
    /// Price of a million completion tokens.
    pub usd_per_million_completion_tokens: f64,
}

impl Default for ApiSpec {
    /// Text alone, at the prices that campaigns assume.
    fn default() -> Self {
        Self {
            top_logprobs: 0,
            usd_per_million_prompt_tokens: 3.0,
            usd_per_million_completion_tokens: 15.0,
        }
    }
}

/// What students may spend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BudgetSpec {
    /// Exchanges; one cell per value.
    pub queries: Vec<u64>,
}

/// How every student of a table is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Training {
    /// Highest learning rate.
    pub lr: f64,
    /// Exchanges of a step.
    pub batch: usize,
    /// Steps, whatever the budget: students of several budgets then differ in data alone.
    pub steps: usize,
    /// Share of the exchanges that is held back, to stop where a student would memorise.
    pub validation: f64,
}

impl Default for Training {
    fn default() -> Self {
        Self { lr: 2e-3, batch: 20, steps: 4_000, validation: 0.05 }
    }
}

/// Students that do not ask through the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ReferenceSpec {
    /// True problems with true answers that the `public` student knows; 0 for no such student.
    pub public: usize,
    /// Whether there is an `insider`: as many undefended answers as its steps can take, each met once.
    pub insider: bool,
}

/// A student of the defender's own: defenses that make answers hard to learn try them on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ProxySpec {
    pub model: Size,
    /// True problems with true answers that it learns from.
    pub exchanges: usize,
    /// True problems that others are not to learn.
    pub lessons: usize,
}

impl Default for ProxySpec {
    fn default() -> Self {
        Self { model: Size::default(), exchanges: 5_000, lessons: 200 }
    }
}

/// A named stack of defenses, outermost first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ArmSpec {
    /// Name in tables.
    pub name: String,
    /// Layers; the first sees the request first and the reply last.
    pub stack: Vec<TextDefenseSpec>,
}

/// A student.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StudentSpec {
    /// Name in tables.
    pub name: String,
    /// Its size, where it is fresh.
    #[serde(default)]
    pub model: Size,
    /// What it starts from in the place of fresh weights of that size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// What it makes of answers.
    #[serde(default)]
    pub objective: Objective,
    /// What it asks.
    #[serde(default)]
    pub prompts: Prompts,
    /// How it has the teacher choose its words.
    #[serde(default)]
    pub sampling: Sampling,
    /// How often it asks each prompt; of several answers one that most agree with is kept.
    #[serde(default = "once")]
    pub votes: usize,
    /// Whether it throws away refusals: what it learns from is then benign only.
    #[serde(default)]
    pub benign_only: bool,
    /// What it holds beside the answers.
    #[serde(default)]
    pub knows: Knowledge,
}

impl StudentSpec {
    /// Students that are alike before they learn share references: `2x96`, or the name of what they start from.
    pub fn kin(&self) -> String {
        self.start.as_ref().map_or_else(|| self.model.label(), Start::label)
    }
}

const fn once() -> usize {
    1
}

/// What a student holds beside the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Knowledge {
    /// Public problems of reasoning and running programs, with their true scratchpads. It learns from them too.
    pub worked: usize,
    /// Whether it has a model of them rebuild the scratchpads that an API hides (arXiv:2603.07267).
    pub invert: bool,
}

/// Size of a decoder over bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Size {
    /// Blocks, heads of each, and their width.
    pub layers: usize,
    pub heads: usize,
    pub width: usize,
}

impl Default for Size {
    /// A third of the teacher's parameters.
    fn default() -> Self {
        Self { layers: 2, heads: 4, width: 96 }
    }
}

impl Size {
    /// `2x96`
    pub fn label(self) -> String {
        format!("{}x{}", self.layers, self.width)
    }
}

impl LanguageSpec {
    /// The arms, `none` first.
    pub fn arms(&self) -> Vec<ArmSpec> {
        let none = ArmSpec { name: "none".into(), stack: Vec::new() };
        let missing = !self.defense.iter().any(|arm| arm.name == "none");
        missing.then_some(none).into_iter().chain(self.defense.iter().cloned()).collect()
    }

    /// The largest budget.
    pub fn most(&self) -> u64 {
        self.budget.queries.iter().copied().max().unwrap_or(0)
    }

    /// Range checks. Keys in errors are dotted paths of the config.
    pub fn validate(&self) -> Result<()> {
        check_name("name", &self.name)?;
        let seeds = self.seeds.values();
        if seeds.is_empty() {
            return Err(Error::config("seeds", "no seed", "at least one seed"));
        }
        if let Some(twice) = first_repeat(seeds.iter()) {
            return Err(Error::config("seeds", format!("seed {twice} twice"), "each seed once"));
        }
        self.validate_suite()?;
        self.validate_budget()?;
        self.training.check()?;
        self.validate_arms()?;
        self.check_teacher()?;
        self.validate_students()
    }

    fn validate_suite(&self) -> Result<()> {
        let suite = &self.suite;
        Mix::new(suite.mix).map_err(|e| e.under("suite"))?;
        suite.ranges.check().map_err(|e| e.under("suite"))?;
        if !(1..=2_000).contains(&suite.items) {
            let found = suite.items.to_string();
            return Err(Error::config("suite.items", found, "1 to 2000 problems"));
        }
        let api = &self.api;
        if api.top_logprobs > 256 {
            let found = api.top_logprobs.to_string();
            return Err(Error::config("api.top-logprobs", found, "0 (none) to 256 (all)"));
        }
        for (key, usd) in [
            ("api.usd-per-million-prompt-tokens", api.usd_per_million_prompt_tokens),
            ("api.usd-per-million-completion-tokens", api.usd_per_million_completion_tokens),
        ] {
            if !(0.0..=1e6).contains(&usd) {
                return Err(Error::config(key, usd.to_string(), "0 to 1000000"));
            }
        }
        Ok(())
    }

    fn validate_budget(&self) -> Result<()> {
        let queries = &self.budget.queries;
        if queries.is_empty() {
            return Err(Error::config("budget.queries", "an empty list", "at least one budget"));
        }
        if let Some(i) = queries.iter().position(|q| !(1..=MOST_EXCHANGES).contains(q)) {
            let key = format!("budget.queries[{i}]");
            let expected = format!("1 to {MOST_EXCHANGES} exchanges");
            return Err(Error::config(key, queries[i].to_string(), expected));
        }
        if let Some(twice) = first_repeat(queries.iter()) {
            let found = format!("{twice} twice");
            return Err(Error::config("budget.queries", found, "each budget once"));
        }
        if self.reference.public as u64 > MOST_EXCHANGES {
            let found = self.reference.public.to_string();
            return Err(Error::config("reference.public", found, format!("0 to {MOST_EXCHANGES}")));
        }
        Ok(())
    }

    fn validate_arms(&self) -> Result<()> {
        for (i, arm) in self.defense.iter().enumerate() {
            check_name(&format!("defense[{i}].name"), &arm.name)?;
            if arm.stack.is_empty() && arm.name != "none" {
                let key = format!("defense[{i}].stack");
                return Err(Error::config(key, "an empty list", "at least one defense"));
            }
            for (j, layer) in arm.stack.iter().enumerate() {
                layer.check().map_err(|e| e.under(&format!("defense[{i}].stack[{j}]")))?;
            }
        }
        let ProxySpec { model, exchanges, lessons } = self.proxy;
        super::decoder(model.layers, model.heads, model.width)
            .check()
            .map_err(|e| e.under("proxy"))?;
        for (key, count) in [("proxy.exchanges", exchanges), ("proxy.lessons", lessons)] {
            if !(1..=MOST_EXCHANGES).contains(&(count as u64)) {
                let expected = format!("1 to {MOST_EXCHANGES} problems");
                return Err(Error::config(key, count.to_string(), expected));
            }
        }
        match first_repeat(self.defense.iter().map(|arm| &arm.name)) {
            Some(name) => {
                Err(Error::config("defense", format!("two arms called `{name}`"), "each name once"))
            }
            None => Ok(()),
        }
    }

    fn validate_students(&self) -> Result<()> {
        if self.student.is_empty() {
            return Err(Error::config("student", "no student", "at least one `[[student]]`"));
        }
        for (i, student) in self.student.iter().enumerate() {
            let key = format!("student[{i}]");
            check_name(&format!("{key}.name"), &student.name)?;
            let Size { layers, heads, width } = student.model;
            super::decoder(layers, heads, width).check().map_err(|e| e.under(&key))?;
            student.sampling.check().map_err(|e| e.under(&key))?;
            student.prompts.check().map_err(|e| e.under(&key))?;
            self.check_objective(student).map_err(|e| e.under(&key))?;
            if !(1..=99).contains(&student.votes) {
                let (key, found) = (format!("{key}.votes"), student.votes.to_string());
                return Err(Error::config(key, found, "1 to 99"));
            }
            if student.votes > 1 && matches!(student.prompts, Prompts::Uncertainty { .. }) {
                let (key, found) = (format!("{key}.votes"), student.votes.to_string());
                return Err(Error::config(key, found, "1, where prompts are chosen in rounds"));
            }
            let Knowledge { worked, invert } = student.knows;
            if worked as u64 > MOST_EXCHANGES || (invert && worked == 0) {
                let key = format!("{key}.knows.worked");
                let least = if invert { "1 or more, to learn inversion from," } else { "0" };
                let expected = format!("{least} up to {MOST_EXCHANGES}");
                return Err(Error::config(key, worked.to_string(), expected));
            }
        }
        start::check_names(&self.student)?;
        match first_repeat(self.student.iter().map(|student| &student.name)) {
            Some(name) => {
                let found = format!("two students called `{name}`");
                Err(Error::config("student", found, "each name once"))
            }
            None => Ok(()),
        }
    }

    /// The student of this name.
    pub fn student(&self, name: &str) -> Result<&StudentSpec> {
        let found = self.student.iter().find(|student| student.name == name);
        found.ok_or_else(|| Error::Internal(format!("no student is called {name}")))
    }

    /// The arm of this name.
    pub fn arm(&self, name: &str) -> Result<ArmSpec> {
        let found = self.arms().into_iter().find(|arm| arm.name == name);
        found.ok_or_else(|| Error::Internal(format!("no arm is called {name}")))
    }
}

/// Most exchanges of a budget: all are held in memory at once.
const MOST_EXCHANGES: u64 = 1_000_000;

impl Training {
    fn check(&self) -> Result<()> {
        let Self { lr, batch, steps, validation } = *self;
        if !(lr > 0.0 && lr <= 1.0) {
            return Err(Error::config("training.lr", lr.to_string(), "above 0, up to 1"));
        }
        for (key, count, most) in
            [("training.batch", batch, 10_000), ("training.steps", steps, 10_000_000)]
        {
            if !(1..=most).contains(&count) {
                return Err(Error::config(key, count.to_string(), format!("1 to {most}")));
            }
        }
        if !(0.0..=0.5).contains(&validation) {
            let found = validation.to_string();
            return Err(Error::config("training.validation", found, "0 to 0.5"));
        }
        Ok(())
    }
}
