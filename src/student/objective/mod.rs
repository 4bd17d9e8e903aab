//! From what was told to what is learned: targets and a loss.

mod completion;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{Loss, Targets};
use crate::oracle::{AnswerKind, Answers, TopK};

pub use completion::Completion;
pub(super) use completion::{normalised, softmax};

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
        /// Probabilities below this are raised to it before the logarithm, above 0; half the last
        /// digit that a rounding API tells is a good choice.
        #[serde(default = "eps")]
        eps: f64,
        /// What becomes of classes that a top-k answer leaves out.
        #[serde(default)]
        completion: Completion,
    },
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

    /// Its `kind` in a config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::HardLabel {} => "hard-label",
            Self::SoftLabels { .. } => "soft-labels",
        }
    }

    /// Range checks; keys are relative to the objective.
    pub fn validate(&self) -> Result<()> {
        let Self::SoftLabels { temperature, eps, .. } = self else { return Ok(()) };
        if !(*temperature > 0.0 && *temperature <= 100.0) {
            let found = temperature.to_string();
            return Err(Error::config("temperature", found, "above 0 and at most 100"));
        }
        if !(*eps > 0.0 && *eps <= 0.1) {
            return Err(Error::config("eps", eps.to_string(), "above 0 and at most 0.1"));
        }
        Ok(())
    }

    /// Refuses an objective that cannot mean what it says on answers of this kind: a bucket has no
    /// temperature.
    pub fn fits(&self, answers: AnswerKind) -> Result<()> {
        match (self, answers) {
            (
                Self::SoftLabels { temperature, completion: Completion::Bucket, .. },
                AnswerKind::TopK { .. },
            ) if *temperature != 1.0 => Err(Error::config(
                "temperature",
                format!("{temperature} where answers are top-k and `completion` is `bucket`"),
                "temperature 1, or the completion `spread` or `renormalise`",
            )),
            _ => Ok(()),
        }
    }

    /// Targets and loss for answers of one kind. Row i of the answers is target i.
    pub fn targets(&self, answers: &Answers) -> Result<(Targets, Loss)> {
        self.fits(answers.kind())?;
        if let Answers::TopK(t) = answers {
            check(t)?;
        }
        let Self::SoftLabels { temperature, eps, completion } = *self else {
            return Ok((Targets::Labels(answers.top1()), Loss::HardLabel));
        };
        let soft = Loss::SoftLabel { temperature, eps };
        Ok(match answers {
            Answers::Labels(l) => (Targets::Labels(l.clone()), Loss::HardLabel),
            Answers::Probs(p) => (Targets::Probs(normalised(p)), soft),
            Answers::Logits(z) => (Targets::Probs(softmax(z)), soft),
            Answers::TopK(t) => match completion {
                Completion::Bucket => (Targets::Bucket(completion::bucketed(t)), Loss::Bucket),
                Completion::Renormalise => (Targets::Probs(completion::renormalised(t)), soft),
                Completion::Spread => (Targets::Probs(completion::spread(t)), soft),
            },
        })
    }
}

/// Refuses top-k answers that name no class, or one that does not exist.
fn check(t: &TopK) -> Result<()> {
    if t.ids.ncols() == 0 {
        return Err(Error::input("top-k answers", "no class", "at least one class a row"));
    }
    match t.ids.iter().find(|id| **id >= t.classes) {
        Some(id) => Err(Error::input("top-k answers", id, format!("classes below {}", t.classes))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn soft(completion: Completion) -> ObjectiveSpec {
        ObjectiveSpec::SoftLabels { temperature: 2.0, eps: 1e-4, completion }
    }

    #[test]
    fn labels_are_their_own_soft_labels() {
        let got = ObjectiveSpec::default().targets(&Answers::Labels(vec![1, 0])).unwrap();
        assert_eq!(got, (Targets::Labels(vec![1, 0]), Loss::HardLabel));
    }

    #[test]
    fn a_hard_label_objective_keeps_the_top_class_of_any_answer() {
        let hard = ObjectiveSpec::HardLabel {};
        let top = TopK { classes: 3, ids: array![[2, 0]], probs: array![[0.5, 0.3]] };
        for answers in [
            Answers::Probs(array![[0.1, 0.2, 0.7]]),
            Answers::Logits(array![[-1.0, 0.0, 4.0]]),
            Answers::TopK(top),
            Answers::Labels(vec![2]),
        ] {
            assert_eq!(
                hard.targets(&answers).unwrap(),
                (Targets::Labels(vec![2]), Loss::HardLabel)
            );
        }
    }

    #[test]
    fn logits_become_probabilities() {
        let (targets, loss) =
            soft(Completion::Bucket).targets(&Answers::Logits(array![[800.0, 800.0]])).unwrap();
        assert_eq!(targets, Targets::Probs(array![[0.5, 0.5]]));
        assert_eq!(loss, Loss::SoftLabel { temperature: 2.0, eps: 1e-4 });
    }

    #[test]
    fn a_bucket_at_another_temperature_is_refused_for_top_k_only() {
        let kind = AnswerKind::TopK { k: 2 };
        assert!(soft(Completion::Bucket).fits(kind).is_err());
        assert!(soft(Completion::Spread).fits(kind).is_ok());
        assert!(soft(Completion::Bucket).fits(AnswerKind::Probs).is_ok());
    }

    #[test]
    fn a_class_that_does_not_exist_is_refused() {
        let t = TopK { classes: 2, ids: array![[5]], probs: array![[0.5]] };
        for objective in [ObjectiveSpec::default(), soft(Completion::Spread)] {
            let got = objective.targets(&Answers::TopK(t.clone()));
            assert!(matches!(got, Err(Error::Input { .. })));
        }
    }
}
