//! A gate against rows from elsewhere: inputs whose `score` says that they are unlike what the teacher
//! learned get the `response`.
//!
//! The score is one of four (`strangeness`): largest probability, entropy, energy or Mahalanobis distance.
//! Its threshold is calibrated by the teacher's twin on rows that the twin has not seen: on rows that it
//! learned, a teacher is too sure. What is taken over from the twin is the share of its learned rows beyond the
//! threshold that the stated share of others exceed; the teacher's has as many of its own learned rows beyond.

use std::sync::Arc;

use ndarray::Axis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::respond::{Flags, Response, gate};
use super::strangeness::{Score, Scorer};
use super::workshop::Outline;
use super::{Counter, Defense, Method, Next, Promise, Workshop, rows};
use crate::detect::Threshold;
use crate::error::{Error, Result};
use crate::oracle::{Batch, Card, Reply};
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Params {
    /// How strangeness is measured.
    #[serde(default)]
    pub score: Score,
    /// Share of rows like the teacher's own that are flagged, above 0 and at most 0.5.
    #[serde(default = "usual")]
    pub false_rate: f64,
    /// What a flagged row gets.
    #[serde(default)]
    pub response: Response,
}

const fn usual() -> f64 {
    0.05
}

/// The layer.
pub struct OodGate {
    judge: Arc<Judge>,
    response: Response,
    key: Seed,
    flags: Flags,
}

/// A fitted score and its threshold.
struct Judge {
    scorer: Scorer,
    threshold: f64,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "ood-gate"
    }

    fn paper(&self) -> &'static str {
        "Hendrycks and Gimpel 2017; Liu et al. 2020; Lee et al. 2018"
    }

    fn check(&self) -> Result<()> {
        rows::check_rate("false-rate", self.false_rate)
    }

    fn card(&self, below: Card) -> Result<Card> {
        self.response.card(self.kind(), below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        match self.score {
            Score::Msp | Score::Entropy => outline.needs_model(self.kind()),
            Score::Energy | Score::Mahalanobis => outline.needs_network(self.kind()),
        }
    }

    fn promise(&self) -> Promise {
        self.response.promise()
    }

    fn counter(&self) -> Counter {
        Counter::InDistribution
    }

    fn build(&self, key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let judge = shop.once(&format!("ood-gate/{:?}/{}", self.score, self.false_rate), |_| {
            let twin = shop.twin()?;
            let fit = |model: &Arc<_>, index: &[usize]| {
                let rows = shop.inputs.select(Axis(0), index);
                let labels: Vec<usize> = index.iter().map(|&i| shop.labels[i]).collect();
                Scorer::fit(self.score, Arc::clone(model), rows.view(), &labels)
            };
            let judge = fit(&twin.model, &twin.seen)?;
            let of = |index: &[usize]| judge.of(shop.inputs.select(Axis(0), index).view());
            let (seen, unseen) = (of(&twin.seen)?, of(&twin.unseen)?);
            let scorer = fit(shop.teacher()?, &shop.all())?;
            let own = scorer.of(shop.inputs.view())?;
            let threshold = transferred(&seen, &unseen, &own, self.false_rate)?;
            Ok(Judge { scorer, threshold })
        })?;
        Ok(Box::new(OodGate { judge, response: self.response, key, flags: Flags::default() }))
    }
}

/// The threshold of the teacher: the score that as large a share of its own learned rows exceed as of the
/// twin's, where the twin's is the one that a share `rate` of `unseen` rows exceed. So the units of two
/// models' scores need not agree. Where no row that the twin learned is beyond it, the units must do.
fn transferred(seen: &[f64], unseen: &[f64], own: &[f64], rate: f64) -> Result<f64> {
    let above = |scores: &[f64], share: f64| {
        let threshold = Threshold::above(scores, share).map(|t| t.value);
        threshold.ok_or_else(|| Error::Internal("a threshold of no rows".into()))
    };
    let twins = above(unseen, rate)?;
    let beyond = seen.iter().filter(|s| **s > twins).count();
    match beyond {
        0 => Ok(twins),
        _ => above(own, beyond as f64 / seen.len() as f64),
    }
}

impl Defense for OodGate {
    fn name(&self) -> &'static str {
        "ood-gate"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let scores = self.judge.scorer.of(batch.inputs.view())?;
        let flagged: Vec<bool> = scores.iter().map(|s| *s > self.judge.threshold).collect();
        batch.account.iter().zip(&flagged).for_each(|(a, f)| self.flags.note(*a, *f));
        gate(self.response, self.name(), self.key, batch, next, &flagged)
    }

    fn flags(&self) -> Option<&Flags> {
        Some(&self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::super::workshop::testing::{CARD, made, small};
    use super::super::{DefenseSpec, Stack, Unwatched};
    use super::*;
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, Outcome, Tick};
    use crate::seed::uniform;
    use ndarray::Array2;

    fn refused(score: Score, inputs: Array2<f32>) -> f64 {
        let spec =
            DefenseSpec::OodGate(Params { score, false_rate: 0.1, response: Response::Refuse });
        let mut stack = Stack::build(&[spec], Seed::new(1), CARD, small()).unwrap();
        let n = inputs.nrows();
        let batch = Batch::classify(AccountId(0), Tick::ZERO, inputs);
        let mut oracle = Scripted::constant(2, vec![0.2; 5]);
        let reply = stack.run(&batch, &mut oracle, &mut Unwatched).unwrap();
        let denied = reply.outcomes.iter().filter(|o| matches!(o, Outcome::Denied(_))).count();
        assert_eq!(reply.answers.len(), n - denied);
        let [(name, flags)] = stack.flags()[..] else { panic!("one gate flags") };
        let noted = flags.of(AccountId(0));
        assert_eq!((name, noted.rows, noted.flagged), ("ood-gate", n as u64, denied as u64));
        denied as f64 / n as f64
    }

    #[test]
    fn a_threshold_is_carried_over_by_the_share_of_learned_rows_beyond_it() {
        let unseen: Vec<f64> = (1..=10).map(f64::from).collect();
        let own = [100.0, 200.0, 300.0, 400.0];
        let above = |scores: &[f64], share| Threshold::above(scores, share).unwrap().value;
        let twins = above(&unseen, 0.1);
        // Half of the learned rows are beyond it; then one is no further than at it.
        let found = |seen: &[f64]| transferred(seen, &unseen, &own, 0.1).unwrap();
        assert_eq!(found(&[twins + 1.0, twins - 1.0]), above(&own, 0.5));
        assert_eq!(found(&[twins, twins - 1.0]), twins);
        assert!(transferred(&[1.0], &[], &own, 0.1).is_err());
    }

    #[test]
    fn about_the_stated_share_of_rows_like_the_teachers_is_refused_and_more_of_others() {
        // The same rows again under another seed would be equal: move each a little instead.
        let mut rng = Seed::new(9).rng();
        let like =
            made(1).inputs.mapv(|x| (x + 0.04 * (uniform(&mut rng) as f32 - 0.5)).clamp(0.0, 1.0));
        let elsewhere = Array2::from_shape_fn((300, 2), |(i, j)| {
            0.4 + 0.2 * ((i * 7 + j * 13) % 100) as f32 / 100.0
        });
        for score in [Score::Msp, Score::Entropy, Score::Energy, Score::Mahalanobis] {
            let (own, other) = (refused(score, like.clone()), refused(score, elsewhere.clone()));
            assert!(own < 0.25, "{score:?}: {own}");
            assert!(other > own + 0.2, "{score:?}: {own} and {other}");
        }
    }
}
