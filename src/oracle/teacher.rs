//! A teacher in this process, and what its API reveals.

use std::sync::Arc;

use super::{AnswerKind, Answers, Batch, Card, Oracle, Reply, TopK};
use crate::error::{Error, Result, expect_shape};
use crate::model::Model;

/// The part of an answer that the API gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reveal {
    /// All probabilities.
    Probs,
    /// The k largest.
    TopK { k: usize },
    /// The class.
    Label,
}

/// A model that answers.
pub struct Teacher {
    model: Arc<Model>,
    reveal: Reveal,
}

/// Any oracle of probabilities, of which only a part is revealed.
pub struct Revealed {
    inner: Box<dyn Oracle>,
    reveal: Reveal,
}

impl Reveal {
    /// The card of a teacher with this one.
    pub fn card(self, card: Card) -> Result<Card> {
        let answers = match self {
            Self::Probs => card.answers,
            Self::Label => AnswerKind::Labels,
            Self::TopK { k } if (1..=card.classes).contains(&k) => AnswerKind::TopK { k },
            Self::TopK { k } => {
                return Err(Error::config(
                    "api.k",
                    k.to_string(),
                    format!("1 to {}, the number of classes", card.classes),
                ));
            }
        };
        Ok(Card { answers, ..card })
    }

    fn apply(self, answers: Answers) -> Answers {
        match (self, answers) {
            (Self::Label, answers) => Answers::Labels(answers.top1()),
            (Self::TopK { k }, Answers::Probs(p)) => Answers::TopK(TopK::of(&p, k)),
            (_, answers) => answers,
        }
    }
}

impl Teacher {
    /// `model` behind an API that gives `reveal`.
    pub fn new(model: Arc<Model>, reveal: Reveal) -> Self {
        Self { model, reveal }
    }
}

impl Oracle for Teacher {
    fn card(&self) -> Card {
        let whole = Card {
            inputs: self.model.shape().len(),
            classes: self.model.classes(),
            answers: AnswerKind::Probs,
        };
        self.reveal.card(whole).unwrap_or(whole)
    }

    fn answer(&mut self, batch: &Batch) -> Result<Reply> {
        expect_shape("inputs", batch.inputs.shape(), &[batch.len(), self.model.shape().len()])?;
        let probs = self.model.probs(batch.inputs.view())?;
        Ok(Reply::all(self.reveal.apply(Answers::Probs(probs))))
    }
}

impl Revealed {
    /// `inner` behind an API that gives `reveal`.
    pub fn new(inner: Box<dyn Oracle>, reveal: Reveal) -> Self {
        Self { inner, reveal }
    }
}

impl Oracle for Revealed {
    fn card(&self) -> Card {
        let whole = self.inner.card();
        self.reveal.card(whole).unwrap_or(whole)
    }

    fn answer(&mut self, batch: &Batch) -> Result<Reply> {
        let reply = self.inner.answer(batch)?;
        Ok(Reply { answers: self.reveal.apply(reply.answers), outcomes: reply.outcomes })
    }
}
