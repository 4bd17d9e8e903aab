//! Answers as an API gives them: steered while they are written, and with the log-probabilities of what was
//! written, taken from the same pass.

use super::Language;
use super::sample::{Chooser, Sampling};
use super::steer::Steer;
use crate::error::{Result, expect_shape};
use crate::oracle::completion::{Completion, TokenProbs};
use crate::seed::Seed;

/// Prompts to be continued together.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub prompts: &'a [Vec<u16>],
    /// Most new tokens of each.
    pub most: usize,
    /// The token that ends a text.
    pub end: Option<u16>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// One stream for each prompt.
    pub streams: &'a [Seed],
    /// Log-probabilities that are wanted, if any.
    pub reveal: Option<Reveal>,
}

/// Which log-probabilities an answer comes with: always at temperature 1, whatever the sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reveal {
    /// The `k` largest of the model's own distribution, before it was steered.
    Own { k: usize },
    /// The `k` largest of the distribution after it was steered.
    Steered { k: usize },
}

impl Language {
    /// Continues each prompt. Without steering this gives the tokens of [`Language::sample`].
    pub fn complete(
        &self,
        ask: &Ask<'_>,
        steer: Option<&mut (dyn Steer + '_)>,
    ) -> Result<Vec<Completion>> {
        let Ask { prompts, most, end, sampling, streams, reveal } = *ask;
        sampling.check()?;
        expect_shape("streams of texts", &[streams.len()], &[prompts.len()])?;
        let mut draws: Vec<_> = streams.iter().map(Seed::rng).collect();
        let mut chooser = Chooser::default();
        // Logits of what was written, text by text.
        let mut told: Vec<Vec<f32>> = vec![Vec::new(); prompts.len()];
        let texts = self.continued(prompts, most, end, steer, |number, own, steered| {
            match reveal {
                Some(Reveal::Own { .. }) => told[number].extend_from_slice(own),
                Some(Reveal::Steered { .. }) => told[number].extend_from_slice(steered),
                None => {}
            }
            chooser.choose(steered, &sampling, &mut draws[number]) as u16
        })?;
        let vocabulary = self.plan().vocabulary;
        let answers = texts.into_iter().zip(told).map(|(tokens, logits)| {
            let probs = |k| TokenProbs::of_logits(&logits, vocabulary, k);
            let logprobs = reveal.map(|reveal| match reveal {
                Reveal::Own { k } | Reveal::Steered { k } => probs(k),
            });
            Completion { tokens, logprobs }
        });
        Ok(answers.collect())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::{Decoder, Reader, Text};
    use super::*;
    use crate::model::Device;

    const TOKENS: usize = 11;

    fn model() -> Language {
        let plan = r#"{ "vocabulary": 11, "context": 12, "layers": 2, "heads": 2, "width": 16,
            "fresh": "fan-in" }"#;
        let plan: Decoder = serde_json::from_str(plan).unwrap();
        Language::init(&plan, Device::Cpu, Seed::new(1)).unwrap()
    }

    fn prompts() -> Vec<Vec<u16>> {
        (1..7).map(|i| (0..i).map(|at| (3 * at + i) % 11).collect()).collect()
    }

    fn streams() -> Vec<Seed> {
        (0..6).map(|i| Seed::new(5).nth("text", i)).collect()
    }

    fn ask<'a>(
        prompts: &'a [Vec<u16>],
        streams: &'a [Seed],
        temperature: f64,
        reveal: Option<Reveal>,
    ) -> Ask<'a> {
        let sampling = Sampling { temperature, ..Sampling::default() };
        Ask { prompts, most: 5, end: Some(0), sampling, streams, reveal }
    }

    /// Logits at every place of a text, read whole.
    fn whole(model: &Language, text: &[u16]) -> Array2<f32> {
        let mut padded = text.to_vec();
        padded.resize(12, 0);
        model.logits(Array2::from_shape_vec((1, 12), padded).unwrap().view()).unwrap()
    }

    /// Leaves nothing to write but the number after the last.
    struct Count(Vec<Vec<u16>>);

    impl Steer for Count {
        fn steer(&mut self, texts: &[Text<'_>], logits: &mut [f32]) -> Result<()> {
            for (text, row) in texts.iter().zip(logits.chunks_exact_mut(TOKENS)) {
                assert_eq!(text.asked(), self.0[text.number]);
                let next = (text.tokens[text.tokens.len() - 1] + 1) % 11;
                row[usize::from(next)] += 100.0;
            }
            Ok(())
        }
    }

    #[test]
    fn an_answer_is_that_of_sampling_and_comes_with_the_logits_of_its_places() {
        let (model, prompts, streams) = (model(), prompts(), streams());
        let ask = ask(&prompts, &streams, 0.7, Some(Reveal::Own { k: TOKENS }));
        let answers = model.complete(&ask, None).unwrap();
        let texts = model.sample(&prompts, 5, Some(0), &ask.sampling, &streams).unwrap();
        for ((answer, text), prompt) in answers.iter().zip(texts).zip(&prompts) {
            assert_eq!(answer.tokens, text);
            let probs = answer.logprobs.as_ref().unwrap();
            assert_eq!((probs.len(), probs.vocabulary), (text.len(), TOKENS));
            let logits = whole(&model, &[&prompt[..], &text].concat());
            for at in 0..text.len() {
                let row = logits.row(prompt.len() - 1 + at).to_vec();
                let expected = TokenProbs::of_logits(&row, TOKENS, TOKENS);
                assert_eq!(probs.ids.row(at), expected.ids.row(0));
                for (found, expected) in probs.logs.row(at).iter().zip(expected.logs) {
                    assert!((found - expected).abs() < 1e-5, "{found} {expected}");
                }
            }
        }
    }

    #[test]
    fn steering_bends_what_is_written_and_the_own_distribution_can_still_be_told() {
        let (model, prompts, streams) = (model(), prompts(), streams());
        let write = |temperature, reveal| {
            let ask = ask(&prompts, &streams, temperature, Some(reveal));
            model.complete(&ask, Some(&mut Count(prompts.clone()))).unwrap()
        };
        for temperature in [0.0, 1.0] {
            let own = write(temperature, Reveal::Own { k: 2 });
            let steered = write(temperature, Reveal::Steered { k: 2 });
            for ((own, steered), prompt) in own.iter().zip(&steered).zip(&prompts) {
                let start = prompt[prompt.len() - 1];
                let mut counted: Vec<u16> = (1..6).map(|i| (start + i) % 11).collect();
                counted.truncate(counted.iter().position(|t| *t == 0).map_or(5, |end| end + 1));
                assert_eq!((&own.tokens, &steered.tokens), (&counted, &counted));
                let (own, steered) =
                    (own.logprobs.as_ref().unwrap(), steered.logprobs.as_ref().unwrap());
                assert_eq!(steered.ids.column(0).to_vec(), counted);
                assert!(steered.logs.column(0).iter().all(|log| *log > -1e-6));
                let logits = whole(&model, &[&prompt[..], &counted].concat());
                for at in 0..counted.len() {
                    let row = logits.row(prompt.len() - 1 + at).to_vec();
                    let expected = TokenProbs::of_logits(&row, TOKENS, 2);
                    assert!((own.logs[[at, 0]] - expected.logs[[0, 0]]).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn a_steered_text_does_not_depend_on_its_company() {
        let (model, prompts, streams) = (model(), prompts(), streams());
        struct Gentle;
        impl Steer for Gentle {
            fn steer(&mut self, texts: &[Text<'_>], logits: &mut [f32]) -> Result<()> {
                for (text, row) in texts.iter().zip(logits.chunks_exact_mut(TOKENS)) {
                    row[usize::from(text.tokens.iter().sum::<u16>()) % TOKENS] += 2.0;
                }
                Ok(())
            }
        }
        let reveal = Some(Reveal::Steered { k: 3 });
        let all = model.complete(&ask(&prompts, &streams, 1.0, reveal), Some(&mut Gentle)).unwrap();
        for (i, text) in all.iter().enumerate() {
            let alone = ask(&prompts[i..=i], &streams[i..=i], 1.0, reveal);
            assert_eq!(&model.complete(&alone, Some(&mut Gentle)).unwrap()[0], text);
        }
        let plain = model.complete(&ask(&prompts, &streams, 1.0, reveal), None).unwrap();
        assert_ne!(plain, all);
    }

    #[test]
    fn a_reader_follows_texts_as_they_grow_and_no_others() {
        let model = model();
        let texts: [&[u16]; 3] = [&[1, 2, 3, 4, 5], &[9, 8, 7], &[4, 4, 4, 4, 4, 4, 4]];
        let mut reader = Reader::new(&model);
        for grown in 1..=7 {
            let part = |number: usize| {
                let tokens = &texts[number][..grown.min(texts[number].len())];
                Text { number, tokens, prompt: 1 }
            };
            // The second text joins late and is then read whole.
            let asked = if grown < 3 { vec![part(2), part(0)] } else { (0..3).map(part).collect() };
            let logits = reader.read(&asked).unwrap();
            for (text, row) in asked.iter().zip(logits.chunks_exact(TOKENS)) {
                if grown <= texts[text.number].len() || text.number == 1 && grown == 3 {
                    let expected = whole(&model, text.tokens);
                    let expected = expected.row(text.tokens.len() - 1);
                    for (found, expected) in row.iter().zip(expected) {
                        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
                    }
                }
            }
        }
        let other = Text { number: 1, tokens: &[9, 9, 9, 9], prompt: 1 };
        let error = reader.read(&[other]).unwrap_err().to_string();
        assert!(error.contains("tokens of text 1: found 4, expected the 3 read before"), "{error}");
    }
}
