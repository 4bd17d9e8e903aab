//! Answers one token at a time. All texts of a call move together, each at its own place: dense layers see
//! them as rows of one batch, attention keeps keys and values of each.

use super::Language;
use super::complete::Ask;
use super::sample::Sampling;
use super::steer::{Steer, Text};
use crate::error::{Error, Result};
use crate::model::layer::{Layer, Memory, Room, sized};
use crate::seed::Seed;

/// A text on its way.
pub(super) struct Stream {
    /// Its place among the texts of the call.
    pub(super) number: usize,
    tokens: Vec<u16>,
    /// Tokens of the prompt.
    prompt: usize,
    /// Tokens that the network has seen.
    seen: usize,
    /// Length at which it ends.
    end: usize,
    /// One for each attention layer.
    memories: Vec<Memory<f32>>,
}

impl Stream {
    /// Tokens that the network has yet to see.
    pub(super) fn unread(&self) -> usize {
        self.tokens.len() - self.seen
    }

    /// Becomes `tokens`, which go on from what it is.
    pub(super) fn follow(&mut self, model: &Language, tokens: &[u16]) -> Result<()> {
        let (number, limit) = (self.number, model.plan.context);
        if tokens.len() > limit || !tokens.starts_with(&self.tokens) {
            let expected = format!("the {} read before and more, up to {limit}", self.tokens.len());
            return Err(Error::input(format!("tokens of text {number}"), tokens.len(), expected));
        }
        let new = &tokens[self.tokens.len()..];
        new.iter().try_for_each(|&t| model.check_token(&format!("token of text {number}"), t))?;
        self.tokens.extend_from_slice(new);
        Ok(())
    }

    fn text(&self) -> Text<'_> {
        Text { number: self.number, tokens: &self.tokens, prompt: self.prompt }
    }
}

/// Buffers of a step, used again by the next.
pub(super) struct Desk {
    room: Room<f32>,
    kept: Vec<f32>,
    spare: Vec<Vec<f32>>,
    x: Vec<f32>,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self { room: Room::of_fixed(), kept: Vec::new(), spare: Vec::new(), x: Vec::new() }
    }

    /// A buffer that is no longer needed.
    pub(super) fn take_back(&mut self, buffer: Vec<f32>) {
        self.spare.push(buffer);
    }

    /// A buffer of this length; what it holds is to be overwritten.
    fn buffer(&mut self, len: usize) -> Vec<f32> {
        let same = self.spare.iter().rposition(|buffer| buffer.len() == len);
        let mut buffer = match same {
            Some(at) => self.spare.swap_remove(at),
            None => self.spare.pop().unwrap_or_default(),
        };
        sized(&mut buffer, len);
        buffer
    }
}

impl Language {
    /// Continues each prompt by its most likely next token, again and again: `most` times, or until the
    /// context is full, or until it has produced `end`. Gives the new tokens only, `end` among them.
    pub fn greedy(
        &self,
        prompts: &[Vec<u16>],
        most: usize,
        end: Option<u16>,
    ) -> Result<Vec<Vec<u16>>> {
        self.continued(prompts, most, end, None, |_, _, logits| {
            crate::oracle::argmax(logits.iter()) as u16
        })
    }

    /// The same with tokens drawn as `sampling` says. Each text has a stream of its own, so what it becomes
    /// does not depend on the others.
    pub fn sample(
        &self,
        prompts: &[Vec<u16>],
        most: usize,
        end: Option<u16>,
        sampling: &Sampling,
        streams: &[Seed],
    ) -> Result<Vec<Vec<u16>>> {
        let ask = Ask { prompts, most, end, sampling: *sampling, streams, reveal: None };
        Ok(self.complete(&ask, None)?.into_iter().map(|answer| answer.tokens).collect())
    }

    /// Continues each prompt by tokens that `choose` takes, given the text's number, its logits, and what
    /// `steer` made of them.
    pub(super) fn continued(
        &self,
        prompts: &[Vec<u16>],
        most: usize,
        end: Option<u16>,
        mut steer: Option<&mut (dyn Steer + '_)>,
        mut choose: impl FnMut(usize, &[f32], &[f32]) -> u16,
    ) -> Result<Vec<Vec<u16>>> {
        if let Some(end) = end {
            self.check_token("token that ends a text", end)?;
        }
        let mut streams = prompts
            .iter()
            .enumerate()
            .map(|(i, prompt)| self.stream(i, prompt, most))
            .collect::<Result<Vec<_>>>()?;
        let mut desk = Desk::new();
        let vocabulary = self.plan.vocabulary;
        let (mut own, mut steered) = (Vec::new(), Vec::new());
        loop {
            let mut going: Vec<&mut Stream> =
                streams.iter_mut().filter(|s| s.tokens.len() < s.end).collect();
            if going.is_empty() {
                break;
            }
            let y = self.advance(&mut going, &mut desk);
            // Those that are through their prompts get a token each.
            own.clear();
            let rows = going.iter().zip(y.chunks_exact(vocabulary));
            rows.filter(|(s, _)| s.unread() == 0).for_each(|(_, row)| own.extend_from_slice(row));
            desk.take_back(y);
            going.retain(|stream| stream.unread() == 0);
            steered.clone_from(&own);
            if let (Some(steer), false) = (&mut steer, going.is_empty()) {
                let texts: Vec<Text<'_>> = going.iter().map(|stream| stream.text()).collect();
                steer.steer(&texts, &mut steered)?;
            }
            let rows = own.chunks_exact(vocabulary).zip(steered.chunks_exact(vocabulary));
            for (stream, (own, steered)) in going.into_iter().zip(rows) {
                let token = choose(stream.number, own, steered);
                stream.tokens.push(token);
                if Some(token) == end {
                    stream.end = stream.tokens.len();
                }
            }
        }
        Ok(streams.into_iter().map(|mut s| s.tokens.split_off(s.prompt)).collect())
    }

    /// One more token of each stream: logits `[streams, vocabulary]` after it. The buffer is to be given back.
    pub(super) fn advance(&self, streams: &mut [&mut Stream], desk: &mut Desk) -> Vec<f32> {
        let mut x = std::mem::take(&mut desk.x);
        x.clear();
        x.extend(streams.iter().map(|s| f32::from(s.tokens[s.seen])));
        let y = self.step(self.network.layers(), streams, &x, &mut 0, desk);
        desk.x = x;
        streams.iter_mut().for_each(|stream| stream.seen += 1);
        y
    }

    /// A text that is at the start of its prompt and may become `most` tokens longer.
    pub(super) fn stream(&self, number: usize, prompt: &[u16], most: usize) -> Result<Stream> {
        let limit = self.plan.context;
        if prompt.is_empty() || prompt.len() > limit {
            let what = format!("tokens of prompt {number}");
            return Err(Error::input(what, prompt.len(), format!("1 to {limit}")));
        }
        let what = format!("token of prompt {number}");
        prompt.iter().try_for_each(|&token| self.check_token(&what, token))?;
        let mut memories = Vec::new();
        remember(self.network.layers(), &mut memories);
        let end = prompt.len().saturating_add(most).min(limit + 1);
        let (tokens, prompt) = (prompt.to_vec(), prompt.len());
        Ok(Stream { number, tokens, prompt, seen: 0, end, memories })
    }

    fn check_token(&self, what: &str, token: u16) -> Result<()> {
        let most = self.plan.vocabulary;
        match usize::from(token) < most {
            true => Ok(()),
            false => Err(Error::input(what, token, format!("below {most}"))),
        }
    }

    /// One more position of each stream: x `[streams, numbers]` through these layers.
    fn step(
        &self,
        layers: &[Layer],
        streams: &mut [&mut Stream],
        x: &[f32],
        attention: &mut usize,
        desk: &mut Desk,
    ) -> Vec<f32> {
        let (params, n) = (&self.params[..], streams.len());
        let mut last: Option<Vec<f32>> = None;
        for layer in layers {
            let x = last.as_deref().unwrap_or(x);
            let y = match layer {
                Layer::Dense(l) => {
                    let mut y = desk.buffer(n * l.to);
                    l.rows(n, params, x, &mut y, &mut desk.kept, &mut desk.room);
                    y
                }
                Layer::Norm(l) => {
                    let mut y = desk.buffer(x.len());
                    let kept = sized(&mut desk.room.c, 2 * n);
                    l.rows(params, x, &mut y, kept);
                    y
                }
                Layer::Embed(l) => {
                    let mut y = desk.buffer(n * l.width);
                    let rows = y.chunks_exact_mut(l.width);
                    for ((stream, &token), y) in streams.iter().zip(x).zip(rows) {
                        l.look_up(params, token, stream.seen, y);
                    }
                    y
                }
                Layer::Attention(l) => {
                    let mut y = desk.buffer(n * l.width);
                    let rows = x.chunks_exact(l.row).zip(y.chunks_exact_mut(l.width));
                    for (stream, (x, y)) in streams.iter_mut().zip(rows) {
                        let memory = &mut stream.memories[*attention];
                        l.step(x, stream.seen, memory, y, &mut desk.room);
                    }
                    *attention += 1;
                    y
                }
                Layer::Gate(l) => {
                    let mut y = desk.buffer(n * l.width);
                    l.rows(x, &mut y);
                    y
                }
                Layer::Tied(l) => {
                    let mut y = desk.buffer(n * l.vocabulary);
                    l.rows(n, params, x, &mut y, &mut desk.room);
                    y
                }
                Layer::Residual(l) => {
                    let mut y = self.step(&l.inner, streams, x, attention, desk);
                    y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
                    y
                }
                // Nothing is dropped from an answer or drawn for it; images are no text, and nobody looks inside.
                Layer::Dropout(_) | Layer::Conv(_) | Layer::Beside(_) | Layer::Sample(_) => {
                    continue;
                }
            };
            desk.spare.extend(last.replace(y));
        }
        last.unwrap_or_else(|| x.to_vec())
    }
}

/// A memory for each attention layer, in order.
fn remember(layers: &[Layer], memories: &mut Vec<Memory<f32>>) {
    for layer in layers {
        match layer {
            Layer::Attention(l) => memories.push(Memory::new(l)),
            Layer::Residual(l) => remember(&l.inner, memories),
            _ => {}
        }
    }
}
