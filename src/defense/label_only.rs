//! Label only: the most likely class and nothing else.
//!
//! The oldest advice against extraction (Tramer et al. 2016, section 7) and a mandatory control: a
//! student can always reduce richer answers to this one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counter, Defense, Method, Next, Promise, Workshop};
use crate::error::Result;
use crate::oracle::{AnswerKind, Answers, Batch, Card, Reply};
use crate::seed::Seed;

/// No settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {}

/// The layer.
pub struct LabelOnly;

impl Defense for LabelOnly {
    fn name(&self) -> &'static str {
        "label-only"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let reply = next.run(batch)?;
        Ok(Reply { answers: Answers::Labels(reply.answers.top1()), outcomes: reply.outcomes })
    }
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "label-only"
    }

    fn paper(&self) -> &'static str {
        "Tramer et al. 2016, section 7"
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn card(&self, below: Card) -> Result<Card> {
        Ok(Card { answers: AnswerKind::Labels, ..below })
    }

    fn promise(&self) -> Promise {
        Promise::BASE
    }

    fn counter(&self) -> Counter {
        Counter::LabelOnly
    }

    fn build(&self, _key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(LabelOnly))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::testing::{cases, numbers};
    use crate::oracle::argmax;

    #[test]
    fn the_reference_labels_are_matched() {
        let all = cases("label_only");
        assert_eq!(all.len(), 6);
        for case in all {
            let probs = numbers(&case["input"]["probs"]);
            assert_eq!(
                argmax(&probs) as u64,
                case["expected"]["label"].as_u64().unwrap(),
                "{}",
                case["id"]
            );
        }
    }
}
