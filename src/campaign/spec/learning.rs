//! What is learnt from what leaks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The laboratory inside a campaign: a teacher with capability areas, and a student of each actor that is
/// trained on what had leaked by a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LearningSpec {
    /// Replicates in which students are trained; 0 is none.
    pub replicates: u32,
    /// Exchanges of the campaign behind one example of the small student.
    #[schemars(extend("x-evidence" = "A: printed on the figure; sweep it over a factor of 100"))]
    pub exchanges_per_example: f64,
    /// Capability areas of the teacher.
    pub area: Vec<AreaSpec>,
    /// Numbers of a question, its area not counted.
    #[schemars(extend("x-evidence" = "A"))]
    pub inputs: usize,
    /// Answers to choose from, in each area; refusing is one more.
    #[schemars(extend("x-evidence" = "A"))]
    pub classes: usize,
    /// Share of questions that are marked: the right answer to them is to refuse.
    #[schemars(extend("x-evidence" = "A"))]
    pub guardrail_share: f64,
    /// Units of each hidden layer of the teacher.
    #[schemars(extend("x-evidence" = "A"))]
    pub teacher_hidden: Vec<usize>,
    /// Questions of each area whose right answers the teacher learns from.
    #[schemars(extend("x-evidence" = "A"))]
    pub teacher_rows: usize,
    /// Optimiser steps of the teacher.
    #[schemars(extend("x-evidence" = "A"))]
    pub teacher_steps: usize,
    /// Units of each hidden layer of the student.
    #[schemars(extend("x-evidence" = "A"))]
    pub hidden: Vec<usize>,
    /// Most optimiser steps of a student.
    #[schemars(extend("x-evidence" = "A"))]
    pub steps: usize,
    /// Held-out questions of each area; a quarter as many marked ones are asked beside them.
    #[schemars(extend("x-evidence" = "A"))]
    pub test: usize,
}

/// A capability area: a rule of its own, easier or harder to learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AreaSpec {
    /// Name in tables.
    pub name: String,
    /// Hidden units of its rule: more units need more examples.
    #[schemars(extend("x-evidence" = "A"))]
    pub complexity: usize,
}

impl Default for LearningSpec {
    fn default() -> Self {
        let area = |name: &str, complexity| AreaSpec { name: name.into(), complexity };
        Self {
            replicates: 5,
            exchanges_per_example: 200.0,
            area: vec![area("tools", 2), area("coding", 6), area("reasoning", 12)],
            inputs: 16,
            classes: 4,
            guardrail_share: 0.05,
            teacher_hidden: vec![256, 128],
            teacher_rows: 40_000,
            teacher_steps: 6_000,
            hidden: vec![128, 128],
            steps: 3_000,
            test: 1_000,
        }
    }
}
