//! From what was told to what is learned: targets and a loss.
//!
//! Missing mass is completed by a named rule, never by zeros. Probability rows that do not sum to 1
//! (rounding) are divided by their sum; an all-zero row tells nothing and becomes uniform.

use ndarray::{Array2, ArrayViewMut1};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{Loss, Targets};
use crate::oracle::{Answers, TopK};

/// What a student fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum ObjectiveSpec {
    /// Cross-entropy to the most likely class of each answer.
    HardLabel {},
    /// T^2 KL at temperature T (Hinton et al. 2015). Where only labels come, they are the soft labels.
    SoftLabels {
        /// Temperature of both sides, above 0 and at most 100.
        #[serde(default = "one")]
        temperature: f64,
        /// Probabilities below this are raised to it before the logarithm, above 0.
        #[serde(default = "eps")]
        eps: f64,
        /// What becomes of classes that a top-k answer leaves out.
        #[serde(default)]
        completion: Completion,
    },
}

/// Rules for the mass that a top-k answer leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Completion {
    /// One more outcome, "any other class", on both sides; temperature 1.
    #[default]
    Bucket,
    /// The k kept divided by their sum.
    Renormalise,
    /// The rest spread evenly over the other classes.
    Spread,
}

const fn one() -> f64 {
    1.0
}

const fn eps() -> f64 {
    1e-6
}

impl Default for ObjectiveSpec {
    fn default() -> Self {
        Self::SoftLabels { temperature: one(), eps: eps(), completion: Completion::default() }
    }
}

impl ObjectiveSpec {
    /// One value per kind.
    pub fn examples() -> Vec<Self> {
        vec![Self::HardLabel {}, Self::default()]
    }

    /// Range checks; keys are relative to the objective.
    pub fn validate(&self) -> Result<()> {
        let Self::SoftLabels { temperature, eps, .. } = self else { return Ok(()) };
        if !(*temperature > 0.0 && *temperature <= 100.0) {
            return Err(Error::config(
                "temperature",
                temperature.to_string(),
                "above 0 and at most 100",
            ));
        }
        if !(*eps > 0.0 && *eps <= 0.1) {
            return Err(Error::config("eps", eps.to_string(), "above 0 and at most 0.1"));
        }
        Ok(())
    }

    /// Targets and loss for answers of one kind.
    pub fn targets(&self, answers: &Answers) -> (Targets, Loss) {
        let Self::SoftLabels { temperature, eps, completion } = *self else {
            return (Targets::Labels(answers.top1()), Loss::HardLabel);
        };
        let soft = Loss::SoftLabel { temperature, eps };
        match answers {
            Answers::Labels(l) => (Targets::Labels(l.clone()), Loss::HardLabel),
            Answers::Probs(p) => (Targets::Probs(normalised(p)), soft),
            Answers::Logits(z) => (Targets::Probs(softmax(z)), soft),
            Answers::TopK(t) => match completion {
                Completion::Bucket => (Targets::Bucket(t.clone()), Loss::Bucket),
                Completion::Renormalise => (Targets::Probs(renormalised(t)), soft),
                Completion::Spread => (Targets::Probs(spread(t)), soft),
            },
        }
    }
}

fn divide(mut row: ArrayViewMut1<'_, f64>) {
    let sum: f64 = row.iter().sum();
    let n = row.len() as f64;
    if sum > 0.0 { row.mapv_inplace(|p| p / sum) } else { row.fill(1.0 / n) }
}

/// Rows divided by their sum; negative entries count as 0.
pub(super) fn normalised(probs: &Array2<f64>) -> Array2<f64> {
    let mut rows = probs.mapv(|p| p.max(0.0));
    rows.rows_mut().into_iter().for_each(divide);
    rows
}

fn softmax(logits: &Array2<f64>) -> Array2<f64> {
    let mut rows = logits.clone();
    for mut row in rows.rows_mut() {
        let top = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        row.mapv_inplace(|z| libm::exp(z - top));
        divide(row);
    }
    rows
}

fn renormalised(t: &TopK) -> Array2<f64> {
    let mut rows = Array2::zeros((t.ids.nrows(), t.classes));
    for ((i, j), &id) in t.ids.indexed_iter() {
        rows[[i, id]] = t.probs[[i, j]];
    }
    rows.rows_mut().into_iter().for_each(divide);
    rows
}

fn spread(t: &TopK) -> Array2<f64> {
    let others = t.classes - t.ids.ncols();
    let mut rows = Array2::zeros((t.ids.nrows(), t.classes));
    for (i, mut row) in rows.rows_mut().into_iter().enumerate() {
        let known: f64 = t.probs.row(i).sum();
        if others > 0 {
            row.fill((1.0 - known).max(0.0) / others as f64);
        }
        for (&id, &p) in t.ids.row(i).iter().zip(t.probs.row(i)) {
            row[id] = p;
        }
        divide(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn kept() -> TopK {
        TopK { classes: 4, ids: array![[2, 0]], probs: array![[0.5, 0.3]] }
    }

    #[test]
    fn each_completion_rule_does_what_its_name_says() {
        assert!(
            (renormalised(&kept()) - array![[0.375, 0.0, 0.625, 0.0]])
                .iter()
                .all(|d| d.abs() < 1e-12)
        );
        assert!((spread(&kept()) - array![[0.3, 0.1, 0.5, 0.1]]).iter().all(|d| d.abs() < 1e-12));
        let bucket = ObjectiveSpec::default().targets(&Answers::TopK(kept()));
        assert_eq!(bucket, (Targets::Bucket(kept()), Loss::Bucket));
    }

    #[test]
    fn rows_that_do_not_sum_to_one_are_divided_by_their_sum() {
        let rows = normalised(&array![[0.4, 0.4], [0.0, 0.0]]);
        assert_eq!(rows, array![[0.5, 0.5], [0.5, 0.5]]);
    }
}
