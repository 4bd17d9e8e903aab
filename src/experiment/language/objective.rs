//! What a student makes of the answers that it holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::ApiSpec;
use crate::error::Result;

/// How a student learns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case")]
pub enum Objective {
    /// To write what the teacher wrote: sequence-level distillation (Kim and Rush 2016, section 3.2).
    #[default]
    SeqKd,
}

impl Objective {
    /// True if it uses text alone.
    pub const fn text_only(&self) -> bool {
        match self {
            Self::SeqKd => true,
        }
    }

    /// Refuses settings out of range, and objectives that need more than the API reveals.
    pub fn check(&self, _api: &ApiSpec) -> Result<()> {
        Ok(())
    }
}
