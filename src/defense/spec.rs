//! The registry: what a config can name, and what is known of each kind before it runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Defense, Promise, gaussian_noise, label_only, rate_limit, reverse_sigmoid, round, rows,
    temperature, top_k,
};
use crate::error::{Error, Result};
use crate::oracle::{AnswerKind, Card};
use crate::seed::Seed;

/// One layer, as configs write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DefenseSpec {
    /// Noise on probabilities, keyed by the input or fresh.
    GaussianNoise(gaussian_noise::Params),
    /// The most likely class and nothing else.
    LabelOnly(label_only::Params),
    /// So many queries per account and period.
    RateLimit(rate_limit::Params),
    /// The perturbation of Lee et al. 2018.
    ReverseSigmoid(reverse_sigmoid::Params),
    /// Probabilities to a number of decimals.
    Round(round::Params),
    /// Flatter or sharper probabilities.
    Temperature(temperature::Params),
    /// The k largest probabilities.
    TopK(top_k::Params),
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
    /// Spreads over more accounts.
    MoreAccounts,
    /// Uses the top class only; nothing is left to recover.
    LabelOnly,
}

/// What `retort list defenses` shows.
pub struct DefenseCard {
    /// `kind` in a config.
    pub kind: &'static str,
    /// An example, as a config writes it.
    pub example: DefenseSpec,
    /// Where it comes from.
    pub paper: &'static str,
}

/// Changes one clean row into a defended one.
pub type RowMap = Box<dyn Fn(&[f64], &mut [f64]) + Send + Sync>;

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
        .map(|example| DefenseCard { kind: example.kind(), paper: example.paper(), example })
        .collect()
}

impl DefenseSpec {
    /// One value per kind, with usual settings.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::GaussianNoise(gaussian_noise::Params { sigma: 0.2, fresh: false }),
            Self::GaussianNoise(gaussian_noise::Params { sigma: 0.2, fresh: true }),
            Self::LabelOnly(label_only::Params {}),
            Self::RateLimit(rate_limit::Params {
                queries: 60,
                per: rate_limit::Period::Day,
                burst: 20,
            }),
            Self::ReverseSigmoid(reverse_sigmoid::Params { beta: 1.0, gamma: 0.2 }),
            Self::Round(round::Params { digits: 1 }),
            Self::Temperature(temperature::Params { t: 3.0 }),
            Self::TopK(top_k::Params { k: 3 }),
        ]
    }

    /// Its `kind` in a config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::GaussianNoise(_) => "gaussian-noise",
            Self::LabelOnly(_) => "label-only",
            Self::RateLimit(_) => "rate-limit",
            Self::ReverseSigmoid(_) => "reverse-sigmoid",
            Self::Round(_) => "round",
            Self::Temperature(_) => "temperature",
            Self::TopK(_) => "top-k",
        }
    }

    /// Builds the layer. `key` is the defender's own stream.
    pub fn build(&self, key: Seed) -> Result<Box<dyn Defense>> {
        Ok(match self {
            Self::GaussianNoise(p) => Box::new(p.build(key)?),
            Self::LabelOnly(_) => Box::new(label_only::LabelOnly),
            Self::RateLimit(p) => Box::new(p.build()?),
            Self::ReverseSigmoid(p) => Box::new(p.build()?),
            Self::Round(p) => Box::new(p.build()?),
            Self::Temperature(p) => Box::new(p.build()?),
            Self::TopK(p) => Box::new(p.build()?),
        })
    }

    /// The card above this layer in front of `below`; refuses a layer that does not fit there, and
    /// settings out of range.
    pub fn card_after(&self, below: Card) -> Result<Card> {
        self.build(Seed::new(0))?;
        let answers = match self {
            Self::GaussianNoise(_)
            | Self::ReverseSigmoid(_)
            | Self::Round(_)
            | Self::Temperature(_) => {
                return rows::needs_probs(self.kind(), below);
            }
            Self::RateLimit(_) => return Ok(below),
            Self::LabelOnly(_) => AnswerKind::Labels,
            Self::TopK(p) => {
                let most = match below.answers {
                    AnswerKind::Probs => below.classes,
                    AnswerKind::TopK { k } => k,
                    _ => return rows::needs_probs("top-k", below),
                };
                if p.k > most {
                    let what =
                        if most == below.classes { "classes" } else { "entries that arrive" };
                    return Err(Error::config(
                        "k",
                        p.k.to_string(),
                        format!("at most {most}, the number of {what}"),
                    ));
                }
                AnswerKind::TopK { k: p.k }
            }
        };
        Ok(Card { answers, ..below })
    }

    /// What it guarantees.
    pub fn promise(&self) -> Promise {
        let base = Promise {
            keeps_top1: true,
            l1_bound: 2.0,
            deterministic: true,
            stateful: false,
            refuses: false,
        };
        match self {
            Self::GaussianNoise(p) => {
                Promise { keeps_top1: false, deterministic: !p.fresh, stateful: p.fresh, ..base }
            }
            Self::RateLimit(_) => Promise { l1_bound: 0.0, stateful: true, refuses: true, ..base },
            // Not monotone near 0 and 1, where gamma beta / (p (1 - p)) exceeds 1.
            Self::ReverseSigmoid(_) => Promise { keeps_top1: false, ..base },
            _ => base,
        }
    }

    /// The student that undoes it best.
    pub fn counter(&self) -> Counter {
        match self {
            Self::GaussianNoise(p) if p.fresh => Counter::Repeat,
            Self::GaussianNoise(_) => Counter::Jitter,
            Self::LabelOnly(_) | Self::TopK(_) => Counter::LabelOnly,
            Self::RateLimit(_) => Counter::MoreAccounts,
            Self::ReverseSigmoid(_) | Self::Round(_) => Counter::InverseTable,
            Self::Temperature(p) => Counter::MatchedTemperature { t: p.t },
        }
    }

    /// Where it comes from.
    pub const fn paper(&self) -> &'static str {
        match self {
            Self::GaussianNoise(_) => {
                "Adversarial Robustness Toolbox, GaussianNoise; keyed form ours"
            }
            Self::LabelOnly(_) => "Tramer et al. 2016, section 7",
            Self::RateLimit(_) => "GCRA, ITU-T I.371 annex A",
            Self::ReverseSigmoid(_) => "Lee et al. 2018, equation 3",
            Self::Round(_) => "Tramer et al. 2016, section 7",
            Self::Temperature(_) => "Hinton et al. 2015, section 2, turned into a defense",
            Self::TopK(_) => "Orekondy et al. 2019, section 5",
        }
    }

    /// Kind and settings, such as `round(digits=1)`.
    pub fn label(&self) -> String {
        label(self.kind(), self)
    }

    /// What a student that knows code and parameters, but no key, can run on its own rows.
    pub fn simulate(&self) -> Option<RowMap> {
        match self {
            Self::ReverseSigmoid(p) => {
                let layer = p.build().ok()?;
                Some(Box::new(move |clean, out| layer.row(clean, out)))
            }
            Self::Round(p) => {
                let layer = p.build().ok()?;
                Some(Box::new(move |clean, out| {
                    out.iter_mut().zip(clean).for_each(|(o, &p)| *o = layer.value(p));
                }))
            }
            Self::Temperature(p) => {
                let layer = p.build().ok()?;
                Some(Box::new(move |clean, out| layer.row(clean, out)))
            }
            _ => None,
        }
    }
}
