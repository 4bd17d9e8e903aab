//! What requests are about, as vectors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where topics, templates and requests lie. Read only where a detector looks at vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ContentSpec {
    /// Numbers of a vector.
    #[schemars(extend("x-evidence" = "A: few, so that a campaign's worth of vectors is made in seconds"))]
    pub dimensions: usize,
    /// Scatter of honest requests, and of templates, around their topic, whose vector has length 1.
    #[schemars(extend("x-evidence" = "A: two requests on a topic have cosine .6 on average"))]
    pub spread: f64,
    /// Scatter of requests around their template.
    #[schemars(extend("x-evidence" = "A: two fillings of a template have cosine .96 on average"))]
    pub template_spread: f64,
}

impl Default for ContentSpec {
    fn default() -> Self {
        Self { dimensions: 16, spread: 0.8, template_spread: 0.2 }
    }
}
