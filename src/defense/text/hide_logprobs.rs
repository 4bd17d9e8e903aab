//! Tokens and nothing else: what a student is left with is learning to write the same (sequence-level
//! distillation, Kim and Rush 2016).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Asked, ReplyLayer};
use crate::oracle::completion::Completion;

/// Settings: none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {}

/// The layer.
pub struct HideLogprobs;

impl ReplyLayer for HideLogprobs {
    fn reply(&mut self, _asked: &Asked<'_>, answer: Completion) -> Completion {
        Completion { logprobs: None, ..answer }
    }
}
