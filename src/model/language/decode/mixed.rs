//! Texts drawn from a mixture of two models, token by token.

use super::{Desk, Stream};
use crate::error::{Error, Result, expect_shape};
use crate::model::language::sample::{Chooser, Sampling};
use crate::model::language::{Language, learn::log_softmax32};
use crate::model::layer::Room;
use crate::seed::Seed;

/// One model's reading of all texts.
struct Reading<'a> {
    model: &'a Language,
    streams: Vec<Stream>,
    desk: Desk,
}

impl<'a> Reading<'a> {
    fn new(model: &'a Language, prompts: &[Vec<u16>], most: usize) -> Result<Self> {
        let stream = |(i, prompt): (usize, &Vec<u16>)| model.stream(i, prompt, most);
        let streams = prompts.iter().enumerate().map(stream).collect::<Result<_>>()?;
        let desk = Desk { room: Room::of_fixed(), kept: Vec::new(), spare: Vec::new() };
        Ok(Self { model, streams, desk })
    }

    /// Numbers of the texts that go on, and logits after one more token of each.
    fn step(&mut self) -> (Vec<usize>, Vec<f32>) {
        let mut going: Vec<&mut Stream> =
            self.streams.iter_mut().filter(|s| s.tokens.len() < s.end).collect();
        if going.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let x: Vec<f32> = going.iter().map(|s| f32::from(s.tokens[s.seen])).collect();
        let layers = self.model.network.layers();
        let y = self.model.step(layers, &mut going, &x, &mut 0, &mut self.desk);
        going.iter_mut().for_each(|stream| stream.seen += 1);
        (going.iter().map(|stream| stream.number).collect(), y)
    }

    /// True where a text's next token is still to be chosen.
    fn is_read(&self, text: usize) -> bool {
        self.streams[text].seen == self.streams[text].tokens.len()
    }

    fn push(&mut self, text: usize, token: u16, end: Option<u16>) {
        let stream = &mut self.streams[text];
        stream.tokens.push(token);
        if Some(token) == end {
            stream.end = stream.tokens.len();
        }
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
        expect_shape("streams of texts", &[streams.len()], &[prompts.len()])?;
        if let Some(end) = end {
            self.check_token("token that ends a text", end)?;
        }
        let mut own = Reading::new(self, prompts, most)?;
        let mut others = Reading::new(other, prompts, most)?;
        let mut draws: Vec<_> = streams.iter().map(Seed::rng).collect();
        let mut chooser = Chooser::default();
        let vocabulary = self.plan.vocabulary;
        loop {
            let (going, logits) = own.step();
            let (_, other_logits) = others.step();
            if going.is_empty() {
                break;
            }
            let rows = logits.chunks_exact(vocabulary).zip(other_logits.chunks_exact(vocabulary));
            for (text, (q, p)) in going.into_iter().zip(rows) {
                if !own.is_read(text) {
                    continue;
                }
                let mixed = mixture(q, p, share);
                let token = chooser.choose(&mixed, &Sampling::default(), &mut draws[text]);
                own.push(text, token, end);
                others.push(text, token, end);
            }
        }
        let new = own.streams.into_iter().zip(prompts);
        Ok(new.map(|(mut stream, prompt)| stream.tokens.split_off(prompt.len())).collect())
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
