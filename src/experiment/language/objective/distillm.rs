//! DistiLLM (Ko et al. 2024, arXiv:2402.03898): skew KL, and own texts that come in as they are needed and are learnt
//! from more than once (section 3.2, algorithm 1).

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Comparison, Material, Tutor, check_share};
use crate::error::{Error, Result};
use crate::model::language::{Language, Lesson};
use crate::model::loss::{Divergence, Tail};
use crate::model::{Order, Recipe};
use crate::seed::{Seed, below, uniform};

/// How a student learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Distillm {
    /// How it is compared with its teacher.
    pub comparison: Comparison,
    /// Share of steps on own texts at the start, 0 to 1.
    pub share: f64,
    /// By how much that share grows each time the loss on held-out texts has risen.
    pub growth: f64,
    /// What counts as risen, since the look before; the recipe's `check-every` says when to look.
    pub rise: f64,
    /// Own texts that are kept to be learnt from again; the oldest go first.
    pub replay: usize,
}

impl Default for Distillm {
    fn default() -> Self {
        let comparison =
            Comparison { divergence: Divergence::SkewKl { alpha: 0.1 }, tail: Tail::default() };
        Self { comparison, share: 0.0, growth: 0.1, rise: 0.1, replay: 1_000 }
    }
}

/// Where a step's texts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The teacher's.
    Held,
    /// The student's, written before.
    Replayed,
    /// The student's, some written now.
    Fresh,
}

/// How much is learnt on own texts.
#[derive(Clone, Copy, Debug)]
struct Pace {
    share: f64,
    /// Loss on held-out texts at the last look.
    last: Option<f64>,
}

impl Pace {
    fn look(&mut self, loss: f64, spec: &Distillm) {
        if self.last.is_some_and(|last| loss >= last + spec.rise) {
            self.share = (self.share + spec.growth).min(1.0);
        }
        self.last = Some(loss);
    }

    /// Source of a step when `done` of the training is over; `coin` is uniform in 0 to 1. Fresh texts become rarer
    /// as the training goes on, once there is enough to replay.
    fn source(self, coin: f64, done: f64, full: bool) -> Source {
        match self.share {
            share if coin >= share => Source::Held,
            share if coin < share * (1.0 - done) || !full => Source::Fresh,
            _ => Source::Replayed,
        }
    }
}

impl Distillm {
    pub(super) fn check(&self) -> Result<()> {
        self.comparison.divergence.check().map_err(|e| e.under("comparison.divergence"))?;
        check_share("share", self.share)?;
        check_share("growth", self.growth)?;
        if !(self.rise.is_finite() && self.rise >= 0.0) {
            return Err(Error::config("rise", self.rise.to_string(), "0 or more"));
        }
        match self.replay {
            0 => Err(Error::config("replay", "0", "1 or more")),
            _ => Ok(()),
        }
    }

    /// The last of the material's texts, as many as the recipe's share, are looked at and never learnt from.
    pub(super) fn learn(
        &self,
        student: &Language,
        tutor: &mut Tutor<'_>,
        material: &Material,
        recipe: &Recipe,
        seed: Seed,
    ) -> Result<Language> {
        let held = self.comparison.of(material.held("DistiLLM")?.clone());
        let all = material.prompts.len();
        let n = all - ((all as f64 * recipe.validation).round() as usize).min(all - 1);
        let out = (n < all).then(|| tutor.gave(held.select(&(n..all).collect::<Vec<_>>())));
        let batch = recipe.batch.min(n);
        let mut order = Order::new((0..n).collect(), seed);
        let mut taken = Vec::new();
        let mut pace = Pace { share: self.share, last: None };
        let mut replay: VecDeque<Lesson> = VecDeque::new();
        student.learn(recipe, seed, |student, step| {
            if let (Some(out), 0) = (&out, step % recipe.check_every) {
                pace.look(student.loss(out)?, self);
            }
            order.take(batch, &mut taken);
            let mut rng = seed.nth("coin", step as u64).rng();
            let done = step as f64 / recipe.steps as f64;
            let source = pace.source(uniform(&mut rng), done, replay.len() >= self.replay);
            if source == Source::Held {
                return Ok(tutor.gave(held.select(&taken)));
            }
            if source == Source::Fresh {
                let (prompts, seed) = (material.some(&taken), seed.nth("own", step as u64));
                let own = material.own(student, tutor, &prompts, self.comparison, seed)?;
                replay.extend((0..prompts.len()).map(|i| own.select(&[i])));
                replay.drain(..replay.len().saturating_sub(self.replay));
            }
            let some: Vec<&Lesson> =
                (0..batch).map(|_| &replay[below(&mut rng, replay.len())]).collect();
            Lesson::join(&some)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_texts_come_in_each_time_the_held_out_loss_has_risen() {
        let spec = Distillm::default();
        let mut pace = Pace { share: 0.0, last: None };
        let mut shares = Vec::new();
        for loss in [2.0, 1.5, 1.59, 1.7, 1.8, 1.9, 1.0] {
            pace.look(loss, &spec);
            shares.push((pace.share * 10.0).round());
        }
        // 1.59 is too little above 1.5; 1.7, 1.8 and 1.9 are .1 and more above the look before.
        assert_eq!(shares[..4], [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(shares[6], shares[5], "a loss that falls changes nothing");
        pace.share = 0.95;
        pace.look(9.0, &spec);
        assert_eq!(pace.share, 1.0);
    }

    #[test]
    fn a_coin_chooses_between_held_replayed_and_fresh_texts() {
        let pace = Pace { share: 0.4, last: None };
        assert_eq!(pace.source(0.4, 0.0, true), Source::Held);
        assert_eq!(pace.source(0.39, 0.0, true), Source::Fresh);
        // Half way, only .2 of the steps write anew.
        assert_eq!(pace.source(0.21, 0.5, true), Source::Replayed);
        assert_eq!(pace.source(0.19, 0.5, true), Source::Fresh);
        assert_eq!(pace.source(0.21, 0.5, false), Source::Fresh);
        assert_eq!(Pace { share: 0.0, last: None }.source(0.0, 0.0, true), Source::Held);
    }
}
