//! A student as configs write it: what it does and what it knows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ObjectiveSpec, RecoverySpec, StrategySpec};
use crate::error::{Error, Result};
use crate::model::Arch;

/// One student.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StudentSpec {
    /// Name in tables.
    pub name: String,
    /// What it asks.
    #[serde(default)]
    pub strategy: StrategySpec,
    /// What it fits.
    #[serde(default)]
    pub objective: ObjectiveSpec,
    /// What it does to answers first.
    #[serde(default)]
    pub recovery: RecoverySpec,
    /// Its architecture.
    pub model: Arch,
    /// What it knows before it asks.
    #[serde(default)]
    pub knows: Knows,
}

/// What a student knows: columns of every record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Knows {
    /// Of the defense.
    pub defense: DefenseKnown,
    /// Of the teacher's architecture.
    pub architecture: SameOrOther,
    /// Of the teacher's input distribution.
    pub pool: PoolKnown,
    /// True labels of public rows that it trains on too.
    pub public_labels: usize,
    /// Accounts that it spreads over; 0 and 1 are one account.
    pub accounts: usize,
}

/// What is known of the defense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DefenseKnown {
    #[default]
    None,
    Family,
    Parameters,
}

/// How the student's architecture relates to the teacher's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SameOrOther {
    Same,
    #[default]
    Other,
}

/// How the student's pool relates to the teacher's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PoolKnown {
    #[default]
    In,
    Near,
    OutOfDomain,
}

impl StudentSpec {
    /// Range checks; keys are relative to the student.
    pub fn validate(&self) -> Result<()> {
        let at = |key: &'static str| move |e| prefixed(e, key);
        self.strategy.validate().map_err(at("strategy"))?;
        self.objective.validate().map_err(at("objective"))?;
        self.recovery.validate().map_err(at("recovery"))?;
        if self.knows.accounts > 10_000 {
            return Err(Error::config(
                "knows.accounts",
                self.knows.accounts.to_string(),
                "at most 10000",
            ));
        }
        let informed = matches!(
            self.recovery,
            RecoverySpec::Counter
                | RecoverySpec::InverseTable { .. }
                | RecoverySpec::MatchedTemperature { .. }
        );
        if informed && self.knows.defense != DefenseKnown::Parameters {
            return Err(Error::config(
                "knows.defense",
                "less than the recovery uses",
                "`parameters`: this recovery runs the defense's own code with its settings",
            ));
        }
        Ok(())
    }

    /// True if it uses class labels only.
    pub fn label_only(&self) -> bool {
        matches!(self.objective, ObjectiveSpec::HardLabel {}) || self.recovery == RecoverySpec::Top1
    }
}

fn prefixed(error: Error, key: &str) -> Error {
    match error {
        Error::Config(mut e) => {
            e.key = format!("{key}.{}", e.key);
            Error::Config(e)
        }
        other => other,
    }
}

/// What a listing shows of one kind.
pub struct Card {
    /// Example, as a config writes it.
    pub example: serde_json::Value,
    /// What it is, and its paper.
    pub what: &'static str,
}

fn cards<T: Serialize>(examples: Vec<T>, what: impl Fn(&T) -> &'static str) -> Vec<Card> {
    examples
        .into_iter()
        .map(|e| Card { what: what(&e), example: serde_json::to_value(&e).unwrap_or_default() })
        .collect()
}

/// All strategies.
pub fn strategy_cards() -> Vec<Card> {
    cards(StrategySpec::examples(), |s| match s {
        StrategySpec::Entropy { .. } => {
            "most uncertain pool rows first (ActiveThief, Pal et al. 2020)"
        }
        StrategySpec::Jbda { .. } => {
            "public rows moved along the sign of the student's Jacobian (Papernot et al. 2017)"
        }
        StrategySpec::KCenter { .. } => {
            "pool rows that cover probability space (Gonzalez 1985; ActiveThief)"
        }
        StrategySpec::Random {} => "pool rows in random order (Orekondy et al. 2019)",
    })
}

/// All objectives.
pub fn objective_cards() -> Vec<Card> {
    cards(ObjectiveSpec::examples(), |o| match o {
        ObjectiveSpec::HardLabel {} => "cross-entropy to the most likely class",
        ObjectiveSpec::SoftLabels { .. } => "T^2 KL to the answer (Hinton et al. 2015)",
    })
}

/// All recoveries.
pub fn recovery_cards() -> Vec<Card> {
    cards(RecoverySpec::examples(), |r| match r {
        RecoverySpec::None => "answers as they come",
        RecoverySpec::Average { .. } => "asks n times, pays n times, averages",
        RecoverySpec::Counter => "the counter that the arm's defense declares",
        RecoverySpec::InverseTable { .. } => {
            "simulates the known defense and inverts it (ModelGuard's partial Bayes, Tang et al. 2024)"
        }
        RecoverySpec::Jitter { .. } => {
            "asks n moved copies, averages; against noise keyed by the input"
        }
        RecoverySpec::MatchedTemperature { .. } => "undoes a known temperature",
        RecoverySpec::Top1 => "keeps the most likely class only",
    })
}
