//! Published numbers beside ours: what `experiments/NAME/expected.toml` says, and how a row is judged.
//!
//! A row is *within* if it differs from the published number by at most the tolerance: 1.96 standard deviations of one
//! published run, plus half of the last digit printed. The variance is p (1 - p) / n of the share p of n test rows, plus
//! the variance of ours over seeds; where the paper prints a spread of its own, that spread's square takes the
//! place of the first. Rows that arithmetic decides (equations) have no tolerance but the digit.

mod table;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use table::{Outcome, table};

use crate::error::{Error, Result};
use crate::experiment::record::{Record, Role, Stop};
use crate::metric::{mean_ci, variance};

/// An experiment's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expected {
    /// Where the numbers were published.
    pub paper: String,
    /// Whether its rows take less than two minutes each on two cores.
    #[serde(default)]
    pub quick: bool,
    /// What is compared.
    pub row: Vec<Row>,
}

/// A published number, and where ours is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Row {
    /// What it is.
    pub name: String,
    /// The number as it is printed, so that its last digit counts; absent where none was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    /// What the number counts.
    #[serde(default)]
    pub unit: Unit,
    /// Standard deviation that the source prints beside it, in the same unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    /// How the number was found.
    pub tag: Tag,
    /// Table, figure or file.
    pub source: String,
    /// What makes a verdict.
    #[serde(default)]
    pub rule: Rule,
    /// What is not as it was published; empty where nothing is.
    #[serde(default)]
    pub changed: String,
    /// Config beside `expected.toml`.
    #[serde(default = "config")]
    pub config: String,
    /// Score of the records.
    pub metric: String,
    /// Whose records.
    #[serde(default = "student_role")]
    pub role: Role,
    /// Arm.
    #[serde(default = "none")]
    pub arm: String,
    /// Student; for references its architecture.
    #[serde(default)]
    pub student: String,
    /// Student whose score of the same seed is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus: Option<String>,
    /// Query budget; 0 for references.
    #[serde(default)]
    pub budget: u64,
    /// Swept keys and values, where there is a sweep.
    #[serde(default)]
    pub variant: String,
}

/// What a published number counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Hundredths of a share.
    #[default]
    Percent,
    /// Hundredths of what is missing to one.
    PercentMissing,
    /// A share.
    Fraction,
    /// Wrong answers on all test rows.
    Errors,
    /// Anything else, in the unit of the metric.
    Plain,
}

/// How a published number was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Tag {
    /// Read in the source itself.
    V,
    /// Read in somebody's summary.
    S,
    /// Derived: arithmetic.
    D,
}

/// What makes a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Within the tolerance of one published run.
    #[default]
    Within,
    /// Equal in every digit printed, whatever the seed.
    Exact,
    /// Our interval lies at or above the number.
    AtLeast,
    /// Our interval lies at or below the number.
    AtMost,
    /// No number to compare with: a question that is reported.
    Open,
}

/// How a row came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The rule holds.
    Within,
    /// It does not.
    Differs,
    /// Nothing was to be compared.
    Open,
}

impl Verdict {
    /// As tables write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Differs => "DIFFERS",
            Self::Open => "open",
        }
    }
}

/// A judged row, in the unit of the published number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    pub row: Row,
    /// Mean over seeds.
    pub ours: f64,
    /// 95 % interval of the mean, Student t; none with fewer than two seeds.
    pub interval: Option<(f64, f64)>,
    pub seeds: usize,
    /// Most that a published run may differ.
    pub tolerance: Option<f64>,
    pub verdict: Verdict,
}

fn config() -> String {
    "config.toml".into()
}

const fn student_role() -> Role {
    Role::Student
}

fn none() -> String {
    "none".into()
}

impl Expected {
    /// Refuses rows that cannot be judged; keys are relative to the file.
    pub fn check(&self) -> Result<()> {
        let rows = self.row.iter().enumerate();
        rows.into_iter()
            .try_for_each(|(i, row)| row.check().map_err(|e| e.under(&format!("row[{i}]"))))
    }

    /// Configs that the rows need, each once, in order.
    pub fn configs(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for row in &self.row {
            if !all.contains(&&row.config[..]) {
                all.push(&row.config);
            }
        }
        all
    }
}

impl Row {
    fn check(&self) -> Result<()> {
        let number = self.published.as_deref().map(|text| (text, text.parse::<f64>()));
        match (number, self.rule) {
            (None, Rule::Open) => Ok(()),
            (None, _) => Err(Error::config("published", "nothing", "a number, or the rule `open`")),
            (Some((text, Err(_))), _) => {
                Err(Error::config("published", text, "a number, as printed"))
            }
            (Some((text, Ok(number))), _) if !number.is_finite() => {
                Err(Error::config("published", text, "a finite number"))
            }
            _ => Ok(()),
        }
    }

    /// A score of `tests` test rows in the unit of the published number.
    fn scaled(&self, score: f64, tests: usize) -> f64 {
        match self.unit {
            Unit::Percent => 100.0 * score,
            Unit::PercentMissing => 100.0 * (1.0 - score),
            Unit::Fraction | Unit::Plain => score,
            Unit::Errors => (1.0 - score) * tests as f64,
        }
    }

    /// Variance of one published run over the choice of `tests` test rows, in its unit.
    fn sampling(&self, published: f64, tests: usize) -> f64 {
        if let Some(spread) = self.spread {
            return spread * spread;
        }
        let (scale, n) = match self.unit {
            Unit::Plain => return 0.0,
            Unit::Percent | Unit::PercentMissing => (100.0, tests as f64),
            Unit::Fraction => (1.0, tests as f64),
            Unit::Errors => (tests as f64, tests as f64),
        };
        let share = (published / scale).clamp(0.0, 1.0);
        scale * scale * share * (1.0 - share) / n.max(1.0)
    }

    /// The row beside what `records` say. Records of diverged cells and of other points are not looked at.
    pub fn judge(&self, records: &[Record]) -> Result<Judged> {
        let values = self.values(records)?;
        let estimate = mean_ci(&values, 0.95);
        let interval = estimate.low.zip(estimate.high);
        let (ours, seeds) = (estimate.mean, values.len());
        let done = |tolerance, verdict| Judged {
            row: self.clone(),
            ours,
            interval,
            seeds,
            tolerance,
            verdict,
        };
        let Some(text) = &self.published else { return Ok(done(None, Verdict::Open)) };
        let published: f64 =
            text.parse().map_err(|_| Error::config("published", text, "a number"))?;
        let digit = 0.5 * last_digit(text);
        let tests = self.tests(records);
        let slack = match self.rule {
            Rule::Within => {
                let variance = self.sampling(published, tests) + variance(&values);
                1.96 * variance.sqrt() + digit
            }
            Rule::Exact => digit,
            Rule::AtLeast | Rule::AtMost => 0.0,
            Rule::Open => return Ok(done(None, Verdict::Open)),
        };
        let (low, high) = interval.unwrap_or((ours, ours));
        // A double has no more digits than this.
        let slack = slack + 1e-9 * published.abs().max(1.0);
        let holds = match self.rule {
            Rule::Exact => values.iter().all(|v| (v - published).abs() <= slack),
            Rule::AtLeast => low >= published - slack,
            Rule::AtMost => high <= published + slack,
            Rule::Within | Rule::Open => (ours - published).abs() <= slack,
        };
        let tolerance = matches!(self.rule, Rule::Within | Rule::Exact).then_some(slack);
        Ok(done(tolerance, if holds { Verdict::Within } else { Verdict::Differs }))
    }

    fn of_student<'a>(
        &'a self,
        records: &'a [Record],
        student: &'a str,
    ) -> impl Iterator<Item = &'a Record> {
        records.iter().filter(move |r| {
            r.stop != Stop::Diverged
                && r.role == self.role
                && r.arm == self.arm
                && r.student == student
                && r.budget == self.budget
                && r.variant == self.variant
        })
    }

    fn tests(&self, records: &[Record]) -> usize {
        self.of_student(records, &self.student).map(|r| r.right.len()).next().unwrap_or(0)
    }

    /// One value a seed, in the order of seeds.
    fn values(&self, records: &[Record]) -> Result<Vec<f64>> {
        let by_seed = |student: &str| {
            let mut all: Vec<(u64, f64)> = self
                .of_student(records, student)
                .filter_map(|r| Some((r.seed, self.scaled(r.get(&self.metric)?, r.right.len()))))
                .collect();
            all.sort_by_key(|(seed, _)| *seed);
            all
        };
        let own = by_seed(&self.student);
        let values: Vec<f64> = match &self.minus {
            None => own.into_iter().map(|(_, v)| v).collect(),
            Some(other) => {
                let theirs: std::collections::BTreeMap<u64, f64> =
                    by_seed(other).into_iter().collect();
                own.iter().filter_map(|(seed, v)| Some(v - theirs.get(seed)?)).collect()
            }
        };
        if values.is_empty() {
            let what = format!("records of row `{}`", self.name);
            let expected = format!(
                "`{}` of {} `{}` in arm `{}` at a budget of {}{}",
                self.metric,
                self.role.name(),
                self.student,
                self.arm,
                self.budget,
                if self.variant.is_empty() {
                    String::new()
                } else {
                    format!(" where {}", self.variant)
                }
            );
            return Err(Error::input(what, "none", expected));
        }
        Ok(values)
    }
}

/// What the last printed digit is worth: .01 for `99.96`, 1 for `67`.
fn last_digit(text: &str) -> f64 {
    let decimals = text.split_once('.').map_or(0, |(_, after)| after.len());
    libm::pow(10.0, -(decimals as f64))
}

#[cfg(test)]
mod tests;
