//! A student: a decoder, fresh or from disk, that learns from the exchanges it holds.

use std::sync::Arc;

use super::exam::Candidate;
use super::objective::Uld;
use super::spec::{Size, Training};
use super::words::{Tables, Words};
use super::{CONTEXT, decoder, lesson};
use crate::data::suite::is_refusal;
use crate::error::Result;
use crate::model::language::{Corpus, Language, Soft};
use crate::model::llama::Tunable;
use crate::model::{Decay, Device, Optimizer, Recipe, Schedule};
use crate::oracle::completion::{Completion, TokenProbs};
use crate::seed::Seed;

/// A prompt and what came back for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    pub prompt: Vec<u8>,
    pub answer: Completion,
}

impl Exchange {
    /// The answer's tokens as bytes, [`END`](crate::data::suite::END) among them if the teacher wrote it.
    pub fn text(&self) -> Vec<u8> {
        super::bytes(&self.answer.tokens)
    }

    /// Whether the answer is a refusal, as whoever reads it can tell.
    pub fn refused(&self) -> bool {
        is_refusal(&self.text())
    }
}

impl Training {
    /// How a network learns under this rule.
    pub fn recipe(&self) -> Recipe {
        Recipe {
            optimizer: Optimizer::AdamW { lr: self.lr, weight_decay: 0.05, betas: [0.9, 0.99] },
            decay: Decay::Matrices,
            schedule: Schedule::WarmCosine { steps: (self.steps / 20).max(1), floor: 0.05 },
            clip: 1.0,
            batch: self.batch,
            steps: self.steps,
            // A student that has seen everything many times stops where it would memorise.
            validation: self.validation,
            check_every: (self.steps / 20).clamp(1, 200),
            ..Recipe::default()
        }
    }
}

/// A fresh student.
pub fn fresh(size: Size, seed: Seed) -> Result<Language> {
    let plan = decoder(size.layers, size.heads, size.width);
    Language::init(&plan, Device::Cpu, seed.child("init"))
}

/// A fresh student over bytes that has learnt to write these completions, which end as they are to end.
pub fn learn(
    size: Size,
    training: &Training,
    held: &[(Vec<u8>, Vec<u8>)],
    seed: Seed,
) -> Result<Language> {
    Ok(Student::fresh(size, seed)?.learn(training, held, seed)?.model)
}

/// Exchanges as texts over bytes to learn from.
pub fn corpus(held: &[(Vec<u8>, Vec<u8>)]) -> Result<Corpus> {
    lesson::corpus(slices(held), CONTEXT)
}

fn slices(held: &[(Vec<u8>, Vec<u8>)]) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
    held.iter().map(|(prompt, completion)| (&prompt[..], &completion[..]))
}

/// A decoder, and the tokens that it reads and writes.
#[derive(Clone, Debug)]
pub struct Student {
    pub model: Language,
    pub words: Words,
}

impl Student {
    /// Fresh, over bytes.
    pub fn fresh(size: Size, seed: Seed) -> Result<Self> {
        Ok(Self { model: fresh(size, seed)?, words: Words::Bytes })
    }

    /// A model from disk, as it is.
    pub fn tuned(from: &Tunable) -> Self {
        let tables = Tables::new(from.tokenizer.clone(), from.stops.clone());
        Self { model: from.model.clone(), words: Words::Tables(Arc::new(tables)) }
    }

    /// The same after it has learnt to write these completions.
    pub fn learn(
        &self,
        training: &Training,
        held: &[(Vec<u8>, Vec<u8>)],
        seed: Seed,
    ) -> Result<Self> {
        let (corpus, fit) = (self.corpus(held)?, seed.child("fit"));
        let model = self.model.fit(&corpus, &training.recipe(), fit)?.selected;
        Ok(Self { model, ..self.clone() })
    }

    /// The same after it has learnt what an API told of the distributions at each place of the teacher's texts.
    pub fn learn_soft(
        &self,
        training: &Training,
        held: &[(Vec<u8>, Vec<u8>)],
        soft: &Soft,
        seed: Seed,
    ) -> Result<Self> {
        let (corpus, fit) = (self.corpus(held)?, seed.child("fit"));
        let model = self.model.fit_soft(&corpus, soft, &training.recipe(), fit)?.selected;
        Ok(Self { model, ..self.clone() })
    }

    /// The same after it has learnt these completions and, as an API told of the teacher's tokens, how sure the teacher
    /// was at each of its places.
    pub fn learn_sorted(
        &self,
        training: &Training,
        held: &[(Vec<u8>, Vec<u8>)],
        told: &[&TokenProbs],
        objective: &Uld,
        seed: Seed,
    ) -> Result<Self> {
        let (corpus, fit) = (self.corpus(held)?, seed.child("fit"));
        let positions = corpus.rows().into_iter().map(|own| own.len());
        let sorted = objective.targets(told.iter().copied().zip(positions))?;
        let model = self.model.fit_sorted(&corpus, sorted, &training.recipe(), fit)?.selected;
        Ok(Self { model, ..self.clone() })
    }

    fn corpus(&self, held: &[(Vec<u8>, Vec<u8>)]) -> Result<Corpus> {
        self.words.corpus(slices(held), self.model.plan().context)
    }
}

impl Candidate for Student {
    fn write(&self, prompts: &[Vec<u8>], most: usize) -> Result<Vec<Vec<u8>>> {
        let cut = prompts.iter().map(|prompt| self.words.prompt(prompt));
        let given =
            self.model.greedy(&cut.collect::<Result<Vec<_>>>()?, most, Some(self.words.end()))?;
        given.iter().map(|text| self.words.bytes(text)).collect()
    }

    fn log_prob(&self, pairs: &[(&[u8], &[u8])]) -> Result<f64> {
        let corpus = self.words.corpus(pairs.iter().copied(), self.model.plan().context)?;
        Ok(self.model.log_probs(&corpus)?.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::suite::END;

    #[test]
    fn a_student_learns_what_it_holds() {
        let exchange = |i: u8| (vec![b'F', b'a' + i % 20, b'>'], vec![b'a' + i % 20, END]);
        let held: Vec<_> = (0..100).map(exchange).collect();
        let size = Size { layers: 1, heads: 2, width: 16 };
        let training = Training { steps: 300, ..Training::default() };
        let student = learn(size, &training, &held, Seed::new(4)).unwrap();
        let prompts = [vec![u16::from(b'F'), u16::from(b'd'), u16::from(b'>')]];
        let answer = student.greedy(&prompts, 5, Some(0)).unwrap();
        assert_eq!(answer[0], [u16::from(b'd'), 0]);
    }
}
