//! Pure scores with unit, direction and uncertainty. No model, no file, no clock.

use serde::{Deserialize, Serialize};

/// Which direction of a score is better for the one whom it describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    Higher,
    Lower,
    Neither,
}

/// One named number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Fixed name, such as `agreement`.
    pub metric: String,
    /// The value; absent where it is not defined.
    pub value: Option<f64>,
    /// Unit, such as `fraction`, `queries`, `days`.
    pub unit: String,
    /// Direction.
    pub better: Better,
}
