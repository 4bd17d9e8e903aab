//! Word-level distillation (Kim and Rush 2016, section 3.1): at every place of the teacher's texts the student learns the
//! distribution that the API tells, or what it keeps of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Comparison;
use crate::error::{Error, Result};
use crate::model::language::{Soft, Tell, TokenTargets};
use crate::oracle::completion::TokenProbs;
use crate::seed::Seed;

/// How a student learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WordKd {
    /// What it keeps of each distribution. More than the API tells is as much as that; draws need all of it.
    pub keep: Tell,
    /// How it is compared with its teacher.
    pub comparison: Comparison,
    /// Both sides' temperature.
    pub temperature: f64,
    /// Share of the cross-entropy to the token itself, 0 to 1.
    pub hard: f64,
}

impl Default for WordKd {
    fn default() -> Self {
        let (keep, comparison) = (Tell::default(), Comparison::default());
        Self { keep, comparison, temperature: 1.0, hard: 0.0 }
    }
}

impl WordKd {
    pub(super) fn check(&self) -> Result<()> {
        self.keep.check().map_err(|e| e.under("keep"))?;
        self.comparison.divergence.check().map_err(|e| e.under("comparison.divergence"))?;
        if !(self.temperature > 0.0 && self.temperature <= 100.0) {
            let found = self.temperature.to_string();
            return Err(Error::config("temperature", found, "above 0, up to 100"));
        }
        super::check_share("hard", self.hard)
    }

    /// Soft targets of answers in their order, as far as an API tells: `answers` have as many places as their texts have
    /// tokens to learn.
    pub fn targets<'a>(
        &self,
        answers: impl Iterator<Item = &'a TokenProbs>,
        vocabulary: usize,
        seed: Seed,
    ) -> Result<Soft> {
        let targets = kept(self.keep, answers, vocabulary, seed)?;
        let Comparison { divergence, tail } = self.comparison;
        let (temperature, hard) = (self.temperature, self.hard);
        Ok(Soft { divergence, tail, temperature, hard, ..Soft::new(targets) })
    }
}

/// What is kept of what an API told.
pub fn kept<'a>(
    keep: Tell,
    answers: impl Iterator<Item = &'a TokenProbs>,
    vocabulary: usize,
    seed: Seed,
) -> Result<TokenTargets> {
    let mut answers = answers.peekable();
    let told = answers.peek().map_or(vocabulary, |probs| probs.k());
    let keep = match keep {
        Tell::TopK { k } => Tell::TopK { k: k.min(told) },
        Tell::Full if told < vocabulary => Tell::TopK { k: told },
        Tell::Sampled { .. } if told < vocabulary => {
            let expected = format!("all {vocabulary}, to draw from");
            return Err(Error::input("log-probabilities that an API tells", told, expected));
        }
        other => other,
    };
    let mut targets = TokenTargets::new(vocabulary, keep)?;
    let mut row = vec![0.0; vocabulary];
    for probs in answers {
        for (ids, logs) in probs.ids.rows().into_iter().zip(probs.logs.rows()) {
            if let Tell::TopK { k } = keep {
                let ids: Vec<u16> = ids.iter().take(k).copied().collect();
                let probs: Vec<f64> =
                    logs.iter().take(k).map(|&log| libm::exp(f64::from(log))).collect();
                targets.push_top_k(&ids, &probs)?;
                continue;
            }
            for (&id, &log) in ids.iter().zip(logs) {
                row[usize::from(id)] = log;
            }
            targets.push(&row, seed.nth("row", targets.len() as u64))?;
        }
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities .1, .2, .4, .3 at each of two places.
    fn told(k: usize) -> TokenProbs {
        let row = [0.1, 0.2, 0.4, 0.3].map(libm::logf);
        TokenProbs::of_logits(&[row, row].concat(), 4, k)
    }

    #[test]
    fn as_much_is_kept_as_is_told_and_asked_for() {
        let keep = |keep, k| kept(keep, [told(k)].iter(), 4, Seed::new(1));
        let full = keep(Tell::Full, 4).unwrap();
        assert_eq!((full.tell(), full.len()), (Tell::Full, 2));
        assert!((full.log_prob(1, 2).unwrap() - libm::log(0.4)).abs() < 1e-6);
        for (asked, told, expected) in [(Tell::Full, 2, 2), (Tell::TopK { k: 3 }, 4, 3)] {
            let few = keep(asked, told).unwrap();
            assert_eq!(few.tell(), Tell::TopK { k: expected });
            assert!((few.log_prob(0, 3).unwrap() - libm::log(0.3)).abs() < 1e-6);
            assert_eq!(few.log_prob(0, 0), None);
        }
        let drawn = Tell::Sampled { draws: 5, power: 1.0 };
        assert_eq!(keep(drawn, 4).unwrap().len(), 2);
        assert!(keep(drawn, 3).unwrap_err().to_string().contains("all 4"));
    }
}
