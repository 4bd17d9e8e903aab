//! Generalised knowledge distillation (Agarwal et al. 2024, arXiv:2306.13649, algorithm 1): a share of steps learns on
//! what the student itself writes, scored by the teacher; the others on the teacher's texts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Comparison, Material, Tutor, check_share};
use crate::error::Result;
use crate::model::language::Language;
use crate::model::{Order, Recipe};
use crate::seed::{Seed, uniform};

/// How a student learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Gkd {
    /// Share of steps on the student's own texts, 0 to 1; one coin a step.
    pub lambda: f64,
    /// How it is compared with its teacher.
    pub comparison: Comparison,
}

impl Default for Gkd {
    fn default() -> Self {
        Self { lambda: 0.5, comparison: Comparison::default() }
    }
}

impl Gkd {
    pub(super) fn check(&self) -> Result<()> {
        check_share("lambda", self.lambda)?;
        self.comparison.divergence.check().map_err(|e| e.under("comparison.divergence"))
    }

    /// Batches go through the prompts as a training on held texts with this seed does, whoever writes the texts.
    pub(super) fn learn(
        &self,
        student: &Language,
        tutor: &mut Tutor<'_>,
        material: &Material,
        recipe: &Recipe,
        seed: Seed,
    ) -> Result<Language> {
        let held = match self.lambda < 1.0 {
            true => Some(self.comparison.of(material.held("GKD")?.clone())),
            false => None,
        };
        let n = material.prompts.len();
        let mut order = Order::new((0..n).collect(), seed);
        let mut taken = Vec::new();
        student.learn(recipe, seed, |student, step| {
            order.take(recipe.batch.min(n), &mut taken);
            let own = uniform(&mut seed.nth("coin", step as u64).rng()) < self.lambda;
            match &held {
                Some(held) if !own => Ok(tutor.gave(held.select(&taken))),
                _ => {
                    let (prompts, seed) = (material.some(&taken), seed.nth("own", step as u64));
                    material.own(student, tutor, &prompts, self.comparison, seed)
                }
            }
        })
    }
}
