//! Objectives of students of text that learn from a teacher's distributions: on its texts, on their own, or on both.
//!
//! Every objective is a training of lessons made step by step ([`Language::learn`]). A teacher is reached through a
//! [`Tutor`] only, which counts what it is asked for, so that objectives can be compared at equal teacher tokens.

mod distillm;
mod gkd;
mod minillm;
mod tutor;
mod uld;
mod word_kd;

pub use distillm::Distillm;
pub use gkd::Gkd;
pub use minillm::Minillm;
pub use tutor::{Spent, Tutor};
pub use uld::Uld;
pub use word_kd::{WordKd, kept};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::Recipe;
use crate::model::language::{Corpus, Language, Lesson, Sampling, Soft};
use crate::model::loss::{Divergence, Tail};
use crate::seed::Seed;

/// An objective by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Objective {
    /// To write what the teacher wrote: sequence-level distillation (Kim and Rush 2016, section 3.2).
    #[default]
    SeqKd,
    /// To think at each place of the teacher's texts what the API tells of its distribution.
    WordKd(WordKd),
    /// The same by sorted distributions beside the next token, so that vocabularies need not agree.
    Uld(Uld),
    /// A share of steps on the student's own texts.
    Gkd(Gkd),
    /// Own texts come in as far as held-out ones get worse, and are learnt from again.
    Distillm(Distillm),
    /// Policy gradient of reverse KL over whole texts.
    Minillm(Minillm),
}

/// What there is to learn on.
#[derive(Clone, Debug)]
pub struct Material {
    /// Prompts that may be asked.
    pub prompts: Vec<Vec<u16>>,
    /// The teacher's texts: text i goes on from prompt i. Only who learns on own texts alone can do without.
    pub held: Option<Lesson>,
    /// Most new tokens of a completion.
    pub most: usize,
    /// The token that ends a completion. It is learnt like any other.
    pub end: u16,
}

/// How a student is compared with its teacher at a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Comparison {
    /// How far two distributions are apart.
    pub divergence: Divergence,
    /// What becomes of tokens that a top-k row leaves out.
    pub tail: Tail,
}

impl Objective {
    /// One value per kind.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::SeqKd,
            Self::WordKd(WordKd::default()),
            Self::Uld(Uld::default()),
            Self::Gkd(Gkd::default()),
            Self::Distillm(Distillm::default()),
            Self::Minillm(Minillm::default()),
        ]
    }

    /// Refuses values outside their ranges; keys are relative to the objective.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::SeqKd => Ok(()),
            Self::WordKd(objective) => objective.check(),
            Self::Uld(objective) => objective.check(),
            Self::Gkd(objective) => objective.check(),
            Self::Distillm(objective) => objective.check(),
            Self::Minillm(objective) => objective.check(),
        }
    }

    /// Its name in configs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SeqKd => "seq-kd",
            Self::WordKd(_) => "word-kd",
            Self::Uld(_) => "uld",
            Self::Gkd(_) => "gkd",
            Self::Distillm(_) => "distillm",
            Self::Minillm(_) => "minillm",
        }
    }

    /// Where it comes from.
    pub const fn paper(&self) -> &'static str {
        match self {
            Self::SeqKd => "Kim and Rush 2016 (arXiv:1606.07947), section 3.2",
            Self::WordKd(_) => "Kim and Rush 2016 (arXiv:1606.07947), section 3.1",
            Self::Uld(_) => "Boizard et al. 2024 (arXiv:2402.12030), sections 3 and 4",
            Self::Gkd(_) => "Agarwal et al. 2024 (arXiv:2306.13649)",
            Self::Distillm(_) => "Ko et al. 2024 (arXiv:2402.03898)",
            Self::Minillm(_) => "Gu et al. 2024 (arXiv:2306.08543)",
        }
    }

    /// What an API must give.
    pub const fn needs(&self) -> &'static str {
        match self {
            Self::SeqKd => "text",
            Self::WordKd(_) => "text with log-probabilities",
            Self::Uld(_) => "text with log-probabilities, of whatever tokens",
            Self::Gkd(_) | Self::Distillm(_) => "log-probabilities of texts that the student wrote",
            Self::Minillm(_) => "every log-probability of texts that the student wrote",
        }
    }

    /// True if it uses text alone.
    pub const fn text_only(&self) -> bool {
        matches!(self, Self::SeqKd)
    }

    /// True if it compares what a teacher tells of tokens with the student's own, token by token.
    pub const fn needs_tokens(&self) -> bool {
        !matches!(self, Self::SeqKd | Self::Uld(_))
    }

    /// True if it has the teacher score what the student writes.
    pub const fn on_policy(&self) -> bool {
        matches!(self, Self::Gkd(_) | Self::Distillm(_) | Self::Minillm(_))
    }

    /// Trains a student of an on-policy objective, asking the tutor as the objective needs it. Same seed, same build: same weights.
    pub fn learn(
        &self,
        student: &Language,
        tutor: &mut Tutor<'_>,
        material: &Material,
        recipe: &Recipe,
        seed: Seed,
    ) -> Result<Language> {
        self.check()?;
        material.check()?;
        match self {
            Self::SeqKd | Self::WordKd(_) | Self::Uld(_) => {
                let expected = "an objective with steps on own texts";
                Err(Error::input("objective", format!("{self:?}"), expected))
            }
            Self::Gkd(objective) => objective.learn(student, tutor, material, recipe, seed),
            Self::Distillm(objective) => objective.learn(student, tutor, material, recipe, seed),
            Self::Minillm(objective) => objective.learn(student, tutor, material, recipe, seed),
        }
    }
}

impl Material {
    fn check(&self) -> Result<()> {
        if self.prompts.is_empty() {
            return Err(Error::input("prompts of an objective", 0, "1 or more"));
        }
        if let Some(held) = &self.held {
            let found = held.corpus.tokens.nrows();
            crate::error::expect_shape("texts of prompts", &[found], &[self.prompts.len()])?;
        }
        Ok(())
    }

    /// The teacher's texts with soft targets, which an objective of this name needs.
    fn held(&self, who: &str) -> Result<&Lesson> {
        let what = || format!("the teacher's texts for {who}");
        let held = self.held.as_ref();
        held.filter(|held| held.soft.is_some())
            .ok_or_else(|| Error::input(what(), "none", "texts with soft targets"))
    }

    /// The prompts at `index`.
    fn some(&self, index: &[usize]) -> Vec<Vec<u16>> {
        index.iter().map(|&i| self.prompts[i].clone()).collect()
    }

    /// Prompts with completions as texts.
    fn texts(
        &self,
        prompts: &[Vec<u16>],
        completions: &[Vec<u16>],
        context: usize,
    ) -> Result<Corpus> {
        let pairs = prompts.iter().zip(completions).map(|(p, c)| (&p[..], &c[..]));
        Corpus::of(pairs, context, self.end)
    }

    /// What the student goes on to write after these prompts, by its own distribution, and what the teacher says of
    /// every token of it. Nothing is learnt of how tokens are drawn.
    fn own(
        &self,
        student: &Language,
        tutor: &mut Tutor<'_>,
        prompts: &[Vec<u16>],
        comparison: Comparison,
        seed: Seed,
    ) -> Result<Lesson> {
        let streams: Vec<Seed> = (0..prompts.len()).map(|i| seed.nth("text", i as u64)).collect();
        let (end, own) = (Some(self.end), Sampling::default());
        let completions = student.sample(prompts, self.most, end, &own, &streams)?;
        let corpus = self.texts(prompts, &completions, student.plan().context)?;
        let soft = Soft::new(tutor.score(&corpus, seed.child("score"))?);
        Ok(comparison.of(Lesson::soft(corpus, soft)))
    }
}

impl Comparison {
    /// The same lesson, compared so.
    fn of(self, lesson: Lesson) -> Lesson {
        let Self { divergence, tail } = self;
        Lesson { soft: lesson.soft.map(|soft| Soft { divergence, tail, ..soft }), ..lesson }
    }
}

/// Refuses a share outside 0 to 1.
fn check_share(key: &str, share: f64) -> Result<()> {
    match (0.0..=1.0).contains(&share) {
        true => Ok(()),
        false => Err(Error::config(key, share.to_string(), "0 to 1")),
    }
}

#[cfg(test)]
mod tests;
