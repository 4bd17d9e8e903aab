//! A student as configs write it: what it does and what it knows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Completion, ObjectiveSpec, RecoverySpec, StrategySpec};
use crate::error::{Error, Result};
use crate::model::Arch;
use crate::oracle::AnswerKind;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Accounts that it spreads over, 1 to 10000.
    pub accounts: usize,
}

impl Default for Knows {
    fn default() -> Self {
        Self {
            defense: DefenseKnown::default(),
            architecture: SameOrOther::default(),
            pool: PoolKnown::default(),
            public_labels: 0,
            accounts: 1,
        }
    }
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
        let at = |key: &'static str| move |e: Error| e.under(key);
        if self.name.is_empty() {
            return Err(Error::config("name", "an empty name", "a name for tables"));
        }
        self.strategy.validate().map_err(at("strategy"))?;
        self.objective.validate().map_err(at("objective"))?;
        self.recovery.validate().map_err(at("recovery"))?;
        self.fits_strategy()?;
        self.fits_model()?;
        if !(1..=10_000).contains(&self.knows.accounts) {
            let found = self.knows.accounts.to_string();
            return Err(Error::config("knows.accounts", found, "1 to 10000"));
        }
        if self.recovery.informed() && self.knows.defense != DefenseKnown::Parameters {
            return Err(Error::config(
                "knows.defense",
                format!("less than the recovery `{}` uses", self.recovery.kind()),
                "`parameters`: this recovery runs the defense's own code with its settings",
            ));
        }
        Ok(())
    }

    /// Refuses what does not go together with the strategy.
    fn fits_strategy(&self) -> Result<()> {
        let strategy = self.strategy.kind();
        let refuse = |key: &str, found: &str, expected: &str| {
            let found = format!("`{found}`, with the strategy `{strategy}`");
            Err(Error::config(key, found, expected))
        };
        let objective = self.objective.kind();
        let is_tree = matches!(self.model, Arch::Tree { .. });
        match self.strategy {
            StrategySpec::Copycat { .. } if !self.label_only() => {
                let expected = "`hard-label`: a copycat learns from labels only";
                refuse("objective.kind", objective, expected)
            }
            StrategySpec::Equations { .. } | StrategySpec::TreePaths { .. }
                if !matches!(self.objective, ObjectiveSpec::SoftLabels { .. }) =>
            {
                let expected = "`soft-labels`: this student takes probabilities as they are";
                refuse("objective.kind", objective, expected)
            }
            StrategySpec::TreePaths { .. } if !is_tree => {
                let expected = "`tree`: this student ends with the tree that it found";
                refuse("model.kind", self.model.kind(), expected)
            }
            StrategySpec::Equations { .. } if is_tree => {
                let expected = "a network or `one-vs-rest`: this student ends with weights";
                refuse("model.kind", self.model.kind(), expected)
            }
            _ if self.strategy.needs_gradients() && !self.model.has_gradients() => {
                refuse("model.kind", self.model.kind(), "a network: this student needs gradients")
            }
            StrategySpec::DataFree(_) if self.objective.unlabelled().is_some() => {
                refuse("objective.kind", objective, "an objective that needs no pool")
            }
            StrategySpec::DataFree(_) | StrategySpec::TreePaths { .. }
                if self.recovery != RecoverySpec::None =>
            {
                let expected = "`none`: this student takes answers as they come";
                refuse("recovery.kind", self.recovery.kind(), expected)
            }
            StrategySpec::DataFree(_)
            | StrategySpec::Equations { .. }
            | StrategySpec::TreePaths { .. }
                if self.knows.public_labels > 0 =>
            {
                let found = self.knows.public_labels.to_string();
                refuse("knows.public-labels", &found, "0: this student learns from answers only")
            }
            _ => Ok(()),
        }
    }

    /// Refuses what a model without gradients cannot learn by: it learns from classes or from probabilities as they are.
    fn fits_model(&self) -> Result<()> {
        let refuse = |key: &str, found: String, expected: &str| {
            let found = format!("{found}, with the model `{}`", self.model.kind());
            Err(Error::config(key, found, expected))
        };
        match self.objective {
            _ if self.model.has_gradients() => Ok(()),
            ObjectiveSpec::HardLabel {} => Ok(()),
            ObjectiveSpec::SoftLabels { temperature, .. } if temperature != 1.0 => {
                let expected = "1: this model learns from probabilities as they are";
                refuse("objective.temperature", temperature.to_string(), expected)
            }
            ObjectiveSpec::SoftLabels { .. } => Ok(()),
            _ => {
                let found = format!("`{}`", self.objective.kind());
                refuse("objective.kind", found, "`hard-label` or `soft-labels`")
            }
        }
    }

    /// Refuses answers that a student of this kind can make nothing of.
    pub fn fits(&self, answers: AnswerKind) -> Result<()> {
        self.strategy.fits(answers).map_err(|e| e.under("strategy"))?;
        self.objective.fits(answers).map_err(|e| e.under("objective"))?;
        match (&self.objective, answers) {
            (
                ObjectiveSpec::SoftLabels { completion: Completion::Bucket, .. },
                AnswerKind::TopK { .. },
            ) if !self.model.has_gradients() && !self.strategy.is_student() => {
                let found = format!("`bucket`, with the model `{}`", self.model.kind());
                let expected = "`renormalise` or `spread`: this model learns from whole rows";
                Err(Error::config("objective.completion", found, expected))
            }
            _ => Ok(()),
        }
    }

    /// True if it uses class labels only.
    pub fn label_only(&self) -> bool {
        matches!(self.objective, ObjectiveSpec::HardLabel {})
            || matches!(self.recovery, RecoverySpec::Top1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> StudentSpec {
        let model = if text.contains("model =") { "" } else { "model = { kind = \"logistic\" }\n" };
        toml::from_str(&format!("name = \"s\"\n{model}{text}")).unwrap()
    }

    fn refused(text: &str) -> String {
        match read(text).validate() {
            Err(Error::Config(e)) => e.key,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_student_needs_a_name_and_a_model_only() {
        let spec = read("");
        assert!(spec.validate().is_ok());
        assert_eq!(spec.strategy, StrategySpec::Random {});
        assert_eq!(spec.recovery, RecoverySpec::None);
        assert_eq!(spec.knows.accounts, 1);
        assert!(!spec.label_only());
    }

    #[test]
    fn what_uses_labels_only_says_so() {
        assert!(read("objective = { kind = \"hard-label\" }").label_only());
        assert!(read("recovery = { kind = \"top1\" }").label_only());
    }

    #[test]
    fn wrong_values_are_refused_by_their_key() {
        for (text, key) in [
            ("strategy = { kind = \"entropy\", rounds = 0 }", "strategy.rounds"),
            ("strategy = { kind = \"copycat\" }", "objective.kind"),
            (
                "strategy = { kind = \"equations\" }\nobjective = { kind = \"dkd\" }",
                "objective.kind",
            ),
            (
                "strategy = { kind = \"equations\" }\nknows = { public-labels = 3 }",
                "knows.public-labels",
            ),
            (
                "strategy = { kind = \"data-free\" }\nrecovery = { kind = \"top1\" }",
                "recovery.kind",
            ),
            (
                "strategy = { kind = \"data-free\" }\nobjective = { kind = \"semi-supervised\" }",
                "objective.kind",
            ),
            ("strategy = { kind = \"tree-paths\" }", "model.kind"),
            (
                "model = { kind = \"tree\" }\nstrategy = { kind = \"tree-paths\" }\n\
                 objective = { kind = \"hard-label\" }",
                "objective.kind",
            ),
            (
                "model = { kind = \"tree\" }\nstrategy = { kind = \"tree-paths\" }\n\
                 recovery = { kind = \"top1\" }",
                "recovery.kind",
            ),
            ("model = { kind = \"tree\" }\nstrategy = { kind = \"jbda\" }", "model.kind"),
            ("model = { kind = \"tree\" }\nobjective = { kind = \"dkd\" }", "objective.kind"),
            ("model = { kind = \"tree\" }\nstrategy = { kind = \"equations\" }", "model.kind"),
            (
                "model = { kind = \"one-vs-rest\" }\nstrategy = { kind = \"tree-paths\" }",
                "model.kind",
            ),
            ("model = { kind = \"one-vs-rest\" }\nstrategy = { kind = \"jbda\" }", "model.kind"),
            (
                "model = { kind = \"one-vs-rest\" }\nobjective = { kind = \"dkd\" }",
                "objective.kind",
            ),
            (
                "model = { kind = \"tree\" }\n\
                 objective = { kind = \"soft-labels\", temperature = 2.0 }",
                "objective.temperature",
            ),
            ("objective = { kind = \"soft-labels\", temperature = 0.0 }", "objective.temperature"),
            ("recovery = { kind = \"average\", n = 1 }", "recovery.n"),
            ("recovery = { kind = \"counter\" }", "knows.defense"),
            ("knows = { accounts = 0 }", "knows.accounts"),
        ] {
            assert_eq!(refused(text), key);
        }
        let informed = "recovery = { kind = \"counter\" }\nknows = { defense = \"parameters\" }";
        assert!(read(informed).validate().is_ok());
        let solved = "model = { kind = \"one-vs-rest\" }\nstrategy = { kind = \"equations\" }";
        assert!(read(solved).validate().is_ok());
    }
}
