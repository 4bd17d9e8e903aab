//! Universal logit distillation (Boizard et al. 2024, arXiv:2402.12030, sections 3 and 4): a student learns the teacher's
//! texts in its own tokens and, position by position as far as the shorter version of a text goes, how the teacher's
//! certainty was spread over whatever tokens the teacher has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::language::Sorted;
use crate::oracle::completion::TokenProbs;

/// How a student learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Uld {
    /// Weight of the distance between sorted distributions beside the cross-entropy, above 0, up to 100. Both are means
    /// over the student's positions; a position that the teacher's text does not have is at no distance.
    pub weight: f64,
}

impl Default for Uld {
    /// As the released code has it.
    fn default() -> Self {
        Self { weight: 1.0 }
    }
}

impl Uld {
    pub(super) fn check(&self) -> Result<()> {
        match self.weight > 0.0 && self.weight <= 100.0 {
            true => Ok(()),
            false => Err(Error::config("weight", self.weight.to_string(), "above 0, up to 100")),
        }
    }

    /// What an API told of the teacher's texts, each with how many positions count in the student's version of it.
    pub fn targets<'a>(
        &self,
        texts: impl IntoIterator<Item = (&'a TokenProbs, usize)>,
    ) -> Result<Sorted> {
        let mut texts = texts.into_iter().peekable();
        let vocabulary = texts.peek().map_or(0, |(told, _)| told.vocabulary);
        let mut sorted = Sorted::new(self.weight, vocabulary)?;
        for (told, positions) in texts {
            sorted.push(told.logs.view(), positions)?;
        }
        Ok(sorted)
    }
}
