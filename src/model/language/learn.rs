//! What decoders learn from: next tokens, a teacher's distributions over them, or lessons that are made step by step
//! for the student as it is.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, Axis};

use super::{Corpus, Language, Learned};
use crate::error::{Error, Result, expect_shape};
use crate::model::Recipe;
use crate::model::loss::tokens::{Taught, Texts};
use crate::model::loss::uld::Sorted;
use crate::model::loss::{Goal, Room, Soft, Tell, TokenTargets, Weights};
use crate::model::train::{Start, Trained, learn, train};
use crate::seed::Seed;

/// Texts whose logits are computed together.
const TOGETHER: usize = 32;

/// Texts, and what is learnt at the positions that count.
#[derive(Clone, Debug)]
pub struct Lesson {
    pub corpus: Corpus,
    /// What a teacher thinks comes next; without it, the next token alone is learnt.
    pub soft: Option<Soft>,
    /// How much each position weighs; without them, all weigh the same.
    pub weights: Option<Weights>,
}

impl From<Corpus> for Lesson {
    fn from(corpus: Corpus) -> Self {
        Self { corpus, soft: None, weights: None }
    }
}

impl Lesson {
    /// Texts with soft targets.
    pub const fn soft(corpus: Corpus, soft: Soft) -> Self {
        Self { corpus, soft: Some(soft), weights: None }
    }

    /// The texts of several lessons, one lesson after another. All of them must have targets and weights of one kind,
    /// or none.
    pub fn join(lessons: &[&Self]) -> Result<Self> {
        let Some((first, others)) = lessons.split_first() else {
            return Err(Error::input("lessons to join", 0, "1 or more"));
        };
        let mut whole = (*first).clone();
        let rows = |e: ndarray::ShapeError| Error::input("lessons to join", e, "equal contexts");
        for other in others {
            let Corpus { tokens, next } = &mut whole.corpus;
            tokens.append(Axis(0), other.corpus.tokens.view()).map_err(rows)?;
            next.append(Axis(0), other.corpus.next.view()).map_err(rows)?;
            match (&mut whole.soft, &other.soft) {
                (Some(soft), Some(more)) => Arc::make_mut(&mut soft.probs).append(&more.probs)?,
                (None, None) => {}
                _ => return Err(Error::input("lessons to join", "some", "all with soft targets")),
            }
            match (&mut whole.weights, &other.weights) {
                (Some(weights), Some(more)) => {
                    weights.soft.extend_from_slice(&more.soft);
                    weights.hard.extend_from_slice(&more.hard);
                }
                (None, None) => {}
                _ => return Err(Error::input("lessons to join", "some", "all with weights")),
            }
        }
        Ok(whole)
    }

    /// The texts at `index`, in that order, with all that belongs to them.
    pub fn select(&self, index: &[usize]) -> Self {
        let rows = self.corpus.rows();
        let rows = || index.iter().map(|&text| rows[text].clone());
        let soft = self.soft.as_ref().map(|soft| {
            let probs = Arc::new(soft.probs.select(rows()));
            Soft { probs, ..soft.clone() }
        });
        let some = |all: &[f64]| rows().flat_map(|range| all[range].to_vec()).collect();
        let weights = self.weights.as_ref();
        let weights = weights.map(|w| Weights { soft: some(&w.soft), hard: some(&w.hard) });
        let Corpus { tokens, next } = &self.corpus;
        let (tokens, next) = (tokens.select(Axis(0), index), next.select(Axis(0), index));
        Self { corpus: Corpus { tokens, next }, soft, weights }
    }
}

impl Corpus {
    /// Texts of `context` tokens: a prompt, then the completion that is to be learnt. What is left of a text is
    /// `pad` and counts for nothing, and so does the prompt.
    pub fn of<'a, T: Copy + Into<u16> + 'a>(
        pairs: impl ExactSizeIterator<Item = (&'a [T], &'a [T])>,
        context: usize,
        pad: u16,
    ) -> Result<Self> {
        let n = pairs.len();
        let mut tokens = Array2::from_elem((n, context), pad);
        let mut next = Array2::from_elem((n, context), -1);
        for (row, (prompt, completion)) in pairs.enumerate() {
            // The last token is only ever the answer to the one before.
            let len = prompt.len() + completion.len();
            if prompt.is_empty() || len > context + 1 {
                let what = format!("tokens of text {row}");
                let expected = format!("a prompt, and up to {} tokens", context + 1);
                return Err(Error::input(what, len, expected));
            }
            let text = prompt.iter().chain(completion);
            tokens.row_mut(row).iter_mut().zip(text).for_each(|(to, &token)| *to = token.into());
            let places = next.row_mut(row).into_iter().skip(prompt.len() - 1);
            places.zip(completion).for_each(|(to, &token)| *to = i32::from(token.into()));
        }
        Ok(Self { tokens, next })
    }

    /// Positions that count.
    pub fn counted(&self) -> usize {
        self.next.iter().filter(|next| **next >= 0).count()
    }

    /// For each text, which of all positions that count are its own.
    pub fn rows(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        let range = |next: ndarray::ArrayView1<'_, i32>| {
            let start = end;
            end += next.iter().filter(|next| **next >= 0).count();
            start..end
        };
        self.next.rows().into_iter().map(range).collect()
    }
}

impl Language {
    /// Learns to tell the next token. Same seed, same device, same build: same weights, at any thread count.
    pub fn fit(&self, corpus: &Corpus, recipe: &Recipe, seed: Seed) -> Result<Learned> {
        self.fit_goal(corpus, &self.goal(corpus, None, None)?, recipe, seed)
    }

    /// Learns to think of the next token as a teacher does.
    pub fn fit_soft(
        &self,
        corpus: &Corpus,
        soft: &Soft,
        recipe: &Recipe,
        seed: Seed,
    ) -> Result<Learned> {
        self.fit_goal(corpus, &self.goal(corpus, Some(soft.clone()), None)?, recipe, seed)
    }

    /// Learns the next token and, as far as the teacher's version of each text goes, to think of the next one as a
    /// teacher with other tokens does of its own: universal logit distillation.
    pub fn fit_sorted(
        &self,
        corpus: &Corpus,
        sorted: Sorted,
        recipe: &Recipe,
        seed: Seed,
    ) -> Result<Learned> {
        self.check_lessons(corpus)?;
        let targets = corpus.next.clone();
        let taught = Some(Taught::sorted(&targets, Arc::new(sorted))?);
        self.fit_goal(corpus, &Goal::Tokens(Texts { targets, taught }), recipe, seed)
    }

    fn fit_goal(
        &self,
        corpus: &Corpus,
        goal: &Goal,
        recipe: &Recipe,
        seed: Seed,
    ) -> Result<Learned> {
        recipe.check()?;
        let inputs = corpus.tokens.mapv(f32::from);
        let start = Start { inputs: inputs.view(), ..self.start(goal) };
        let Trained { last, selected, steps, .. } = train(&start, recipe, seed)?;
        let last = self.with(last);
        let selected = selected.map_or_else(|| last.clone(), |params| self.with(params));
        Ok(Learned { last, selected, steps })
    }

    /// Learns from lessons that `teach` makes, given the student as it is and the number of the step. Each lesson is
    /// one batch, whole; of the recipe, rows, validation and patience do not matter. Gives the student after the
    /// last step.
    pub fn learn(
        &self,
        recipe: &Recipe,
        seed: Seed,
        mut teach: impl FnMut(&Self, usize) -> Result<Lesson>,
    ) -> Result<Self> {
        recipe.check()?;
        let nothing = Goal::Tokens(Texts { targets: Array2::default((0, 0)), taught: None });
        let last = learn(&self.start(&nothing), recipe, seed, |params, step| {
            let Lesson { corpus, soft, weights } = teach(&self.with(params.to_vec()), step)?;
            let goal = self.goal(&corpus, soft, weights)?;
            Ok((corpus.tokens.mapv(f32::from), goal))
        })?;
        Ok(self.with(last))
    }

    /// What this model tells of its distributions at the positions of the texts that count. Position i, counted over
    /// all texts, draws from the i-th stream of `seed`.
    pub fn score(&self, corpus: &Corpus, tell: Tell, seed: Seed) -> Result<TokenTargets> {
        let mut told = TokenTargets::new(self.plan.vocabulary, tell)?;
        self.each_counted(corpus, |_, logits| {
            let stream = seed.nth("row", told.len() as u64);
            told.push(logits, stream)
        })?;
        Ok(told)
    }

    /// Log-probability of the next token at each position of the texts that counts.
    pub fn log_probs(&self, corpus: &Corpus) -> Result<Vec<f64>> {
        let mut logs = Vec::new();
        self.each_counted(corpus, |next, logits| {
            logs.push(log_softmax32(logits)[usize::from(next)]);
            Ok(())
        })?;
        Ok(logs)
    }

    /// Mean loss of a lesson over the positions that count, learning nothing.
    pub fn loss(&self, lesson: &Lesson) -> Result<f64> {
        let Lesson { corpus, soft, weights } = lesson;
        let goal = self.goal(corpus, soft.clone(), weights.clone())?;
        let all: Vec<usize> = (0..corpus.tokens.nrows()).collect();
        let (mut sum, mut room) = (0.0, Room::default());
        let tokens = corpus.tokens.axis_chunks_iter(Axis(0), TOGETHER);
        for (index, tokens) in all.chunks(TOGETHER).zip(tokens) {
            let logits = self.logits(tokens)?;
            let mut z: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
            sum += goal.loss(index, &[], index.len(), &mut z, 1.0, &mut room);
        }
        Ok(sum / goal.weight(&all))
    }

    /// Calls `f` with the next token and this model's logits at each position that counts, text after text.
    pub fn each_counted(
        &self,
        corpus: &Corpus,
        mut f: impl FnMut(u16, &[f32]) -> Result<()>,
    ) -> Result<()> {
        self.check_corpus(corpus)?;
        let tokens = corpus.tokens.axis_chunks_iter(Axis(0), TOGETHER);
        for (tokens, next) in tokens.zip(corpus.next.axis_chunks_iter(Axis(0), TOGETHER)) {
            let logits = self.logits(tokens)?;
            for (row, &next) in logits.rows().into_iter().zip(next) {
                let Ok(next) = u16::try_from(next) else { continue };
                f(next, row.to_slice().expect("logits lie row after row"))?;
            }
        }
        Ok(())
    }

    fn start<'a>(&'a self, goal: &'a Goal) -> Start<'a> {
        let inputs = ndarray::ArrayView2::from_shape((0, 0), &[]).expect("no rows fit no numbers");
        let Self { network, params, device, .. } = self;
        Start { network, params, device: *device, inputs, goal, moves: None }
    }

    fn with(&self, params: Vec<f32>) -> Self {
        Self { params: Arc::new(params), ..self.clone() }
    }

    /// The goal of these texts; refuses what does not fit together or this model.
    fn goal(&self, corpus: &Corpus, soft: Option<Soft>, weights: Option<Weights>) -> Result<Goal> {
        self.check_lessons(corpus)?;
        let targets = corpus.next.clone();
        let taught = match (&soft, &weights) {
            (None, None) => None,
            _ => Some(Taught::new(&targets, soft, weights, self.plan.vocabulary)?),
        };
        Ok(Goal::Tokens(Texts { targets, taught }))
    }

    /// Refuses texts that nothing can be learnt from.
    pub(super) fn check_lessons(&self, corpus: &Corpus) -> Result<()> {
        match corpus.tokens.nrows() {
            0 => Err(Error::input("texts to learn from", 0, "1 or more")),
            _ => self.check_corpus(corpus),
        }
    }

    fn check_corpus(&self, corpus: &Corpus) -> Result<()> {
        self.check_tokens(corpus.tokens.view())?;
        expect_shape("next tokens of texts", corpus.next.shape(), corpus.tokens.shape())?;
        let most = self.plan.vocabulary as i32;
        match corpus.next.indexed_iter().find(|(_, t)| !(-1..most).contains(*t)) {
            Some(((row, at), token)) => {
                let what = format!("next token of text {row}, position {at}");
                Err(Error::input(what, token, format!("-1 or below {most}")))
            }
            None => Ok(()),
        }
    }
}

/// Log softmax of logits of 32 bits.
pub(super) fn log_softmax32(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().fold(f32::NEG_INFINITY, |a, &z| a.max(z));
    let sum: f64 = logits.iter().map(|&z| libm::exp(f64::from(z) - f64::from(most))).sum();
    let shift = f64::from(most) + libm::log(sum);
    logits.iter().map(|&z| f64::from(z) - shift).collect()
}

#[cfg(test)]
mod tests;
