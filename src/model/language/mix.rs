//! Texts drawn from a mixture of two models, token by token.

use super::complete::Ask;
use super::learn::log_softmax32;
use super::sample::Sampling;
use super::{Language, Reader, Steer, Text};
use crate::error::{Error, Result, expect_shape};
use crate::seed::Seed;

/// Steers one model towards another.
struct Mix<'a> {
    other: Reader<'a>,
    share: f64,
    vocabulary: usize,
}

impl Steer for Mix<'_> {
    fn steer(&mut self, texts: &[Text<'_>], logits: &mut [f32]) -> Result<()> {
        let others = self.other.read(texts)?.chunks_exact(self.vocabulary);
        for (own, other) in logits.chunks_exact_mut(self.vocabulary).zip(others) {
            own.copy_from_slice(&mixture(own, other, self.share));
        }
        Ok(())
    }
}

impl Language {
    /// As [`Language::sample`] at temperature 1, each token drawn from `share` of the other model's distribution and
    /// the rest of this one's.
    pub fn sample_mixed(
        &self,
        other: &Self,
        share: f64,
        prompts: &[Vec<u16>],
        most: usize,
        end: Option<u16>,
        streams: &[Seed],
    ) -> Result<Vec<Vec<u16>>> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::input("share of the other model", share, "0 to 1"));
        }
        let sizes = |model: &Self| [model.plan.vocabulary, model.plan.context];
        expect_shape("vocabulary and context of two models", &sizes(other), &sizes(self))?;
        let vocabulary = self.plan.vocabulary;
        let mut mix = Mix { other: Reader::new(other), share, vocabulary };
        let sampling = Sampling::default();
        let ask = Ask { prompts, most, end, sampling, streams, reveal: None };
        let answers = self.complete(&ask, Some(&mut mix))?;
        Ok(answers.into_iter().map(|answer| answer.tokens).collect())
    }
}

/// Logarithms of (1 - share) softmax(q) + share softmax(p).
fn mixture(q: &[f32], p: &[f32], share: f64) -> Vec<f32> {
    let both = log_softmax32(q).into_iter().zip(log_softmax32(p));
    let mix = |(q, p): (f64, f64)| (1.0 - share) * libm::exp(q) + share * libm::exp(p);
    both.map(|logs| libm::log(mix(logs)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Device;
    use crate::model::language::Decoder;

    fn model(seed: u64) -> Language {
        let plan = r#"{ "vocabulary": 11, "context": 12, "layers": 2, "heads": 2, "width": 16,
            "fresh": "fan-in" }"#;
        let plan: Decoder = serde_json::from_str(plan).unwrap();
        Language::init(&plan, Device::Cpu, Seed::new(seed)).unwrap()
    }

    #[test]
    fn shares_of_nothing_and_of_all_are_the_models_alone() {
        let prompts: Vec<Vec<u16>> =
            (1..9).map(|i| (0..i).map(|at| (3 * at) % 11).collect()).collect();
        let streams: Vec<Seed> = (0..8).map(|i| Seed::new(5).nth("text", i)).collect();
        let (a, b) = (model(1), model(2));
        let mixed = |share| a.sample_mixed(&b, share, &prompts, 6, Some(3), &streams).unwrap();
        let alone =
            |m: &Language| m.sample(&prompts, 6, Some(3), &Sampling::default(), &streams).unwrap();
        assert_eq!(mixed(0.0), alone(&a));
        assert_eq!(mixed(1.0), alone(&b));
        assert_ne!(mixed(0.5), mixed(0.0));
        assert!(a.sample_mixed(&b, 1.5, &prompts, 6, None, &streams).is_err());
        assert!(a.sample_mixed(&b, 0.5, &prompts, 6, None, &streams[1..]).is_err());
    }

    #[test]
    fn a_mixture_is_a_mean_of_probabilities() {
        let logs = |p: [f32; 3]| p.map(|p| libm::logf(p) + 2.0);
        let mixed = mixture(&logs([0.5, 0.25, 0.25]), &logs([0.1, 0.1, 0.8]), 0.2);
        for (found, expected) in mixed.into_iter().zip([0.42_f32, 0.22, 0.36]) {
            assert!((libm::expf(found) - expected).abs() < 1e-6, "{found}");
        }
    }
}
