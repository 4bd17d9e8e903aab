//! A watermark that whoever has the key finds in text alone.
//!
//! After each context of c tokens a pseudo-random part of the vocabulary, drawn from the key and the context,
//! is green: floor(gamma V) tokens, whose logits are raised by delta (Kirchenbauer et al. 2023,
//! arXiv:2301.10226, algorithm 2, with c tokens instead of one). Text without a watermark has a share gamma of
//! green tokens; `metric::z_score` and `metric::binomial_tail` say how far a text is from that.
//!
//! Where one answer is right there is no room for a watermark: delta does nothing, or makes it wrong. So only
//! free text is marked unless the scope says otherwise. Among 256 bytes contexts of one are few, and soon
//! nothing new can be counted; two or more are needed to tell much.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DecodeLayer;
use super::prompt::Scope;
use crate::error::{Error, Result};
use crate::model::language::{Sampling, Steer, Text};
use crate::seed::{Seed, below};

/// Most tokens of a context.
const LONGEST: usize = 8;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Share of green tokens, between 0 and 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gamma: f64,
    /// What is added to their logits, above 0.
    #[schemars(range(min = 0.0))]
    pub delta: f64,
    /// Tokens that decide which are green, 1 to 8.
    #[schemars(range(min = 1, max = 8))]
    pub context: usize,
    /// Which prompts.
    pub scope: Scope,
}

impl Default for Params {
    fn default() -> Self {
        Self { gamma: 0.25, delta: 2.0, context: 2, scope: Scope::Text }
    }
}

/// Which tokens are green: what a detector needs, and what a student must not know.
#[derive(Clone, Copy, Debug)]
pub struct GreenList {
    key: Seed,
    gamma: f64,
    context: usize,
}

/// The layer.
pub struct Watermark {
    green: GreenList,
    delta: f32,
    scope: Scope,
}

impl Params {
    /// Checks the ranges.
    pub fn build(&self, key: Seed) -> Result<Watermark> {
        let Self { gamma, delta, context, scope } = *self;
        if !(gamma > 0.0 && gamma < 1.0) {
            return Err(Error::config("gamma", gamma.to_string(), "above 0, below 1"));
        }
        if !(delta > 0.0 && delta <= 100.0) {
            return Err(Error::config("delta", delta.to_string(), "above 0, up to 100"));
        }
        if !(1..=LONGEST).contains(&context) {
            return Err(Error::config("context", context.to_string(), format!("1 to {LONGEST}")));
        }
        let green = GreenList { key, gamma, context };
        Ok(Watermark { green, delta: delta as f32, scope })
    }
}

impl GreenList {
    /// Tokens of a context.
    pub const fn context(&self) -> usize {
        self.context
    }

    /// Green tokens of a vocabulary.
    fn count(&self, vocabulary: usize) -> usize {
        (self.gamma * vocabulary as f64).floor() as usize
    }

    /// Share of green tokens of a vocabulary, which is what a test has to expect: gamma, but for rounding.
    pub fn share(&self, vocabulary: usize) -> f64 {
        self.count(vocabulary) as f64 / vocabulary as f64
    }

    /// The green tokens after this context, in no order.
    pub fn after(&self, context: &[u16], vocabulary: usize) -> Vec<u16> {
        let bytes: Vec<u8> = context.iter().flat_map(|token| token.to_le_bytes()).collect();
        let mut rng = self.key.keyed(&bytes).rng();
        let mut tokens: Vec<u16> = (0..vocabulary).map(|token| token as u16).collect();
        let green = self.count(vocabulary);
        // The first steps of a shuffle of all.
        for i in 0..green {
            tokens.swap(i, i + below(&mut rng, vocabulary - i));
        }
        tokens.truncate(green);
        tokens
    }

    /// Whether a token is green after this context.
    pub fn is_green(&self, context: &[u16], token: u16, vocabulary: usize) -> bool {
        self.after(context, vocabulary).contains(&token)
    }
}

impl Watermark {
    /// Its green tokens.
    pub const fn green(&self) -> &GreenList {
        &self.green
    }
}

impl DecodeLayer for Watermark {
    fn steer(&self, _sampling: &Sampling) -> Option<Box<dyn Steer + '_>> {
        Some(Box::new(Marking(self)))
    }
}

struct Marking<'a>(&'a Watermark);

impl Steer for Marking<'_> {
    fn steer(&mut self, texts: &[Text<'_>], logits: &mut [f32]) -> Result<()> {
        let Watermark { green, delta, scope } = self.0;
        let vocabulary = logits.len() / texts.len().max(1);
        for (text, row) in texts.iter().zip(logits.chunks_exact_mut(vocabulary.max(1))) {
            let tokens = text.tokens;
            if scope.holds(tokens.first().copied()) && tokens.len() >= green.context {
                let context = &tokens[tokens.len() - green.context..];
                for token in green.after(context, vocabulary) {
                    row[usize::from(token)] += delta;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Pairs, flat_green_share};
    use crate::model::Device;
    use crate::model::language::{Ask, Decoder, Language};

    fn mark(context: usize) -> Watermark {
        Params { context, scope: Scope::All, ..Params::default() }.build(Seed::new(8)).unwrap()
    }

    #[test]
    fn green_tokens_are_a_share_of_the_vocabulary_and_differ_by_context_and_key() {
        let green = *mark(2).green();
        let set = |green: &GreenList, context: &[u16]| {
            let mut tokens = green.after(context, 256);
            tokens.sort_unstable();
            tokens.dedup();
            tokens
        };
        assert_eq!((set(&green, &[1, 2]).len(), green.share(256)), (64, 0.25));
        assert_eq!(set(&green, &[1, 2]), set(&green, &[1, 2]));
        let other = *Params::default().build(Seed::new(9)).unwrap().green();
        for (a, b) in [(set(&green, &[2, 1]), "order"), (set(&other, &[1, 2]), "key")] {
            let common = a.iter().filter(|t| set(&green, &[1, 2]).contains(t)).count();
            // Hypergeometric: 16 expected, deviation 3.
            assert!(common < 28, "{common} in common in spite of another {b}");
        }
        // How often each token is green over many contexts: 500 of 2,000, deviation 19.
        let count = (0..2_000).filter(|i| green.is_green(&[*i, 7], 65, 256)).count();
        assert!(count.abs_diff(500) < 80, "{count}");
        assert_eq!(green.share(10), 0.2);
    }

    #[test]
    fn a_flat_model_writes_as_many_green_tokens_as_the_formula_says() {
        let plan = r#"{ "vocabulary": 256, "context": 64, "layers": 1, "heads": 1, "width": 8 }"#;
        let plan: Decoder = serde_json::from_str(plan).unwrap();
        // Fresh weights of deviation .02: all tokens are about as likely.
        let model = Language::init(&plan, Device::Cpu, Seed::new(1)).unwrap();
        let prompts: Vec<Vec<u16>> = (0..40).map(|i| vec![i, 84]).collect();
        let streams: Vec<Seed> = (0..40).map(|i| Seed::new(2).nth("text", i)).collect();
        let sampling = Sampling::default();
        let ask = Ask {
            prompts: &prompts,
            most: 50,
            end: None,
            sampling,
            streams: &streams,
            reveal: None,
        };
        let layer = mark(2);
        let score = |steer: Option<&mut (dyn Steer + '_)>, green: &GreenList| {
            let mut pairs = Pairs::default();
            for (prompt, answer) in prompts.iter().zip(model.complete(&ask, steer).unwrap()) {
                pairs.add_text(&[&prompt[..], &answer.tokens].concat(), 2);
            }
            pairs.score(0.25, |_| true, |context, token| green.is_green(context, token, 256))
        };
        let marked = score(layer.steer(&sampling).as_deref_mut(), layer.green());
        let share = marked.green as f64 / marked.scored as f64;
        // 2,000 tokens: five deviations of a share of .711.
        assert!((share - flat_green_share(0.25, 2.0)).abs() < 0.051, "{share}");
        assert!(marked.z > 40.0 && marked.p.log10 < -300.0, "{marked:?}");
        let clean = score(None, layer.green());
        assert!(clean.z.abs() < 4.0 && clean.p.p > 1e-4, "{clean:?}");
        let other = Params::default().build(Seed::new(10)).unwrap();
        let wrong_key = score(layer.steer(&sampling).as_deref_mut(), other.green());
        assert!(wrong_key.z.abs() < 4.0, "{wrong_key:?}");
    }

    #[test]
    fn only_what_is_asked_for_is_marked() {
        let layer = Params::default().build(Seed::new(1)).unwrap();
        let mut steer = layer.steer(&Sampling::default()).unwrap();
        let texts = [&b"Tab"[..], b"Fab", b"T"].map(|text| text.iter().map(|&b| u16::from(b)));
        let texts = texts.map(Iterator::collect::<Vec<u16>>);
        let texts: Vec<Text<'_>> = texts
            .iter()
            .enumerate()
            .map(|(number, tokens)| Text { number, tokens, prompt: tokens.len() })
            .collect();
        let mut logits = vec![0.0; 3 * 256];
        steer.steer(&texts, &mut logits).unwrap();
        let raised: Vec<usize> =
            logits.chunks_exact(256).map(|row| row.iter().filter(|&&z| z == 2.0).count()).collect();
        assert_eq!(raised, [64, 0, 0], "free text, a form, and a text too short for a context");
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let usual = Params::default;
        for params in [
            Params { gamma: 1.0, ..usual() },
            Params { delta: 0.0, ..usual() },
            Params { delta: f64::NAN, ..usual() },
            Params { context: 0, ..usual() },
            Params { context: 9, ..usual() },
        ] {
            assert!(params.build(Seed::new(1)).is_err(), "{params:?}");
        }
    }
}
