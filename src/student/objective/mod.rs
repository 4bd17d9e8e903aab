//! From what was told to what is learned: targets and a loss.

mod completion;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{Loss, Targets, loss};
use crate::oracle::{AnswerKind, Answers, TopK};

pub use completion::Completion;
pub(super) use completion::{normalised, softmax, whole};

/// What a student fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum ObjectiveSpec {
    /// Correlations with the answers, along each row and along each class's column of a batch, instead of equal
    /// numbers (DIST, Huang et al. 2022): blind to what scales or shifts probabilities.
    Dist {
        /// Weight of the rows' correlations, 0 to 100.
        #[serde(default = "one")]
        beta: f64,
        /// Weight of the columns' correlations, 0 to 100.
        #[serde(default = "one")]
        gamma: f64,
        /// Temperature of both sides, above 0 and at most 100.
        #[serde(default = "one")]
        tau: f64,
        /// Probabilities below this are raised to it before the logarithm, above 0 and at most 0.1.
        #[serde(default = "eps")]
        eps: f64,
        /// What becomes of classes that a top-k answer leaves out; not `bucket`.
        #[serde(default = "spread")]
        completion: Completion,
    },
    /// How sure the answer is of its most likely class, and how it ranks the others, weighed apart (DKD, Zhao et al.
    /// 2022), beside cross-entropy to that class. A student has no true label: the class is the answer's own.
    Dkd {
        /// Weight of the most likely class against all others, 0 to 100.
        #[serde(default = "one")]
        alpha: f64,
        /// Weight of the others among themselves, 0 to 100.
        #[serde(default = "eight")]
        beta: f64,
        /// Temperature of both sides, above 0 and at most 100.
        #[serde(default = "four")]
        temperature: f64,
        /// Weight of the cross-entropy to the most likely class, 0 to 100.
        #[serde(default = "one")]
        ce: f64,
        /// Share of the training steps over which the weight of both parts grows from 0 to 1, 0 to 1.
        #[serde(default = "warm_up")]
        warm_up: f64,
        /// Probabilities below this are raised to it before the logarithm, above 0 and at most 0.1.
        #[serde(default = "eps")]
        eps: f64,
        /// What becomes of classes that a top-k answer leaves out; not `bucket`.
        #[serde(default = "spread")]
        completion: Completion,
    },
    /// Cross-entropy to the most likely class of each answer.
    HardLabel {},
    /// T^2 KL between logits of which each row is brought to mean 0 and deviation 1 (Sun et al. 2024): the shape of
    /// an answer without its size, so that a defense's temperature takes nothing away.
    LogitStandardised {
        /// Temperature of both sides, above 0 and at most 100.
        #[serde(default = "two")]
        temperature: f64,
        /// Probabilities below this are raised to it before the logarithm, above 0 and at most 0.1.
        #[serde(default = "eps")]
        eps: f64,
        /// What becomes of classes that a top-k answer leaves out; not `bucket`.
        #[serde(default = "spread")]
        completion: Completion,
    },
    /// Soft labels, and for pool rows, asked or not, the entropy of the student's own prediction (Grandvalet and Bengio
    /// 2004; the part that S4L, Zhai et al. 2019, plays in ModelGuard, there with rotations). Pool rows are known
    /// without asking, so this costs no query.
    SemiSupervised {
        /// Temperature of both sides of the soft labels, above 0 and at most 100.
        #[serde(default = "one")]
        temperature: f64,
        /// Weight of the mean entropy at the end of the training, to which it grows from 0; 0 to 100.
        #[serde(default = "one")]
        weight: f64,
        /// Pool rows for each answered row, above 0 and at most 1000; no more than there are.
        #[serde(default = "one")]
        ratio: f64,
        /// Probabilities below this are raised to it before the logarithm, above 0 and at most 0.1.
        #[serde(default = "eps")]
        eps: f64,
        /// What becomes of classes that a top-k answer leaves out.
        #[serde(default)]
        completion: Completion,
    },
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

const fn two() -> f64 {
    2.0
}

const fn four() -> f64 {
    4.0
}

const fn eight() -> f64 {
    8.0
}

/// About 20 of the 240 epochs of the released code.
const fn warm_up() -> f64 {
    0.08
}

const fn eps() -> f64 {
    1e-6
}

const fn spread() -> Completion {
    Completion::Spread
}

impl Default for ObjectiveSpec {
    fn default() -> Self {
        Self::SoftLabels { temperature: one(), eps: eps(), completion: Completion::default() }
    }
}

impl ObjectiveSpec {
    /// One value per kind.
    pub fn examples() -> Vec<Self> {
        let (eps, completion) = (eps(), spread());
        vec![
            Self::Dist { beta: one(), gamma: one(), tau: one(), eps, completion },
            Self::Dkd {
                alpha: one(),
                beta: eight(),
                temperature: four(),
                ce: one(),
                warm_up: warm_up(),
                eps,
                completion,
            },
            Self::HardLabel {},
            Self::LogitStandardised { temperature: two(), eps, completion },
            Self::SemiSupervised {
                temperature: one(),
                weight: one(),
                ratio: one(),
                eps,
                completion: Completion::default(),
            },
            Self::default(),
        ]
    }

    /// Its `kind` in a config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Dist { .. } => "dist",
            Self::Dkd { .. } => "dkd",
            Self::HardLabel {} => "hard-label",
            Self::LogitStandardised { .. } => "logit-standardised",
            Self::SemiSupervised { .. } => "semi-supervised",
            Self::SoftLabels { .. } => "soft-labels",
        }
    }

    /// Range checks; keys are relative to the objective.
    pub fn validate(&self) -> Result<()> {
        let within = |key: &str, value: f64, (low, high): (f64, f64), expected: &str| {
            let fits = value >= low && value <= high;
            fits.then_some(()).ok_or_else(|| Error::config(key, value.to_string(), expected))
        };
        let weight = |key: &str, value: f64| within(key, value, (0.0, 100.0), "0 to 100");
        let (temperature, eps) = match *self {
            Self::HardLabel {} => return Ok(()),
            Self::Dist { beta, gamma, tau, eps, .. } => {
                weight("beta", beta)?;
                weight("gamma", gamma)?;
                (("tau", tau), eps)
            }
            Self::Dkd { alpha, beta, temperature, ce, warm_up, eps, .. } => {
                weight("alpha", alpha)?;
                weight("beta", beta)?;
                weight("ce", ce)?;
                within("warm-up", warm_up, (0.0, 1.0), "0 to 1")?;
                (("temperature", temperature), eps)
            }
            Self::SemiSupervised { temperature, weight: entropy, ratio, eps, .. } => {
                weight("weight", entropy)?;
                let expected = "above 0 and at most 1000";
                within("ratio", ratio, (f64::MIN_POSITIVE, 1000.0), expected)?;
                (("temperature", temperature), eps)
            }
            Self::LogitStandardised { temperature, eps, .. }
            | Self::SoftLabels { temperature, eps, .. } => (("temperature", temperature), eps),
        };
        let least = f64::MIN_POSITIVE;
        within(temperature.0, temperature.1, (least, 100.0), "above 0 and at most 100")?;
        within("eps", eps, (least, 0.1), "above 0 and at most 0.1")
    }

    /// Refuses an objective that cannot mean what it says on answers of this kind: a bucket has no
    /// temperature and no rank among other classes, and a label alone has nothing but its class.
    pub fn fits(&self, answers: AnswerKind) -> Result<()> {
        let compares =
            matches!(self, Self::Dist { .. } | Self::Dkd { .. } | Self::LogitStandardised { .. });
        match (self, answers) {
            (_, AnswerKind::Labels) if compares => Err(Error::config(
                "kind",
                format!("`{}`, where answers are labels", self.kind()),
                "`hard-label` or `soft-labels`: labels do not say how other classes compare",
            )),
            (
                Self::Dist { completion: Completion::Bucket, .. }
                | Self::Dkd { completion: Completion::Bucket, .. }
                | Self::LogitStandardised { completion: Completion::Bucket, .. },
                AnswerKind::TopK { .. },
            ) => Err(Error::config(
                "completion",
                format!("`bucket`, where answers are top-k and the objective is `{}`", self.kind()),
                "`spread` or `renormalise`: this objective compares whole rows",
            )),
            (
                Self::SoftLabels { temperature, completion: Completion::Bucket, .. }
                | Self::SemiSupervised { temperature, completion: Completion::Bucket, .. },
                AnswerKind::TopK { .. },
            ) if *temperature != 1.0 => Err(Error::config(
                "temperature",
                format!("{temperature} where answers are top-k and `completion` is `bucket`"),
                "temperature 1, or the completion `spread` or `renormalise`",
            )),
            _ => Ok(()),
        }
    }

    /// True if it compares the rows of a batch with each other, so that no batch may be cut.
    pub const fn ties_rows(&self) -> bool {
        matches!(self, Self::Dist { .. })
    }

    /// Pool rows that it learns from without an answer, for each answered row, and the weight of their entropy.
    pub const fn unlabelled(&self) -> Option<(f64, f64)> {
        match self {
            Self::SemiSupervised { ratio, weight, .. } => Some((*ratio, *weight)),
            _ => None,
        }
    }

    /// Targets and loss for answers of one kind. Row i of the answers is target i.
    pub fn targets(&self, answers: &Answers) -> Result<(Targets, Loss)> {
        self.fits(answers.kind())?;
        if let Answers::TopK(t) = answers {
            check(t)?;
        }
        let (loss, completion) = match *self {
            Self::HardLabel {} => return Ok((Targets::Labels(answers.top1()), Loss::HardLabel)),
            Self::Dist { beta, gamma, tau, eps, completion } => {
                let weights = loss::dist::Weights { beta, gamma, temperature: tau };
                (Loss::Dist { weights, eps }, completion)
            }
            Self::Dkd { alpha, beta, temperature, ce, warm_up, eps, completion } => {
                let weights = loss::dkd::Weights { alpha, beta, temperature };
                (Loss::Dkd { weights, ce, warm_up, eps }, completion)
            }
            Self::LogitStandardised { temperature, eps, completion } => {
                (Loss::LogitStandardised { temperature, eps }, completion)
            }
            Self::SoftLabels { temperature, eps, completion }
            | Self::SemiSupervised { temperature, eps, completion, .. } => {
                (Loss::SoftLabel { temperature, eps }, completion)
            }
        };
        Ok(match answers {
            Answers::Labels(l) => (Targets::Labels(l.clone()), Loss::HardLabel),
            Answers::Probs(p) => (Targets::Probs(normalised(p)), loss),
            Answers::Logits(z) => (Targets::Probs(softmax(z)), loss),
            Answers::TopK(t) => match completion {
                Completion::Bucket => (Targets::Bucket(completion::bucketed(t)), Loss::Bucket),
                Completion::Renormalise => (Targets::Probs(completion::renormalised(t)), loss),
                Completion::Spread => (Targets::Probs(completion::spread(t)), loss),
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
    fn what_compares_classes_is_refused_where_only_labels_come() {
        for objective in ObjectiveSpec::examples() {
            let compares = ["dist", "dkd", "logit-standardised"].contains(&objective.kind());
            assert_eq!(objective.fits(AnswerKind::Labels).is_err(), compares, "{objective:?}");
            assert!(objective.fits(AnswerKind::Probs).is_ok() && objective.validate().is_ok());
        }
        let text = r#"{"kind":"dist","completion":"bucket"}"#;
        let bucket: ObjectiveSpec = serde_json::from_str(text).unwrap();
        let Err(Error::Config(e)) = bucket.fits(AnswerKind::TopK { k: 2 }) else { panic!() };
        assert_eq!(e.key, "completion");
    }

    #[test]
    fn every_objective_learns_what_a_teacher_answers() {
        use crate::model::{Arch, Device, InputShape, Lesson, Model, Recipe, fit};
        use crate::seed::Seed;
        let x = ndarray::Array2::from_shape_fn((90, 2), |(i, j)| {
            ((i * 7 + j * 13) % 30) as f32 / 15.0 - 1.0
        });
        let logits = x.mapv(f64::from).dot(&array![[2.0, -2.0, 0.5], [0.5, 1.0, -2.0]]);
        let answers = Answers::Probs(softmax(&logits));
        let shape = InputShape::Flat(2);
        let optimizer = crate::model::Optimizer::adamw(3e-2, 0.0);
        let recipe = Recipe { optimizer, steps: 300, validation: 0.0, ..Recipe::default() };
        let seed = Seed::new(4);
        for objective in ObjectiveSpec::examples() {
            let (targets, loss) = objective.targets(&answers).unwrap();
            let model = Model::init(&Arch::Logistic {}, shape, 3, Device::Cpu, seed).unwrap();
            let lesson = Lesson { inputs: x.clone(), targets };
            let fitted = fit(model.clone(), &lesson, loss, &recipe, seed).unwrap();
            let right = |model: &Model| {
                let own = crate::oracle::top1(&model.probs(x.view()).unwrap());
                own.iter().zip(answers.top1()).filter(|(a, b)| *a == b).count()
            };
            let (before, after) = (right(&model), right(&fitted.last));
            assert!(after >= 84 && after > before, "{objective:?}: {before} then {after} of 90");
            let cut = Recipe { shards: 2, ..recipe.clone() };
            assert_eq!(fit(model, &lesson, loss, &cut, seed).is_err(), objective.ties_rows());
        }
    }

    #[test]
    fn values_outside_their_ranges_are_refused_by_key() {
        let cases = [
            (r#"{"kind":"dkd","alpha":-1}"#, "alpha"),
            (r#"{"kind":"dkd","temperature":0}"#, "temperature"),
            (r#"{"kind":"dkd","warm-up":1.5}"#, "warm-up"),
            (r#"{"kind":"dist","gamma":1e9}"#, "gamma"),
            (r#"{"kind":"dist","tau":0}"#, "tau"),
            (r#"{"kind":"logit-standardised","eps":0}"#, "eps"),
            (r#"{"kind":"semi-supervised","weight":-1}"#, "weight"),
            (r#"{"kind":"semi-supervised","ratio":0}"#, "ratio"),
        ];
        for (text, key) in cases {
            let spec: ObjectiveSpec = serde_json::from_str(text).unwrap();
            let Err(Error::Config(e)) = spec.validate() else { panic!("{text} is accepted") };
            assert_eq!(e.key, key);
        }
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
