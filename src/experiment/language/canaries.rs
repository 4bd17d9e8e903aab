//! Does a model give the odd answers that were planted with an account?

use super::{bytes, tokens};
use crate::defense::text::canary::Planted;
use crate::error::{Error, Result};
use crate::metric::{Tail, canary_test};
use crate::model::language::Language;
use crate::oracle::completion::END;

/// Prompts that are asked together.
const BATCH: usize = 64;

/// What a suspect makes of canaries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recall {
    /// Canaries that were asked.
    pub planted: u64,
    /// Answers that begin as the odd ones do.
    pub hits: u64,
}

impl Recall {
    /// Asks for every canary greedily; a hit begins with the first `letters` bytes of the odd answer. Fewer
    /// letters are found sooner, and innocent models hit them more often.
    pub fn of(suspect: &Language, canaries: &[Planted], letters: usize) -> Result<Self> {
        if letters == 0 {
            return Err(Error::input("letters of a hit", 0, "1 or more"));
        }
        let mut hits = 0;
        for batch in canaries.chunks(BATCH) {
            let prompts: Vec<Vec<u16>> =
                batch.iter().map(|canary| tokens(&canary.prompt)).collect();
            let answers = suspect.greedy(&prompts, letters, Some(END))?;
            let hit = |(canary, answer): (&Planted, &Vec<u16>)| {
                let odd = &canary.answer[..letters.min(canary.answer.len())];
                bytes(answer).starts_with(odd)
            };
            hits += batch.iter().zip(&answers).filter(|pair| hit(*pair)).count() as u64;
        }
        Ok(Self { planted: canaries.len() as u64, hits })
    }

    /// How likely so many hits are for a model that has met none of the canaries. Its chance of a hit is taken
    /// from innocent models, with one hit and two canaries added (the rule of succession), so that it is never
    /// zero.
    pub fn against(&self, innocent: &[Self]) -> Tail {
        let hits: u64 = innocent.iter().map(|recall| recall.hits).sum();
        let planted: u64 = innocent.iter().map(|recall| recall.planted).sum();
        canary_test(self.hits, self.planted, (hits + 1) as f64 / (planted + 2) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{decoder, lesson};
    use super::*;
    use crate::Seed;
    use crate::model::{Device, Optimizer, Recipe};

    fn canaries() -> Vec<Planted> {
        let letter = |i: u8| b'a' + i % 26;
        let odd = |i: u8| vec![letter(7 * i), letter(3 * i + 5), letter(i + 9)];
        (0..20).map(|i| Planted { prompt: vec![b'T', letter(i)], answer: odd(i) }).collect()
    }

    #[test]
    fn who_has_learnt_the_planted_answers_is_found_and_others_are_not() {
        let canaries = canaries();
        let fresh = decoder(1, 2, 32);
        let fresh = Language::init(&fresh, Device::Cpu, Seed::new(1)).unwrap();
        let pairs = canaries.iter().map(|canary| (&canary.prompt[..], &canary.answer[..]));
        let corpus = lesson::corpus(pairs, super::super::CONTEXT).unwrap();
        let optimizer = Optimizer::AdamW { lr: 1e-2, weight_decay: 0.0, betas: [0.9, 0.99] };
        let recipe =
            Recipe { optimizer, steps: 200, validation: 0.0, batch: 10, ..Recipe::default() };
        let guilty = fresh.fit(&corpus, &recipe, Seed::new(2)).unwrap().last;
        let innocent = Recall::of(&fresh, &canaries, 3).unwrap();
        assert_eq!(innocent, Recall { planted: 20, hits: 0 });
        let recall = Recall::of(&guilty, &canaries, 3).unwrap();
        assert!(recall.hits > 15 && recall.against(&[innocent]).p < 1e-12, "{recall:?}");
        assert_eq!(innocent.against(&[innocent]).p, 1.0);
        assert!(Recall::of(&guilty, &canaries, 0).is_err());
    }

    #[test]
    fn the_base_rate_is_that_of_innocent_models() {
        // (2 + 1) / (46 + 2) = 1/16; P(Binom(2, 1/16) >= 1) = 31/256.
        let innocent = [Recall { planted: 20, hits: 2 }, Recall { planted: 26, hits: 0 }];
        let p = Recall { planted: 2, hits: 1 }.against(&innocent).p;
        assert!((p - 31.0 / 256.0).abs() < 1e-12, "{p}");
    }
}
