//! The registry: what a config can name, and what is known of each kind before it runs.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::method::{Known, Method, RowMap};
use super::respond::Response;
use super::workshop::{Outline, Twin, Workshop};
use super::{
    Defense, Promise, adaptive_misinformation, dataset_inference, dawn, edm, ewe, feature_distance,
    gaussian_noise, grad2, label_only, logit_noise, mad, modelguard_s, modelguard_w, nasty,
    ood_gate, outlier_exposure, prada, proof_of_work, rate_limit, reverse_sigmoid, round, seat,
    stingy, strangeness, temperature, top_k, var_detect,
};
use crate::error::{Error, Result};
use crate::model::{Arch, InputShape, Model};
use crate::oracle::{AnswerKind, Card};
use crate::seed::Seed;

/// One layer, as configs write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DefenseSpec {
    /// Wrong answers where the teacher is unsure.
    AdaptiveMisinformation(adaptive_misinformation::Params),
    /// A test of who has learned from the teacher's rows.
    DatasetInference(dataset_inference::Params),
    /// Keyed wrong classes that a student gives away.
    Dawn(dawn::Params),
    /// One of several models, by the input.
    Edm(edm::Params),
    /// A watermark that a teacher learns together with a class.
    Ewe(ewe::Params),
    /// Accounts whose queries are far from what the teacher learned.
    FeatureDistance(feature_distance::Params),
    /// Noise on probabilities, keyed by the input or fresh.
    GaussianNoise(gaussian_noise::Params),
    /// Answers whose gradient points elsewhere.
    Grad2(grad2::Params),
    /// The most likely class and nothing else.
    LabelOnly(label_only::Params),
    /// Noise on logits within an L1 bound.
    LogitNoise(logit_noise::Params),
    /// Answers whose gradient is turned away.
    Mad(mad::Params),
    /// A quantiser of answers.
    ModelguardS(modelguard_s::Params),
    /// The answer that is worth least within an L1 bound.
    ModelguardW(modelguard_w::Params),
    /// A teacher that is right and useless to learn from.
    Nasty(nasty::Params),
    /// Inputs unlike what the teacher learned.
    OodGate(ood_gate::Params),
    /// A teacher that is unsure of what is strange.
    OutlierExposure(outlier_exposure::Params),
    /// Accounts whose distances between queries are not normal.
    Prada(prada::Params),
    /// A puzzle before each answer.
    ProofOfWork(proof_of_work::Params),
    /// So many queries per account and period.
    RateLimit(rate_limit::Params),
    /// The perturbation of Lee et al. 2018.
    ReverseSigmoid(reverse_sigmoid::Params),
    /// Probabilities to a number of decimals.
    Round(round::Params),
    /// Accounts that ask near-duplicates.
    Seat(seat::Params),
    /// A share of largest classes, zeros elsewhere.
    Stingy(stingy::Params),
    /// Flatter or sharper probabilities.
    Temperature(temperature::Params),
    /// The k largest probabilities.
    TopK(top_k::Params),
    /// Accounts whose queries are far from the teacher's rows in an autoencoder's codes.
    VarDetect(var_detect::Params),
}

/// The declared counter of a defense: the student that knows its code and parameters, except the key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Counter {
    /// Simulates the defense on made-up clean rows and looks answers up.
    InverseTable,
    /// Undoes a known temperature.
    MatchedTemperature { t: f64 },
    /// Asks n times and averages.
    Repeat,
    /// Asks about n slightly moved copies and averages.
    Jitter,
    /// Asks rows like the teacher's own only, which pass untouched.
    InDistribution,
    /// Spreads over more accounts.
    MoreAccounts,
    /// Uses the top class only; nothing is left to recover.
    LabelOnly,
}

/// How a student comes to be it: the recovery that a config names, or what it knows.
impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InverseTable => "recovery `inverse-table`",
            Self::MatchedTemperature { t } => {
                return write!(f, "recovery `matched-temperature` at t = {t}");
            }
            Self::Repeat => "recovery `average`",
            Self::Jitter => "recovery `jitter`",
            Self::InDistribution => "rows like the teacher's alone",
            Self::MoreAccounts => "more accounts",
            Self::LabelOnly => "recovery `top1`",
        })
    }
}

/// What `retort list defenses` shows.
pub struct DefenseCard {
    /// `kind` in a config.
    pub kind: &'static str,
    /// An example, as a config writes it.
    pub example: DefenseSpec,
    /// Where it comes from.
    pub paper: &'static str,
    /// Answers that it works on.
    pub takes: Vec<&'static str>,
    /// What a defender must own.
    pub owns: &'static str,
    /// True for a layer that judges accounts.
    pub detects: bool,
}

/// A layer's kind with its settings, as it is written: `round(digits=1)`.
pub(super) fn label(kind: &str, spec: &impl Serialize) -> String {
    let value = serde_json::to_value(spec).unwrap_or_default();
    let settings = value.as_object().into_iter().flatten().filter(|(key, _)| *key != "kind");
    let settings: Vec<String> =
        settings.map(|(key, v)| format!("{key}={}", v.to_string().trim_matches('"'))).collect();
    if settings.is_empty() { kind.into() } else { format!("{kind}({})", settings.join(",")) }
}

/// One example of each kind: drives listings and the conformance tests.
pub fn cards() -> Vec<DefenseCard> {
    DefenseSpec::examples()
        .into_iter()
        .map(|example| DefenseCard {
            kind: example.kind(),
            paper: example.paper(),
            takes: takes(&example),
            owns: owns(&example),
            detects: example.method().detects(),
            example,
        })
        .collect()
}

/// Kinds of answers that a layer works on.
fn takes(layer: &DefenseSpec) -> Vec<&'static str> {
    let kinds =
        [AnswerKind::Probs, AnswerKind::Logits, AnswerKind::TopK { k: 3 }, AnswerKind::Labels];
    let card = |answers| Card { inputs: 64, classes: 10, answers };
    let works = kinds.into_iter().filter(|kind| layer.card_after(card(*kind)).is_ok());
    works.map(AnswerKind::name).collect()
}

/// What a layer is made from.
fn owns(layer: &DefenseSpec) -> &'static str {
    let arch = Arch::Mlp { hidden: vec![64] };
    let outline = |model, rows| Outline {
        shape: InputShape::Image { c: 1, h: 8, w: 8 },
        classes: 10,
        arch: &arch,
        model,
        rows,
        unseen: rows,
    };
    if layer.fits(&outline(false, 0)).is_ok() {
        "nothing"
    } else if layer.fits(&outline(false, 1000)).is_ok() {
        "rows with labels"
    } else {
        "rows and the teacher's model"
    }
}

impl DefenseSpec {
    /// One value per kind, with usual settings.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::AdaptiveMisinformation(adaptive_misinformation::Params {
                tau: 0.5,
                nu: 1000.0,
                model: None,
            }),
            Self::DatasetInference(dataset_inference::Params {
                rows: 20,
                directions: 3,
                steps: 30,
                step: 0.02,
            }),
            Self::Dawn(dawn::Params { share: 0.01, levels: 4, kept: 1000 }),
            Self::Edm(edm::Params { models: 5, levels: 8 }),
            Self::Ewe(ewe::Params { target: 3, ..ewe::Params::default() }),
            Self::FeatureDistance(feature_distance::Params {
                window: 50,
                reference: 100,
                false_rate: 0.01,
                response: Response::Label,
            }),
            Self::GaussianNoise(gaussian_noise::Params { sigma: 0.2, fresh: false }),
            Self::GaussianNoise(gaussian_noise::Params { sigma: 0.2, fresh: true }),
            Self::Grad2(grad2::Params { eps: 1.0, surrogate: None }),
            Self::LabelOnly(label_only::Params {}),
            Self::LogitNoise(logit_noise::Params { eps: 1.0, sigma: 4.0, fresh: false }),
            Self::Mad(mad::Params {
                eps: 1.0,
                oracle: mad::Rows::Extreme,
                normalised: true,
                surrogate: None,
            }),
            Self::Mad(mad::Params {
                eps: 1.0,
                oracle: mad::Rows::Argmax,
                normalised: true,
                surrogate: None,
            }),
            Self::ModelguardS(modelguard_s::Params { eps: 1.0, centroids: 1000 }),
            Self::ModelguardW(modelguard_w::Params { eps: 1.0 }),
            Self::Nasty(nasty::Params { weight: 0.1, temperature: 4.0 }),
            Self::OodGate(ood_gate::Params {
                score: strangeness::Score::Mahalanobis,
                false_rate: 0.05,
                response: Response::Refuse,
            }),
            Self::OodGate(ood_gate::Params {
                score: strangeness::Score::Msp,
                false_rate: 0.05,
                response: Response::Perturb,
            }),
            Self::OutlierExposure(outlier_exposure::Params { weight: 1.0 }),
            Self::Prada(prada::Params { delta: 0.9, cap: 2_000, response: Response::Warn }),
            Self::ProofOfWork(proof_of_work::Params { seconds: 1.0, base: 1.0075, most: 100.0 }),
            Self::RateLimit(rate_limit::Params {
                queries: 60,
                per: rate_limit::Period::Day,
                burst: 20,
            }),
            Self::ReverseSigmoid(reverse_sigmoid::Params { beta: 1.0, gamma: 0.2 }),
            Self::Round(round::Params { digits: 1 }),
            Self::Seat(seat::Params {
                pair_rate: 1e-4,
                max_pairs: 50,
                cap: 2_000,
                response: Response::Perturb,
            }),
            Self::Stingy(stingy::Params { share: 0.2 }),
            Self::Temperature(temperature::Params { t: 3.0 }),
            Self::TopK(top_k::Params { k: 3 }),
            Self::VarDetect(var_detect::Params {
                code: 4,
                window: 50,
                reference: 100,
                false_rate: 0.01,
                response: Response::Label,
            }),
        ]
    }

    /// What its own file tells of it.
    pub(super) fn method(&self) -> &dyn Method {
        match self {
            Self::AdaptiveMisinformation(p) => p,
            Self::DatasetInference(p) => p,
            Self::Dawn(p) => p,
            Self::Edm(p) => p,
            Self::Ewe(p) => p,
            Self::FeatureDistance(p) => p,
            Self::GaussianNoise(p) => p,
            Self::Grad2(p) => p,
            Self::LabelOnly(p) => p,
            Self::LogitNoise(p) => p,
            Self::Mad(p) => p,
            Self::ModelguardS(p) => p,
            Self::ModelguardW(p) => p,
            Self::Nasty(p) => p,
            Self::OodGate(p) => p,
            Self::OutlierExposure(p) => p,
            Self::Prada(p) => p,
            Self::ProofOfWork(p) => p,
            Self::RateLimit(p) => p,
            Self::ReverseSigmoid(p) => p,
            Self::Round(p) => p,
            Self::Seat(p) => p,
            Self::Stingy(p) => p,
            Self::Temperature(p) => p,
            Self::TopK(p) => p,
            Self::VarDetect(p) => p,
        }
    }

    /// Its `kind` in a config.
    pub fn kind(&self) -> &'static str {
        self.method().kind()
    }

    /// Builds the layer from what the defender owns. `key` is the defender's own stream.
    pub fn build(&self, key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        self.method().check()?;
        self.fits(&shop.outline())?;
        self.method().build(key, shop)
    }

    /// The card above this layer in front of `below`; refuses a layer that does not fit there, and
    /// settings out of range.
    pub fn card_after(&self, below: Card) -> Result<Card> {
        self.method().check()?;
        self.method().card(below)
    }

    /// Refuses a defender who lacks what the layer is made from.
    pub fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        self.method().fits(outline)
    }

    /// True for a layer whose only cost to a student is time.
    pub fn waits(&self) -> bool {
        self.method().waits()
    }

    /// True for a layer below which nothing may stand.
    pub fn innermost(&self) -> bool {
        self.method().innermost()
    }

    /// The teacher that takes the place of the defender's own, where this defense trains one.
    pub fn retrain(&self, shop: &Workshop) -> Result<Option<Arc<Model>>> {
        self.method().retrain(shop)
    }

    /// What the defender owns behind `stack`, where its last layer trains a teacher anew and another layer
    /// is made from the teacher's model: that teacher, and a twin trained in the same way. None elsewhere.
    pub fn owned_behind(stack: &[Self], shop: &Workshop) -> Result<Option<Arc<Workshop>>> {
        let Some((last, above)) = stack.split_last() else { return Ok(None) };
        let asked_only = Outline { model: false, ..shop.outline() };
        if above.iter().all(|layer| layer.fits(&asked_only).is_ok()) {
            return Ok(None);
        }
        let Some(teacher) = last.retrain(shop)? else { return Ok(None) };
        let name = format!("behind/{}", last.label());
        let made = shop.once(&name, |_| {
            let twin = shop.twin()?;
            let half = shop.other(&format!("{name}/half"), &twin.seen, Arc::clone(&twin.model));
            let model = last.retrain(&half)?.unwrap_or_else(|| Arc::clone(&twin.model));
            let (seen, unseen) = (twin.seen.clone(), twin.unseen.clone());
            let mut owned = shop.other(&name, &shop.all(), teacher);
            owned.own_twin = Some(Arc::new(Twin { model, seen, unseen }));
            Ok(owned)
        })?;
        Ok(Some(made))
    }

    /// What it guarantees.
    pub fn promise(&self) -> Promise {
        self.method().promise()
    }

    /// The student that undoes it best.
    pub fn counter(&self) -> Counter {
        self.method().counter()
    }

    /// Where it comes from.
    pub fn paper(&self) -> &'static str {
        self.method().paper()
    }

    /// Kind and settings, such as `round(digits=1)`.
    pub fn label(&self) -> String {
        label(self.kind(), self)
    }

    /// What a student that knows code and parameters, but no key, can run on its own rows.
    pub fn simulate(&self, known: &Known<'_>) -> Option<RowMap> {
        self.method().check().ok()?;
        self.method().simulate(known)
    }

    /// Checks a stack, outermost first, in front of `card` and behind `outline`; gives the card above it.
    pub fn check_stack(stack: &[Self], card: Card, outline: &Outline<'_>) -> Result<Card> {
        let mut below = card;
        for (i, spec) in stack.iter().enumerate().rev() {
            let at = |e: Error| e.under(&format!("stack[{i}]"));
            below = spec.card_after(below).map_err(at)?;
            spec.fits(outline).map_err(at)?;
            if spec.innermost() && i + 1 < stack.len() {
                let found = format!("`{}` around `{}`", spec.kind(), stack[i + 1].kind());
                let expected =
                    "the last place of the stack: it takes the place of the teacher's own answers";
                return Err(at(Error::config("kind", found, expected)));
            }
        }
        Ok(below)
    }
}
