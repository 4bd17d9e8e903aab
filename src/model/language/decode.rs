//! Answers one token at a time. All texts of a call move together, each at its own place: dense layers see
//! them as rows of one batch, attention keeps keys and values of each.

use super::Language;
use crate::error::{Error, Result};
use crate::model::layer::{Layer, Memory};

/// A text on its way.
struct Stream {
    tokens: Vec<u16>,
    /// Tokens that the network has seen.
    seen: usize,
    /// Length at which it ends.
    end: usize,
    /// One for each attention layer.
    memories: Vec<Memory<f32>>,
}

/// Buffers of a step, used again by the next.
#[derive(Default)]
struct Desk {
    pack: Vec<f32>,
    kept: Vec<f32>,
    spare: Vec<Vec<f32>>,
}

impl Language {
    /// Continues each prompt by its most likely next token, again and again: `most` times, or until the
    /// context is full. Gives the new tokens only.
    pub fn greedy(&self, prompts: &[Vec<u16>], most: usize) -> Result<Vec<Vec<u16>>> {
        let mut streams = prompts
            .iter()
            .enumerate()
            .map(|(i, prompt)| self.stream(i, prompt, most))
            .collect::<Result<Vec<_>>>()?;
        let mut desk = Desk::default();
        let vocabulary = self.plan.vocabulary;
        let mut x = Vec::new();
        loop {
            let mut going: Vec<&mut Stream> =
                streams.iter_mut().filter(|s| s.tokens.len() < s.end).collect();
            if going.is_empty() {
                break;
            }
            x.clear();
            x.extend(going.iter().map(|s| f32::from(s.tokens[s.seen])));
            self.step(self.network.layers(), &mut going, &mut x, &mut 0, &mut desk);
            for (stream, logits) in going.into_iter().zip(x.chunks_exact(vocabulary)) {
                stream.seen += 1;
                if stream.seen == stream.tokens.len() {
                    stream.tokens.push(crate::oracle::argmax(logits.iter()) as u16);
                }
            }
        }
        let new = streams.into_iter().zip(prompts);
        Ok(new.map(|(mut stream, prompt)| stream.tokens.split_off(prompt.len())).collect())
    }

    fn stream(&self, number: usize, prompt: &[u16], most: usize) -> Result<Stream> {
        let limit = self.plan.context;
        if prompt.is_empty() || prompt.len() > limit {
            let what = format!("tokens of prompt {number}");
            return Err(Error::input(what, prompt.len(), format!("1 to {limit}")));
        }
        if let Some(token) = prompt.iter().find(|t| usize::from(**t) >= self.plan.vocabulary) {
            let what = format!("token of prompt {number}");
            return Err(Error::input(what, token, format!("below {}", self.plan.vocabulary)));
        }
        let mut memories = Vec::new();
        remember(self.network.layers(), &mut memories);
        let end = (prompt.len() + most).min(limit + 1);
        Ok(Stream { tokens: prompt.to_vec(), seen: 0, end, memories })
    }

    /// One more position of each stream: x `[streams, numbers]` in place, through these layers.
    fn step(
        &self,
        layers: &[Layer],
        streams: &mut [&mut Stream],
        x: &mut Vec<f32>,
        attention: &mut usize,
        desk: &mut Desk,
    ) {
        let params = &self.params[..];
        for layer in layers {
            let mut y = desk.spare.pop().unwrap_or_default();
            match layer {
                Layer::Dense(l) => {
                    y.resize(streams.len() * l.to, 0.0);
                    l.rows(streams.len(), params, x, &mut y, &mut desk.kept, &mut desk.pack);
                }
                Layer::Norm(l) => {
                    y.resize(x.len(), 0.0);
                    desk.kept.resize(2 * streams.len(), 0.0);
                    l.rows(params, x, &mut y, &mut desk.kept[..2 * streams.len()]);
                }
                Layer::Embed(l) => {
                    y.resize(streams.len() * l.width, 0.0);
                    let rows = y.chunks_exact_mut(l.width);
                    for ((stream, &token), y) in streams.iter().zip(x.iter()).zip(rows) {
                        l.look_up(params, token, stream.seen, y);
                    }
                }
                Layer::Attention(l) => {
                    y.resize(streams.len() * l.width, 0.0);
                    let rows = x.chunks_exact(3 * l.width).zip(y.chunks_exact_mut(l.width));
                    for (stream, (x, y)) in streams.iter_mut().zip(rows) {
                        l.step(x, stream.seen, &mut stream.memories[*attention], y);
                    }
                    *attention += 1;
                }
                Layer::Residual(l) => {
                    y.clear();
                    y.extend_from_slice(x);
                    self.step(&l.inner, streams, &mut y, attention, desk);
                    y.iter_mut().zip(x.iter()).for_each(|(y, x)| *y += x);
                }
                // Nothing is dropped from an answer; images are no text.
                Layer::Dropout(_) | Layer::Conv(_) => {
                    y.clear();
                    y.extend_from_slice(x);
                }
            }
            desk.spare.push(std::mem::replace(x, y));
        }
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
