//! Answers. All texts of a call move together, one token each at a time.

use super::pass::Run;
use super::{Llama, Session};
use crate::error::{Error, Result, expect_shape};
use crate::model::language::{Chooser, Sampling};
use crate::oracle::completion::TokenProbs;
use crate::seed::Seed;

/// A text on its way.
struct Stream<'a> {
    /// Its place among the texts of the call.
    number: usize,
    session: Session<'a>,
    new: Vec<u32>,
    /// New tokens at which it ends.
    end: usize,
}

impl Llama {
    /// Continues each prompt by its most likely next token, `most` times, or until the context is full, or until it has
    /// produced one of [`Self::stops`]. Gives the new tokens only, the one that ended a text among them.
    pub fn greedy(&self, prompts: &[Vec<u32>], most: usize) -> Result<Vec<Vec<u32>>> {
        self.continued(prompts, most, |_, logits| crate::oracle::argmax(logits.iter()) as u32)
    }

    /// The same with tokens drawn as `sampling` says. Each text has a stream of its own, so what it becomes does not
    /// depend on the others.
    pub fn sample(
        &self,
        prompts: &[Vec<u32>],
        most: usize,
        sampling: &Sampling,
        streams: &[Seed],
    ) -> Result<Vec<Vec<u32>>> {
        sampling.check()?;
        expect_shape("streams of texts", &[streams.len()], &[prompts.len()])?;
        let mut draws: Vec<_> = streams.iter().map(Seed::rng).collect();
        let mut chooser = Chooser::default();
        self.continued(prompts, most, |number, logits| {
            chooser.choose(logits, sampling, &mut draws[number])
        })
    }

    /// The same with the log-probabilities of the `k` most likely tokens at each place, at temperature 1 whatever the
    /// sampling. Only of models of up to 65536 tokens.
    pub fn sample_told(
        &self,
        prompts: &[Vec<u32>],
        most: usize,
        sampling: &Sampling,
        streams: &[Seed],
        k: usize,
    ) -> Result<Vec<(Vec<u32>, TokenProbs)>> {
        sampling.check()?;
        expect_shape("streams of texts", &[streams.len()], &[prompts.len()])?;
        let vocabulary = self.plan().vocabulary;
        if vocabulary > 1 << 16 {
            return Err(Error::input("tokens of a model that tells", vocabulary, "1 to 65536"));
        }
        let mut draws: Vec<_> = streams.iter().map(Seed::rng).collect();
        let mut chooser = Chooser::default();
        let mut told = vec![TokenProbs::empty(vocabulary, k); prompts.len()];
        let mut failed = None;
        let texts = self.continued(prompts, most, |number, logits| {
            let place = TokenProbs::of_logits(logits, vocabulary, k);
            failed = told[number].append(&place).err().or(failed.take());
            chooser.choose(logits, sampling, &mut draws[number])
        })?;
        failed.map_or(Ok(()), Err)?;
        Ok(texts.into_iter().zip(told).collect())
    }

    /// Continues each prompt by tokens that `choose` takes, given the text's number and its logits.
    fn continued(
        &self,
        prompts: &[Vec<u32>],
        most: usize,
        mut choose: impl FnMut(usize, &[f32]) -> u32,
    ) -> Result<Vec<Vec<u32>>> {
        let limit = self.plan().context;
        for (number, prompt) in prompts.iter().enumerate() {
            if prompt.is_empty() || prompt.len() > limit {
                let what = format!("tokens of prompt {number}");
                return Err(Error::input(what, prompt.len(), format!("1 to {limit}")));
            }
            self.check_tokens(&format!("prompt {number}"), prompt)?;
        }
        let mut streams: Vec<Stream<'_>> = Vec::with_capacity(prompts.len());
        for (number, prompt) in prompts.iter().enumerate() {
            let (session, new) = (self.session(), Vec::new());
            // The last token need not be read.
            let end = most.min(limit + 1 - prompt.len());
            let mut stream = Stream { number, session, new, end };
            if end > 0 {
                let x = stream.session.advance(prompt);
                stream.add(choose(number, &self.logits(&x)), self.stops());
            }
            streams.push(stream);
        }
        loop {
            let mut going: Vec<&mut Stream<'_>> =
                streams.iter_mut().filter(|s| s.new.len() < s.end).collect();
            if going.is_empty() {
                break;
            }
            let mut runs: Vec<Run<'_>> = going.iter_mut().map(|s| s.ahead()).collect();
            let logits = self.logits(&self.pass(&mut runs));
            for (stream, logits) in
                going.iter_mut().zip(logits.chunks_exact(self.plan().vocabulary))
            {
                stream.add(choose(stream.number, logits), self.stops());
            }
        }
        Ok(streams.into_iter().map(|stream| stream.new).collect())
    }
}

impl Stream<'_> {
    fn add(&mut self, token: u32, stops: &[u32]) {
        self.new.push(token);
        if stops.contains(&token) {
            self.end = self.new.len();
        }
    }

    /// Its last token, to be read.
    fn ahead(&mut self) -> Run<'_> {
        let last = self.new.len().saturating_sub(1);
        Run { memory: &mut self.session.memory, tokens: &self.new[last..] }
    }
}
