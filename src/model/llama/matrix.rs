//! Weights `[outputs, inputs]` in panels of outputs, and their products with rows of numbers.

use super::kernel::{self, Codes, Layout, MOST_ROWS, PANEL, Work};
use crate::model::cpu;

/// Words of a line of the cache: vectors that cross lines cost twice.
const LINE: usize = 16;
/// Panels that are unpacked together for many rows.
const GROUP: usize = 3;

/// A matrix that only answers.
#[derive(Debug)]
pub(super) struct Weights {
    layout: Layout,
    outputs: usize,
    inputs: usize,
    words: Vec<u32>,
    /// Where the first line of the cache starts.
    first: usize,
}

/// A stretch of a row as a file gives it.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// One for each input: codes, or the bits of bfloat16 or of whole numbers.
    pub codes: Vec<u32>,
    pub scale: f32,
    pub minimum: f32,
}

impl Weights {
    /// Fills a matrix row by row: `block(output, first input, to)` gives the stretch that starts there.
    pub(super) fn fill(
        layout: Layout,
        outputs: usize,
        inputs: usize,
        mut block: impl FnMut(usize, usize, &mut Block),
    ) -> Self {
        let (panels, blocks) = (outputs.div_ceil(PANEL), inputs / layout.block);
        let mut words = vec![0; panels * blocks * layout.block_words() + LINE];
        let first = words.as_ptr().align_offset(LINE * size_of::<u32>()).min(LINE);
        let per_word = layout.codes.per_word();
        let bits = 32 / per_word;
        let mut stretch = Block { codes: vec![0; layout.block], ..Block::default() };
        for output in 0..outputs {
            let (panel, lane) = (output / PANEL, output % PANEL);
            for b in 0..blocks {
                block(output, b * layout.block, &mut stretch);
                let at = first + (panel * blocks + b) * layout.block_words() + lane;
                for (w, codes) in stretch.codes.chunks_exact(per_word).enumerate() {
                    let word =
                        codes.iter().enumerate().fold(0, |all, (i, c)| all | c << (i * bits));
                    words[at + w * PANEL] = word;
                }
                let tail = at + layout.block / per_word * PANEL;
                if let Codes::Four { minimum, .. } | Codes::Eight { minimum, .. } = layout.codes {
                    words[tail] = stretch.scale.to_bits();
                    if minimum {
                        words[tail + PANEL] = stretch.minimum.to_bits();
                    }
                }
            }
        }
        Self { layout, outputs, inputs, words, first }
    }

    /// Outputs and inputs.
    pub(super) const fn size(&self) -> (usize, usize) {
        (self.outputs, self.inputs)
    }

    const fn panel_words(&self) -> usize {
        self.inputs / self.layout.block * self.layout.block_words()
    }

    /// Words of these panels.
    fn panels(&self, from: usize, panels: usize) -> &[u32] {
        let words = self.panel_words();
        &self.words[self.first + from * words..][..panels * words]
    }

    /// The weights `[inputs]` of one output: a token's row of an embedding.
    pub(super) fn row(&self, output: usize, to: &mut [f32]) {
        let Layout { codes, block } = self.layout;
        let (panel, lane) = (self.panels(output / PANEL, 1), output % PANEL);
        let per_word = codes.per_word();
        for (words, to) in
            panel.chunks_exact(self.layout.block_words()).zip(to.chunks_exact_mut(block))
        {
            let tail = block / per_word * PANEL + lane;
            let word =
                |i: usize| words[i / per_word * PANEL + lane] >> (i % per_word * (32 / per_word));
            let number = |code: u32, zero: u8, minimum: bool| {
                let (scale, code) = (f32::from_bits(words[tail]), code as f32 - f32::from(zero));
                match minimum {
                    true => scale.mul_add(code, f32::from_bits(words[tail + PANEL])),
                    false => scale * code,
                }
            };
            to.iter_mut().enumerate().for_each(|(i, to)| {
                *to = match codes {
                    Codes::Four { zero, minimum } => number(word(i) & 15, zero, minimum),
                    Codes::Eight { zero, minimum } => number(word(i) & 255, zero, minimum),
                    Codes::Brain => f32::from_bits(word(i) << 16),
                    Codes::Full => f32::from_bits(word(i)),
                };
            });
        }
    }

    /// y `[rows, outputs]` = x `[rows, inputs]` times the weights, over the crew's threads. A result does not depend
    /// on the number of rows or of threads.
    pub(super) fn multiply(&self, crew: &Crew, rows: usize, x: &[f32], y: &mut [f32]) {
        let panels = self.outputs.div_ceil(PANEL);
        let unit = if rows <= MOST_ROWS { 1 } else { GROUP };
        let share = panels.div_ceil(crew.threads()).next_multiple_of(unit);
        let whole = self.outputs.is_multiple_of(PANEL);
        if share >= panels && whole {
            return self.part(0, panels, rows, x, y, self.outputs);
        }
        // Parts lie one after the other; a single row is then already in order.
        let mut parts = vec![0.0; rows * panels * PANEL];
        let each = |(i, part): (usize, &mut [f32])| {
            let count = part.len() / rows / PANEL;
            self.part(i * share, count, rows, x, part, count * PANEL);
        };
        crew.each(&mut parts, rows * share * PANEL, each);
        for (i, part) in parts.chunks(rows * share * PANEL).enumerate() {
            let (from, columns) = (i * share * PANEL, part.len() / rows);
            let columns_kept = columns.min(self.outputs - from);
            for (row, part) in part.chunks_exact(columns).enumerate() {
                y[row * self.outputs + from..][..columns_kept]
                    .copy_from_slice(&part[..columns_kept]);
            }
        }
    }

    /// Results of these panels, rows of them `stride` apart.
    fn part(
        &self,
        from: usize,
        panels: usize,
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        stride: usize,
    ) {
        let k = self.inputs;
        if rows <= MOST_ROWS {
            let work = Work::Multiply { rows, x, y, stride };
            return kernel::run(self.layout, k, self.panels(from, panels), work);
        }
        let (mut pack, mut weights) = (Vec::new(), vec![0.0; k * PANEL * GROUP.min(panels)]);
        for first in (0..panels).step_by(GROUP) {
            let panels = GROUP.min(panels - first);
            let n = panels * PANEL;
            let w = &mut weights[..k * n];
            kernel::run(self.layout, k, self.panels(from + first, panels), Work::Unpack { w });
            let (size, start) = (cpu::Size { m: rows, k, n }, cpu::Start::Zero);
            let (x, w) = (cpu::Matrix::rows(x, k), cpu::Matrix::rows(&weights[..k * n], n));
            <f32 as cpu::Real>::multiply(
                size,
                x,
                w,
                &mut y[first * PANEL..],
                stride,
                start,
                &mut pack,
            );
        }
    }
}

/// The threads of a model.
#[derive(Debug)]
pub(super) struct Crew(Option<rayon::ThreadPool>);

impl Crew {
    /// Of so many threads.
    pub(super) fn of(threads: usize) -> crate::Result<Self> {
        let build = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = (threads > 1).then(|| build(threads)).transpose();
        Ok(Self(pool.map_err(|e| crate::Error::Internal(format!("threads of a model: {e}")))?))
    }

    pub(super) fn threads(&self) -> usize {
        self.0.as_ref().map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Runs `f` where the threads are near at hand.
    pub(super) fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        match &self.0 {
            Some(pool) => pool.install(f),
            None => f(),
        }
    }

    /// Hands pieces of `size` numbers, with their place among the pieces, to the threads.
    pub(super) fn each(
        &self,
        all: &mut [f32],
        size: usize,
        f: impl Fn((usize, &mut [f32])) + Sync + Send,
    ) {
        use rayon::prelude::*;
        match &self.0 {
            Some(_) if all.len() > size => all.par_chunks_mut(size).enumerate().for_each(f),
            _ => all.chunks_mut(size).enumerate().for_each(f),
        }
    }
}
