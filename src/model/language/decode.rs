//! Answers one token at a time. All texts of a call move together, each at its own place: dense layers see
//! them as rows of one batch, attention keeps keys and values of each.

use super::Language;
use super::sample::{Chooser, Sampling};
use crate::error::{Error, Result, expect_shape};
use crate::model::layer::{Layer, Memory, Room, sized};
use crate::seed::Seed;

/// A text on its way.
struct Stream {
    /// Its place among the texts of the call.
    number: usize,
    tokens: Vec<u16>,
    /// Tokens that the network has seen.
    seen: usize,
    /// Length at which it ends.
    end: usize,
    /// One for each attention layer.
    memories: Vec<Memory<f32>>,
}

/// Buffers of a step, used again by the next.
struct Desk {
    room: Room<f32>,
    kept: Vec<f32>,
    spare: Vec<Vec<f32>>,
}

impl Desk {
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
        self.continued(prompts, most, end, |_, logits| crate::oracle::argmax(logits.iter()) as u16)
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
        sampling.check()?;
        expect_shape("streams of texts", &[streams.len()], &[prompts.len()])?;
        let mut draws: Vec<_> = streams.iter().map(Seed::rng).collect();
        let mut chooser = Chooser::default();
        self.continued(prompts, most, end, |number, logits| {
            chooser.choose(logits, sampling, &mut draws[number]) as u16
        })
    }

    /// Continues each prompt by tokens that `choose` takes, given the text's number and its logits.
    fn continued(
        &self,
        prompts: &[Vec<u16>],
        most: usize,
        end: Option<u16>,
        mut choose: impl FnMut(usize, &[f32]) -> u16,
    ) -> Result<Vec<Vec<u16>>> {
        if let Some(end) = end {
            self.check_token("token that ends a text", end)?;
        }
        let mut streams = prompts
            .iter()
            .enumerate()
            .map(|(i, prompt)| self.stream(i, prompt, most))
            .collect::<Result<Vec<_>>>()?;
        let mut desk = Desk { room: Room::of_fixed(), kept: Vec::new(), spare: Vec::new() };
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
            let y = self.step(self.network.layers(), &mut going, &x, &mut 0, &mut desk);
            for (stream, logits) in going.into_iter().zip(y.chunks_exact(vocabulary)) {
                stream.seen += 1;
                if stream.seen == stream.tokens.len() {
                    let token = choose(stream.number, logits);
                    stream.tokens.push(token);
                    if Some(token) == end {
                        stream.end = stream.tokens.len();
                    }
                }
            }
            desk.spare.push(y);
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
        let what = format!("token of prompt {number}");
        prompt.iter().try_for_each(|&token| self.check_token(&what, token))?;
        let mut memories = Vec::new();
        remember(self.network.layers(), &mut memories);
        let end = prompt.len().saturating_add(most).min(limit + 1);
        Ok(Stream { number, tokens: prompt.to_vec(), seen: 0, end, memories })
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
                    let rows = x.chunks_exact(3 * l.width).zip(y.chunks_exact_mut(l.width));
                    for (stream, (x, y)) in streams.iter_mut().zip(rows) {
                        let memory = &mut stream.memories[*attention];
                        l.step(x, stream.seen, memory, y, &mut desk.room);
                    }
                    *attention += 1;
                    y
                }
                Layer::Residual(l) => {
                    let mut y = self.step(&l.inner, streams, x, attention, desk);
                    y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
                    y
                }
                // Nothing is dropped from an answer; images are no text.
                Layer::Dropout(_) | Layer::Conv(_) => continue,
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
