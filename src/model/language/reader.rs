//! Reading along: a decoder that follows texts which somebody else writes, at the cost of one pass for each
//! new token.

use super::Language;
use super::decode::{Desk, Stream};
use super::steer::Text;
use crate::error::Result;

/// A decoder that keeps the keys and values of every text it has read.
pub struct Reader<'a> {
    model: &'a Language,
    /// By number of the text.
    streams: Vec<Option<Stream>>,
    desk: Desk,
    logits: Vec<f32>,
}

impl<'a> Reader<'a> {
    /// Has read nothing.
    pub fn new(model: &'a Language) -> Self {
        Self { model, streams: Vec::new(), desk: Desk::new(), logits: Vec::new() }
    }

    /// Logits `[texts, vocabulary]` of the next token of each text. A text with a number that was met before
    /// must go on from what it was; its row does not depend on the other texts.
    pub fn read(&mut self, texts: &[Text<'_>]) -> Result<&[f32]> {
        let vocabulary = self.model.plan().vocabulary;
        for text in texts {
            let number = text.number;
            if self.streams.len() <= number {
                self.streams.resize_with(number + 1, || None);
            }
            match &mut self.streams[number] {
                Some(stream) => stream.follow(self.model, text.tokens)?,
                empty => *empty = Some(self.model.stream(number, text.tokens, 0)?),
            }
        }
        self.logits.clear();
        self.logits.resize(texts.len() * vocabulary, 0.0);
        let mut place = vec![None; self.streams.len()];
        texts.iter().enumerate().for_each(|(i, text)| place[text.number] = Some(i));
        loop {
            let asked = self.streams.iter_mut().flatten();
            let mut behind: Vec<&mut Stream> =
                asked.filter(|s| place[s.number].is_some() && s.unread() > 0).collect();
            if behind.is_empty() {
                return Ok(&self.logits);
            }
            let y = self.model.advance(&mut behind, &mut self.desk);
            for (stream, row) in behind.into_iter().zip(y.chunks_exact(vocabulary)) {
                if let (0, Some(i)) = (stream.unread(), place[stream.number]) {
                    self.logits[i * vocabulary..][..vocabulary].copy_from_slice(row);
                }
            }
            self.desk.take_back(y);
        }
    }
}
