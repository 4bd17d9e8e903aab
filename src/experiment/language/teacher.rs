//! The teacher of the suite: a small decoder over bytes, trained on fresh problems.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CONTEXT, VOCABULARY, decoder, lesson};
use crate::data::suite::{Mix, Ranges, Suite};
use crate::error::{Error, Result};
use crate::experiment::plan::BUILD_ID;
use crate::model::language::{Decoder, Language};
use crate::model::{Cache, Decay, Device, Optimizer, Recipe, Schedule};
use crate::seed::Seed;

/// How a teacher of the suite is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TeacherSpec {
    /// How far problems reach.
    pub ranges: Ranges,
    /// How often each capability is practised, in the order of `Capability::ALL`.
    pub mix: [u32; 7],
    /// Problems, each met once.
    pub problems: usize,
    /// Problems of a step.
    pub batch: usize,
    /// Highest learning rate.
    pub lr: f64,
    /// Blocks, heads of each, and their width.
    pub layers: usize,
    pub heads: usize,
    pub width: usize,
}

impl Default for TeacherSpec {
    /// The recipe that a prototype found to work, with wider ranges, more problems and more programs to write.
    fn default() -> Self {
        Self {
            ranges: Ranges::default(),
            mix: [14, 16, 32, 12, 12, 10, 4],
            problems: 300_000,
            batch: 20,
            lr: 1.5e-3,
            layers: 4,
            heads: 4,
            width: 128,
        }
    }
}

impl TeacherSpec {
    /// How it learns: each problem once.
    pub fn recipe(&self, threads: usize) -> Recipe {
        Recipe {
            optimizer: Optimizer::AdamW { lr: self.lr, weight_decay: 0.05, betas: [0.9, 0.99] },
            decay: Decay::Matrices,
            schedule: Schedule::WarmCosine { steps: 200, floor: 0.05 },
            clip: 1.0,
            batch: self.batch,
            steps: self.problems.div_ceil(self.batch),
            validation: 0.0,
            shards: SHARDS,
            threads,
            ..Recipe::default()
        }
    }

    /// Trains a teacher; its weights do not depend on the number of threads.
    pub fn teach(&self, seed: Seed, threads: usize) -> Result<Language> {
        let suite = Suite::new(self.ranges.clone())?;
        let mix = Mix::new(self.mix)?;
        let problems = lesson::problems(&suite, &mix, self.problems, seed.child("lessons"));
        let completions: Vec<Vec<u8>> = problems.iter().map(|p| p.completion()).collect();
        let pairs = problems.iter().zip(&completions).map(|(p, c)| (&p.prompt[..], &c[..]));
        let corpus = lesson::corpus(pairs, CONTEXT)?;
        let plan = decoder(self.layers, self.heads, self.width);
        let fresh = Language::init(&plan, Device::Cpu, seed.child("init"))?;
        Ok(fresh.fit(&corpus, &self.recipe(threads), seed.child("fit"))?.last)
    }
}

/// A teacher that `save` wrote; a model that cannot read the suite's problems is refused.
pub fn of_file(path: &Path) -> Result<Language> {
    let (model, _) = Language::load(path)?;
    let Decoder { vocabulary, context, .. } = *model.plan();
    if (vocabulary, context) == (VOCABULARY, CONTEXT) {
        return Ok(model);
    }
    let found = format!("a model of {vocabulary} tokens and a context of {context}");
    let expected = format!("one of {VOCABULARY} tokens (bytes) and a context of {CONTEXT}");
    Err(Error::config("teacher.path", found, expected))
}

/// A teacher of this recipe and seed, from the cache if it was trained before.
pub fn trained(
    recipe: &TeacherSpec,
    seed: Seed,
    cache: &Cache,
    threads: usize,
) -> Result<Language> {
    let spec = serde_json::to_string(recipe).map_err(|e| Error::Internal(e.to_string()))?;
    let key = format!("suite teacher {BUILD_ID} {spec} {seed:?}");
    let path = cache.file(&key);
    if let Ok((teacher, provenance)) = Language::load(&path)
        && provenance.get("cache-key") == Some(&key)
    {
        return Ok(teacher);
    }
    let teacher = recipe.teach(seed, threads)?;
    // A cache that cannot be written costs time later, not the result.
    if let Some(dir) = path.parent()
        && std::fs::create_dir_all(dir).is_ok()
    {
        let _ = teacher.save(&path, &[("cache-key".to_string(), key)].into());
    }
    Ok(teacher)
}

/// Pieces of a batch that threads may share.
const SHARDS: usize = 2;

/// The teacher that comes with this program: seed 1 of the default recipe. `assets/README.md` has its exam.
pub fn shipped() -> Result<Language> {
    let bytes =
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/suite-teacher.safetensors"));
    Ok(Language::from_bytes(bytes, "suite-teacher.safetensors")?.0)
}

#[cfg(test)]
mod tests {
    use super::super::exam::Exam;
    use super::*;

    #[test]
    fn the_teacher_that_comes_along_knows_the_suite() {
        let suite = Suite::new(Ranges::default()).unwrap();
        let exam = Exam::set(&suite, 60, Seed::new(8)).unwrap();
        let report = exam.grade(&shipped().unwrap(), 1).unwrap();
        let right = |name: &str| {
            report.scores.iter().find(|s| s.capability.name() == name).unwrap().correct.value()
        };
        // Four standard deviations of 60 answers below the shares of `assets/README.md`.
        for name in ["reasoning", "run", "tools", "format"] {
            assert!(right(name) > 0.96, "{name}: {}", right(name));
        }
        assert!(right("write") > 0.63, "{}", right("write"));
        assert!(right("guardrail") > 0.92, "{}", right("guardrail"));
        assert_eq!(report.guardrail.refused.value(), 1.0);
        let bits = report.bits_per_byte.unwrap();
        assert!(bits < 1.2, "{bits}");
    }

    #[test]
    fn a_teacher_is_the_same_on_one_and_two_threads() {
        let spec =
            TeacherSpec { problems: 100, layers: 1, heads: 2, width: 16, ..Default::default() };
        let weights = |threads| spec.teach(Seed::new(1), threads).unwrap().weights();
        assert_eq!(weights(1), weights(2));
    }
}
