//! Antidistillation sampling: words that make whoever learns from them worse (Savani et al. 2025,
//! arXiv:2504.13146).
//!
//! A token v is drawn from softmax(z / tau + lambda Delta), z the teacher's logits, tau the temperature asked
//! for. With q a proxy of the students that are expected, g the gradient of its loss on lessons that nobody is
//! to learn,
//!
//! Delta(v) = [log q(v; theta + epsilon g) - log q(v; theta - epsilon g)] / (2 epsilon),
//!
//! which tends to the product of g and the gradient of log q(v; theta): how much a step of learning v adds to
//! that loss. At temperature 0 lambda has no effect, as the teacher's most likely token outweighs anything;
//! `temperature-floor` in front makes sure of some. The penalty goes into what is drawn, not into the
//! log-probabilities that an API reveals of the teacher's own distribution: whoever is given these is not
//! defended against.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DecodeLayer, Proxy};
use crate::error::{Error, Result};
use crate::model::language::{Language, Reader, Sampling, Steer, Text};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Weight of the penalty, above 0.
    #[schemars(range(min = 0.0))]
    pub lambda: f64,
    /// Length of the step along the gradient, above 0; .01 in the authors' runs.
    #[serde(default = "usual_step")]
    #[schemars(range(min = 0.0))]
    pub epsilon: f64,
}

const fn usual_step() -> f64 {
    0.01
}

/// The layer: the proxy one step up and one step down its loss.
pub struct Antidistillation {
    lambda: f64,
    epsilon: f64,
    up: Language,
    down: Language,
}

impl Params {
    /// Refuses settings out of range.
    pub fn check(&self) -> Result<()> {
        for (key, value) in [("lambda", self.lambda), ("epsilon", self.epsilon)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::config(key, value.to_string(), "above 0"));
            }
        }
        Ok(())
    }

    /// Moves the proxy. Takes a pass over its lessons.
    pub fn build(&self, proxy: &Proxy) -> Result<Antidistillation> {
        self.check()?;
        let Self { lambda, epsilon } = *self;
        let gradient = proxy.model.gradient(&proxy.lessons)?;
        let up = proxy.model.moved(&gradient, epsilon)?;
        let down = proxy.model.moved(&gradient, -epsilon)?;
        Ok(Antidistillation { lambda, epsilon, up, down })
    }
}

impl DecodeLayer for Antidistillation {
    fn steer(&self, sampling: &Sampling) -> Option<Box<dyn Steer + '_>> {
        // Logits are divided by the temperature afterwards, and the penalty is not to be.
        let scale = sampling.temperature * self.lambda / (2.0 * self.epsilon);
        let (up, down) = (Reader::new(&self.up), Reader::new(&self.down));
        Some(Box::new(Penalty { scale, up, down }))
    }
}

/// Both proxies read along with the texts.
struct Penalty<'a> {
    scale: f64,
    up: Reader<'a>,
    down: Reader<'a>,
}

impl Steer for Penalty<'_> {
    fn steer(&mut self, texts: &[Text<'_>], logits: &mut [f32]) -> Result<()> {
        let (up, down) = (self.up.read(texts)?, self.down.read(texts)?);
        if up.len() != logits.len() {
            let per_text = |numbers: usize| numbers / texts.len().max(1);
            let expected = format!("{}, as the teacher has", per_text(logits.len()));
            return Err(Error::input("tokens of the proxy", per_text(up.len()), expected));
        }
        let vocabulary = logits.len() / texts.len().max(1);
        let rows = up.chunks_exact(vocabulary.max(1)).zip(down.chunks_exact(vocabulary.max(1)));
        for (row, (up, down)) in logits.chunks_exact_mut(vocabulary.max(1)).zip(rows) {
            let (mass_up, mass_down) = (log_mass(up), log_mass(down));
            for ((z, &up), &down) in row.iter_mut().zip(up).zip(down) {
                let difference = (f64::from(up) - mass_up) - (f64::from(down) - mass_down);
                *z = (f64::from(*z) + self.scale * difference) as f32;
            }
        }
        Ok(())
    }
}

/// log sum exp of logits.
fn log_mass(logits: &[f32]) -> f64 {
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    most + libm::log(logits.iter().map(|&z| libm::exp(f64::from(z) - most)).sum())
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::Seed;
    use crate::model::Device;
    use crate::model::language::{Ask, Corpus, Decoder};

    fn decoder(width: usize, seed: u64) -> Language {
        let plan = format!(
            r#"{{ "vocabulary": 11, "context": 12, "layers": 1, "heads": 2, "width": {width},
                "fresh": "fan-in" }}"#
        );
        let plan: Decoder = serde_json::from_str(&plan).unwrap();
        Language::init(&plan, Device::Cpu, Seed::new(seed)).unwrap()
    }

    fn proxy() -> Proxy {
        let tokens = Array2::from_shape_fn((20, 12), |(i, at)| ((i + at) % 11) as u16);
        let next = tokens.mapv(|t| i32::from((t + 1) % 11));
        Proxy { model: decoder(16, 1), lessons: Corpus { tokens, next } }
    }

    /// The text and the one token that follows it, to learn.
    fn one(text: &[u16], token: u16) -> Corpus {
        let mut tokens = text.to_vec();
        tokens.resize(12, 0);
        let mut next = Array2::from_elem((1, 12), -1);
        next[[0, text.len() - 1]] = i32::from(token);
        Corpus { tokens: Array2::from_shape_vec((1, 12), tokens).unwrap(), next }
    }

    #[test]
    fn the_penalty_is_what_a_step_of_learning_each_token_adds_to_the_loss() {
        let proxy = proxy();
        let layer = Params { lambda: 3.0, epsilon: 1e-3 }.build(&proxy).unwrap();
        let sampling = Sampling { temperature: 0.5, ..Sampling::default() };
        let mut steer = layer.steer(&sampling).unwrap();
        let g = proxy.model.gradient(&proxy.lessons).unwrap();
        let texts: [&[u16]; 2] = [&[3, 4, 5], &[9, 1]];
        let asked = [0, 1].map(|number| Text { number, tokens: texts[number], prompt: 1 });
        let mut logits = vec![0.0; 22];
        steer.steer(&asked, &mut logits).unwrap();
        for (text, row) in texts.iter().zip(logits.chunks_exact(11)) {
            for (token, &found) in row.iter().enumerate() {
                // The gradient of a loss -log q(v) is the opposite of that of log q(v).
                let own = proxy.model.gradient(&one(text, token as u16)).unwrap();
                let delta: f64 = -g.iter().zip(&own).map(|(a, b)| f64::from(a * b)).sum::<f64>();
                let expected = 0.5 * 3.0 * delta;
                let slack = 0.01 + 0.02 * expected.abs();
                assert!((f64::from(found) - expected).abs() < slack, "{found} {expected}");
            }
        }
    }

    #[test]
    fn tokens_that_teach_the_lessons_are_avoided_more_the_larger_lambda() {
        let (proxy, teacher) = (proxy(), decoder(16, 7));
        let prompts: Vec<Vec<u16>> = (0..60).map(|i| vec![i % 11]).collect();
        let streams: Vec<Seed> = (0..60).map(|i| Seed::new(5).nth("text", i)).collect();
        let sampling = Sampling::default();
        let (most, reveal) = (11, None);
        let ask = Ask { prompts: &prompts, most, end: None, sampling, streams: &streams, reveal };
        // How often the next number follows, which is what the lessons are about.
        let taught = |lambda: Option<f64>| {
            let layer =
                lambda.map(|lambda| Params { lambda, epsilon: 1e-2 }.build(&proxy).unwrap());
            let mut steer = layer.as_ref().and_then(|layer| layer.steer(&sampling));
            let answers = teacher.complete(&ask, steer.as_deref_mut()).unwrap();
            let texts = prompts.iter().zip(answers).map(|(p, a)| [&p[..], &a.tokens].concat());
            let pairs: Vec<bool> = texts
                .flat_map(|t| t.windows(2).map(|w| w[1] == (w[0] + 1) % 11).collect::<Vec<_>>())
                .collect();
            pairs.iter().filter(|hit| **hit).count()
        };
        let (clean, some, much) = (taught(None), taught(Some(0.03)), taught(Some(0.5)));
        assert!(clean > some && some > much, "{clean} {some} {much}");
        assert!(much * 4 < clean, "{clean} {much}");
    }

    #[test]
    fn proxies_and_settings_that_do_not_fit_are_refused() {
        for (lambda, epsilon) in [(0.0, 0.01), (1.0, 0.0), (f64::NAN, 0.01), (1.0, f64::INFINITY)] {
            assert!(Params { lambda, epsilon }.check().is_err(), "{lambda} {epsilon}");
        }
        let layer = Params { lambda: 1.0, epsilon: 0.01 }.build(&proxy()).unwrap();
        let mut steer = layer.steer(&Sampling::default()).unwrap();
        let text = Text { number: 0, tokens: &[1], prompt: 1 };
        let error = steer.steer(&[text], &mut [0.0; 256]).unwrap_err().to_string();
        assert!(error.contains("tokens of the proxy: found 11, expected 256"), "{error}");
    }
}
