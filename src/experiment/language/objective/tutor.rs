//! A teacher behind a counter.

use serde::{Deserialize, Serialize};

use super::Material;
use crate::error::Result;
use crate::model::language::{Corpus, Language, Lesson, Sampling, Soft, Tell, TokenTargets};
use crate::seed::Seed;

/// Texts that the teacher continues together.
const BATCH: usize = 64;

/// What a teacher was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Texts that were continued or scored.
    pub queries: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens that it wrote, with what it tells of their distributions.
    pub completion_tokens: u64,
    /// Tokens of others' texts for which it told its distribution.
    pub scored_tokens: u64,
}

impl Spent {
    /// Tokens of both kinds: the teacher computes as much for either.
    pub const fn tokens(&self) -> u64 {
        self.completion_tokens + self.scored_tokens
    }
}

/// A teacher, what it tells of its distributions, and what it was asked for so far.
#[derive(Debug)]
pub struct Tutor<'a> {
    teacher: &'a Language,
    tell: Tell,
    spent: Spent,
}

impl<'a> Tutor<'a> {
    /// Nothing was asked yet.
    pub fn new(teacher: &'a Language, tell: Tell) -> Self {
        Self { teacher, tell, spent: Spent::default() }
    }

    /// What was asked for so far.
    pub const fn spent(&self) -> Spent {
        self.spent
    }

    /// What it tells of its distributions.
    pub const fn tell(&self) -> Tell {
        self.tell
    }

    fn asked(&mut self, corpus: &Corpus) {
        self.spent.queries += corpus.tokens.nrows() as u64;
        let prompts = corpus.next.rows().into_iter();
        let tokens = prompts.map(|next| next.iter().position(|t| *t >= 0).map_or(0, |at| at + 1));
        self.spent.prompt_tokens += tokens.sum::<usize>() as u64;
    }

    /// Counts the teacher's own texts that a step learns from, as they were asked for before.
    pub fn gave(&mut self, lesson: Lesson) -> Lesson {
        self.asked(&lesson.corpus);
        self.spent.completion_tokens += lesson.corpus.counted() as u64;
        lesson
    }

    /// What it says of the tokens that count in somebody's texts.
    pub fn score(&mut self, corpus: &Corpus, seed: Seed) -> Result<TokenTargets> {
        let told = self.teacher.score(corpus, self.tell, seed)?;
        self.asked(corpus);
        self.spent.scored_tokens += told.len() as u64;
        Ok(told)
    }

    /// The material's prompts with the teacher's own completions and what it says of their tokens. They count where
    /// they are learnt from ([`Self::gave`]). Whoever asks fewer prompts gets the first of these texts.
    pub fn answer(&self, material: &Material, sampling: &Sampling, seed: Seed) -> Result<Lesson> {
        let mut completions = Vec::with_capacity(material.prompts.len());
        for prompts in material.prompts.chunks(BATCH) {
            let first = completions.len() as u64;
            let streams: Vec<Seed> =
                (first..).take(prompts.len()).map(|i| seed.nth("answer", i)).collect();
            let end = Some(material.end);
            completions.extend(self.teacher.sample(
                prompts,
                material.most,
                end,
                sampling,
                &streams,
            )?);
        }
        let corpus =
            material.texts(&material.prompts, &completions, self.teacher.plan().context)?;
        let told = self.teacher.score(&corpus, self.tell, seed.child("score"))?;
        Ok(Lesson::soft(corpus, Soft::new(told)))
    }

    /// What the student goes on to write when the teacher chooses `share` of its words, and what the teacher says of
    /// every token of it. It is asked once for each position, so that each counts once.
    pub fn write_along(
        &mut self,
        student: &Language,
        share: f64,
        material: &Material,
        prompts: &[Vec<u16>],
        seed: Seed,
    ) -> Result<Lesson> {
        let streams: Vec<Seed> = (0..prompts.len()).map(|i| seed.nth("text", i as u64)).collect();
        let (most, end) = (material.most, Some(material.end));
        let completions =
            student.sample_mixed(self.teacher, share, prompts, most, end, &streams)?;
        let corpus = material.texts(prompts, &completions, student.plan().context)?;
        let told = self.score(&corpus, seed.child("score"))?;
        Ok(Lesson::soft(corpus, Soft::new(told)))
    }
}
