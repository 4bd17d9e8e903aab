//! An oracle that answers from a function of the input: for tests and for teaching.

use ndarray::Array2;

use super::{Answers, Batch, Card, Oracle, Reply};
use crate::error::{Result, expect_shape};

/// Probabilities for an input row.
type Script = Box<dyn Fn(&[f32]) -> Vec<f64> + Send>;

/// Answers each row by a function.
pub struct Scripted {
    card: Card,
    answer: Script,
}

impl Scripted {
    /// `answer` gives a row of probabilities for an input row.
    pub fn new(card: Card, answer: impl Fn(&[f32]) -> Vec<f64> + Send + 'static) -> Self {
        Self { card, answer: Box::new(answer) }
    }

    /// The same row for every input of `inputs` features.
    pub fn constant(inputs: usize, row: Vec<f64>) -> Self {
        let card = Card { inputs, classes: row.len(), answers: super::AnswerKind::Probs };
        Self::new(card, move |_| row.clone())
    }
}

impl Oracle for Scripted {
    fn card(&self) -> Card {
        self.card
    }

    fn answer(&mut self, batch: &Batch) -> Result<Reply> {
        expect_shape("inputs", batch.inputs.shape(), &[batch.len(), self.card.inputs])?;
        let mut probs = Array2::zeros((batch.len(), self.card.classes));
        for (input, mut row) in batch.inputs.rows().into_iter().zip(probs.rows_mut()) {
            let answer = (self.answer)(&input.to_vec());
            row.iter_mut().zip(answer).for_each(|(out, p)| *out = p);
        }
        Ok(Reply::all(Answers::Probs(probs)))
    }
}
