//! Tokens in, numbers of their last layer out, with keys and values of the past kept.

use super::matrix::{Crew, Weights};
use super::plan::{Network, Pairs, Plan};
use crate::model::cpu::{self, Real, vectors};

/// Attention and a gated feed-forward layer (SwiGLU, Shazeer 2020), each around its own way.
#[derive(Debug)]
pub(super) struct Block {
    pub attention_norm: Vec<f32>,
    pub query: Weights,
    pub key: Weights,
    pub value: Weights,
    pub attention_out: Weights,
    pub forward_norm: Vec<f32>,
    pub gate: Weights,
    pub up: Weights,
    pub down: Weights,
}

/// Positions that lie together in the keys.
const SPAN: usize = 16;

/// Keys and values of a text so far.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// For each block and key head: spans `[head, SPAN]`, the last one with room.
    keys: Vec<Vec<f32>>,
    /// For each block and key head: `[positions, head]`.
    values: Vec<Vec<f32>>,
    /// Positions that every block has seen.
    pub seen: usize,
}

impl Memory {
    pub(super) fn of(plan: &Plan) -> Self {
        let empty = vec![Vec::new(); plan.layers * plan.key_heads];
        Self { keys: empty.clone(), values: empty, seen: 0 }
    }

    /// Adds position `at` of a key head: key and value `[head]`.
    fn keep(&mut self, which: usize, at: usize, key: &[f32], value: &[f32]) {
        let keys = &mut self.keys[which];
        if at.is_multiple_of(SPAN) {
            keys.resize(keys.len() + key.len() * SPAN, 0.0);
        }
        let span = &mut keys[at / SPAN * SPAN * key.len()..];
        for (to, &key) in span.chunks_exact_mut(SPAN).zip(key) {
            to[at % SPAN] = key;
        }
        self.values[which].extend_from_slice(value);
    }
}

/// A text and the tokens that come next in it.
pub(super) struct Run<'a> {
    pub memory: &'a mut Memory,
    pub tokens: &'a [u32],
}

/// Buffers of a pass, one for each kind of row.
#[derive(Default)]
struct Desk {
    normed: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    heads: Vec<f32>,
    joined: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

impl Network {
    /// Numbers `[rows, width]` that enter the head, for every new token of every run. What a text becomes does not
    /// depend on the others, nor on how its tokens are cut into passes.
    pub(super) fn pass(&self, plan: &Plan, crew: &Crew, runs: &mut [Run<'_>]) -> Vec<f32> {
        let rows = runs.iter().map(|run| run.tokens.len()).sum::<usize>();
        let (width, q, kv) = (plan.width, plan.heads * plan.head, plan.key_heads * plan.head);
        let mut x = vec![0.0; rows * width];
        let tokens = runs.iter().flat_map(|run| run.tokens);
        x.chunks_exact_mut(width).zip(tokens).for_each(|(x, &t)| self.embedding.row(t as usize, x));
        let places: Vec<usize> =
            runs.iter().flat_map(|run| (run.memory.seen..).take(run.tokens.len())).collect();
        let angles = angles(plan, &places);
        let mut desk = Desk::default();
        let d = &mut desk;
        for (len, buffer) in [
            (width, &mut d.normed),
            (q, &mut d.queries),
            (kv, &mut d.keys),
            (kv, &mut d.values),
            (q, &mut d.heads),
            (width, &mut d.joined),
            (plan.hidden, &mut d.gate),
            (plan.hidden, &mut d.up),
        ] {
            buffer.resize(rows * len, 0.0);
        }
        for (number, block) in self.blocks.iter().enumerate() {
            norm(plan, &block.attention_norm, &x, &mut d.normed);
            block.query.multiply(crew, rows, &d.normed, &mut d.queries);
            block.key.multiply(crew, rows, &d.normed, &mut d.keys);
            block.value.multiply(crew, rows, &d.normed, &mut d.values);
            turn(plan, &angles, q, &mut d.queries);
            turn(plan, &angles, kv, &mut d.keys);
            remember(plan, number, runs, &d.keys, &d.values);
            attention(plan, crew, number, runs, &d.queries, &mut d.heads);
            block.attention_out.multiply(crew, rows, &d.heads, &mut d.joined);
            add(&mut x, &d.joined);
            norm(plan, &block.forward_norm, &x, &mut d.normed);
            block.gate.multiply(crew, rows, &d.normed, &mut d.gate);
            block.up.multiply(crew, rows, &d.normed, &mut d.up);
            open(&mut d.gate, &d.up);
            block.down.multiply(crew, rows, &d.gate, &mut d.joined);
            add(&mut x, &d.joined);
        }
        runs.iter_mut().for_each(|run| run.memory.seen += run.tokens.len());
        norm(plan, &self.norm, &x, &mut d.normed);
        desk.normed
    }

    /// Logits `[rows, vocabulary]` of what a pass gave.
    pub(super) fn logits(&self, crew: &Crew, rows: usize, x: &[f32]) -> Vec<f32> {
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        let mut y = vec![0.0; rows * head.size().0];
        head.multiply(crew, rows, x, &mut y);
        y
    }
}

/// y = x / sqrt(mean(x^2) + epsilon) * gain, row by row (Zhang and Sennrich 2019).
fn norm(plan: &Plan, gain: &[f32], x: &[f32], y: &mut [f32]) {
    vectors(|| {
        for (x, y) in x.chunks_exact(plan.width).zip(y.chunks_exact_mut(plan.width)) {
            let squares = cpu::fold(x, 0.0, |x| x * x, |a, b| a + b);
            let scale = 1.0 / (squares / plan.width as f32 + plan.epsilon).sqrt();
            y.iter_mut().zip(x).zip(gain).for_each(|((y, x), gain)| *y = x * scale * gain);
        }
    });
}

fn add(x: &mut [f32], more: &[f32]) {
    vectors(|| x.iter_mut().zip(more).for_each(|(x, more)| *x += more));
}

/// gate = silu(gate) up.
fn open(gate: &mut [f32], up: &[f32]) {
    vectors(|| {
        for (gate, up) in gate.iter_mut().zip(up) {
            *gate = *gate / (1.0 + (-*gate).fast_exp()) * up;
        }
    });
}

/// Cosines and sines `[rows, head / 2]` of the angles at these places.
fn angles(plan: &Plan, places: &[usize]) -> Vec<(f32, f32)> {
    let half = plan.head / 2;
    let speeds: Vec<f64> =
        (0..half).map(|i| libm::pow(plan.base, -(i as f64) / half as f64)).collect();
    let turn = |place: usize, speed: f64| {
        let (sine, cosine) = libm::sincos(place as f64 * speed);
        (cosine as f32, sine as f32)
    };
    places.iter().flat_map(|&place| speeds.iter().map(move |&speed| turn(place, speed))).collect()
}

/// Turns pairs of numbers of every head by the angles of their row.
fn turn(plan: &Plan, angles: &[(f32, f32)], width: usize, x: &mut [f32]) {
    let half = plan.head / 2;
    let (first, apart) = match plan.pairs {
        Pairs::Neighbours => (2, 1),
        Pairs::Halves => (1, half),
    };
    for (x, angles) in x.chunks_exact_mut(width).zip(angles.chunks_exact(half)) {
        for head in x.chunks_exact_mut(plan.head) {
            for (i, (cosine, sine)) in angles.iter().enumerate() {
                let (a, b) = (head[first * i], head[first * i + apart]);
                head[first * i] = a * cosine - b * sine;
                head[first * i + apart] = a * sine + b * cosine;
            }
        }
    }
}

/// Keeps keys and values `[rows, key heads * head]` of block `number`.
fn remember(plan: &Plan, number: usize, runs: &mut [Run<'_>], keys: &[f32], values: &[f32]) {
    let kv = plan.key_heads * plan.head;
    let mut rows = keys.chunks_exact(kv).zip(values.chunks_exact(kv));
    for run in runs {
        let seen = run.memory.seen;
        for (at, (key, value)) in (seen..seen + run.tokens.len()).zip(&mut rows) {
            let heads = key.chunks_exact(plan.head).zip(value.chunks_exact(plan.head));
            for (head, (key, value)) in heads.enumerate() {
                run.memory.keep(number * plan.key_heads + head, at, key, value);
            }
        }
    }
}

/// y = what each query head of each row `[rows, heads * head]` sees of its text up to its own place.
fn attention(plan: &Plan, crew: &Crew, number: usize, runs: &[Run<'_>], q: &[f32], y: &mut [f32]) {
    let (heads, head) = (plan.heads, plan.head);
    let texts: Vec<(&Memory, usize)> = runs
        .iter()
        .flat_map(|run| {
            (run.memory.seen + 1..).take(run.tokens.len()).map(move |n| (&*run.memory, n))
        })
        .collect();
    crew.each(y, head, |(i, y)| {
        let (memory, count) = texts[i / heads];
        let which = number * plan.key_heads + i % heads / (heads / plan.key_heads);
        let past = (&memory.keys[which][..], &memory.values[which][..count * head]);
        attend(&q[i * head..][..head], past, count, y);
    });
}

/// y `[head]` = softmax(q keys / sqrt(head)) values over `count` positions.
fn attend(q: &[f32], (keys, values): (&[f32], &[f32]), count: usize, y: &mut [f32]) {
    let head = q.len();
    let scale = (1.0 / libm::sqrt(head as f64)) as f32;
    let mut scores = vec![0.0f32; count.next_multiple_of(SPAN)];
    vectors(|| {
        for (scores, keys) in scores.chunks_exact_mut(SPAN).zip(keys.chunks_exact(head * SPAN)) {
            let mut sums = [0.0; SPAN];
            for (&q, keys) in q.iter().zip(keys.as_chunks::<SPAN>().0) {
                sums.iter_mut().zip(keys).for_each(|(sum, key)| *sum += q * key);
            }
            scores.iter_mut().zip(sums).for_each(|(score, sum)| *score = sum * scale);
        }
        let scores = &mut scores[..count];
        let most = cpu::fold(scores, f32::NEG_INFINITY, |x| x, f32::max);
        scores.iter_mut().for_each(|score| *score = (*score - most).fast_exp());
        let total = cpu::fold(scores, 0.0, |x| x, |a, b| a + b);
        y.fill(0.0);
        for (&score, value) in scores.iter().zip(values.chunks_exact(head)) {
            y.iter_mut().zip(value).for_each(|(y, value)| *y += score * value);
        }
        y.iter_mut().for_each(|y| *y /= total);
    });
}
