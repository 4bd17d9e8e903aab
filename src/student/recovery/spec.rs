//! Recoveries as configs write them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::oracle::AnswerKind;

/// Rows of an inverse table unless a config says otherwise: drawn in a few milliseconds, and enough
/// because one table serves every order of classes.
pub const TABLE_ROWS: usize = 4000;

/// A recovery, as configs write it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum RecoverySpec {
    /// Takes answers as they come.
    #[default]
    None,
    /// Asks every row n times, pays n times, and averages.
    Average {
        /// Times each row is asked, 2 to 100.
        n: usize,
    },
    /// Whatever the arm's defense declares as its counter; the experiment puts it in place.
    Counter,
    /// A network that undoes the known defense, trained on answers of shadow models of the student's own plan and what
    /// the defense makes of them (D-DAE, Chen et al. 2023). Applied to all answers together, before each training.
    DDae {
        /// Most pairs it learns from, 100 to 1000000; there is one for each shadow model and pool row.
        #[serde(default = "pairs")]
        rows: usize,
        /// Steps of its training, 1 to 100000.
        #[serde(default = "steps")]
        steps: usize,
        /// Shadow models, each trained on the classes of a random half of the answers, 1 to 100.
        #[serde(default = "shadows")]
        shadows: usize,
    },
    /// The same, with clean rows drawn around the answers received (D-DAE+; Tang et al. 2024, ModelGuard).
    DDaePlus {
        /// Pairs it learns from, 100 to 1000000.
        #[serde(default = "pairs")]
        rows: usize,
        /// Steps of its training, 1 to 100000.
        #[serde(default = "steps")]
        steps: usize,
        /// Clean rows are Dirichlet(concentration K answer), above 0 and at most 1000.
        #[serde(default = "concentration")]
        concentration: f64,
    },
    /// Looks answers up in a table of simulated defended rows (partial Bayes: the mean of the clean
    /// rows whose defended form is nearest; Tang et al. 2024, ModelGuard).
    InverseTable {
        /// Simulated rows, 100 to 1000000.
        #[serde(default = "table_rows")]
        rows: usize,
    },
    /// Asks about n slightly moved copies of every row, pays n times, and averages.
    Jitter {
        /// Copies of each row, 2 to 100; the first is the row itself.
        n: usize,
        /// Standard deviation of the moves, as a share of the feature range.
        scale: f64,
    },
    /// Undoes a known temperature exactly.
    MatchedTemperature {
        /// The defense's temperature.
        t: f64,
    },
    /// The mean of the clean rows, drawn around the answers received, that the known defense turns into (almost) this
    /// answer (Tang et al. 2024, ModelGuard). Applied to all answers together, before each training.
    PartialBayes {
        /// Rows drawn, 100 to 1000000.
        #[serde(default = "pairs")]
        rows: usize,
        /// Distance (L1) within which a row counts, 0 to 2; the nearest always does.
        #[serde(default = "radius")]
        radius: f64,
        /// Clean rows are Dirichlet(concentration K answer), above 0 and at most 1000.
        #[serde(default = "concentration")]
        concentration: f64,
    },
    /// Keeps the most likely class only.
    Top1,
}

const fn pairs() -> usize {
    20_000
}

const fn steps() -> usize {
    2000
}

const fn shadows() -> usize {
    4
}

const fn concentration() -> f64 {
    8.0
}

const fn radius() -> f64 {
    0.01
}

const fn table_rows() -> usize {
    TABLE_ROWS
}

impl RecoverySpec {
    /// One value per kind.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::Average { n: 4 },
            Self::Counter,
            Self::DDae { rows: pairs(), steps: steps(), shadows: shadows() },
            Self::DDaePlus { rows: pairs(), steps: steps(), concentration: concentration() },
            Self::InverseTable { rows: TABLE_ROWS },
            Self::Jitter { n: 4, scale: 0.02 },
            Self::MatchedTemperature { t: 3.0 },
            Self::None,
            Self::PartialBayes { rows: pairs(), radius: radius(), concentration: concentration() },
            Self::Top1,
        ]
    }

    /// Its `kind` in a config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Average { .. } => "average",
            Self::Counter => "counter",
            Self::DDae { .. } => "d-dae",
            Self::DDaePlus { .. } => "d-dae-plus",
            Self::PartialBayes { .. } => "partial-bayes",
            Self::InverseTable { .. } => "inverse-table",
            Self::Jitter { .. } => "jitter",
            Self::MatchedTemperature { .. } => "matched-temperature",
            Self::Top1 => "top1",
        }
    }

    /// Range checks; keys are relative to the recovery.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::Average { n } | Self::Jitter { n, .. } if !(2..=100).contains(&n) => {
                Err(Error::config("n", n.to_string(), "2 to 100"))
            }
            Self::Jitter { scale, .. } if !(scale > 0.0 && scale <= 1.0) => {
                Err(Error::config("scale", scale.to_string(), "above 0 and at most 1"))
            }
            Self::InverseTable { rows }
            | Self::DDae { rows, .. }
            | Self::DDaePlus { rows, .. }
            | Self::PartialBayes { rows, .. }
                if !(100..=1_000_000).contains(&rows) =>
            {
                Err(Error::config("rows", rows.to_string(), "100 to 1000000"))
            }
            Self::DDae { steps, .. } | Self::DDaePlus { steps, .. }
                if !(1..=100_000).contains(&steps) =>
            {
                Err(Error::config("steps", steps.to_string(), "1 to 100000"))
            }
            Self::DDae { shadows, .. } if !(1..=100).contains(&shadows) => {
                Err(Error::config("shadows", shadows.to_string(), "1 to 100"))
            }
            Self::PartialBayes { radius, .. } if !(0.0..=2.0).contains(&radius) => {
                Err(Error::config("radius", radius.to_string(), "0 to 2"))
            }
            Self::DDaePlus { concentration, .. } | Self::PartialBayes { concentration, .. }
                if !(concentration > 0.0 && concentration <= 1000.0) =>
            {
                let found = concentration.to_string();
                Err(Error::config("concentration", found, "above 0 and at most 1000"))
            }
            Self::MatchedTemperature { t } if !(t > 0.0 && t <= 1000.0) => {
                Err(Error::config("t", t.to_string(), "above 0 and at most 1000"))
            }
            _ => Ok(()),
        }
    }

    /// Times each row is asked.
    pub const fn repeats(&self) -> usize {
        match self {
            Self::Average { n } | Self::Jitter { n, .. } => *n,
            _ => 1,
        }
    }

    /// True if both are of one kind, whatever their settings.
    pub fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// True if it runs the defense's own code with its settings.
    pub const fn informed(&self) -> bool {
        self.needs_rows() || matches!(self, Self::Counter)
    }

    /// True if it inverts the defense by what it does to made-up rows.
    pub const fn simulates(&self) -> bool {
        self.needs_rows() && !matches!(self, Self::MatchedTemperature { .. })
    }

    /// True if it works on whole probability rows.
    pub(super) const fn needs_rows(&self) -> bool {
        matches!(
            self,
            Self::DDae { .. }
                | Self::DDaePlus { .. }
                | Self::InverseTable { .. }
                | Self::MatchedTemperature { .. }
                | Self::PartialBayes { .. }
        )
    }

    /// The kind of answers that it makes of answers of this kind. A counter is resolved before.
    pub const fn gives(&self, answers: AnswerKind) -> AnswerKind {
        match (self, answers) {
            (Self::Top1, _) => AnswerKind::Labels,
            (Self::None | Self::Counter, _) => answers,
            (_, AnswerKind::Logits) => AnswerKind::Probs,
            _ => answers,
        }
    }

    /// Refuses a recovery that cannot work on answers of this kind.
    pub fn fits(&self, answers: AnswerKind) -> Result<()> {
        if self.needs_rows() && !matches!(answers, AnswerKind::Probs | AnswerKind::Logits) {
            return Err(Error::config(
                "kind",
                format!("`{}`, where answers are of kind {}", self.kind(), answers.name()),
                "a recovery that needs no whole probability rows; `counter` chooses what fits each arm",
            ));
        }
        Ok(())
    }
}
