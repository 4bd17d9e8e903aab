//! Products with matrices that stay as small as they are on disk: codes become numbers in registers, on their way to
//! the multiply-adds. The instruction set is chosen at run time.
//!
//! A panel is [`PANEL`] outputs of a matrix, and holds blocks of inputs one after the other:
//! `[words of a block, PANEL]` codes, then `[PANEL]` scales, then `[PANEL]` minima where the format has them. A word
//! holds the codes of consecutive inputs, the first in its lowest bits. A weight is scale x (code - zero) + minimum.

#![allow(clippy::needless_range_loop, reason = "loops that compilers unroll without fail")]

use pulp::{Arch, NullaryFnOnce, Simd, WithSimd};

/// Outputs of a panel: vectors of every instruction set fit in, and enough sums for the latency of an addition.
pub(super) const PANEL: usize = 32;

/// How weights lie in a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub codes: Codes,
    /// Inputs that share a scale; for codes without scales a stretch that fills whole words.
    pub block: usize,
}

/// What a word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codes {
    /// Eight codes of 4 bits; `zero` is what stands for none.
    Four { zero: u8, minimum: bool },
    /// Four codes of 8 bits.
    Eight { zero: u8, minimum: bool },
    /// Two bfloat16.
    Brain,
    /// One number.
    Full,
}

impl Codes {
    pub(super) const fn per_word(self) -> usize {
        match self {
            Self::Four { .. } => 8,
            Self::Eight { .. } => 4,
            Self::Brain => 2,
            Self::Full => 1,
        }
    }

    /// Vectors of [`PANEL`] that follow the codes of a block.
    const fn tail(self) -> usize {
        match self {
            Self::Four { minimum, .. } | Self::Eight { minimum, .. } => 1 + minimum as usize,
            Self::Brain | Self::Full => 0,
        }
    }
}

impl Layout {
    /// Words of a block of a panel.
    pub(super) const fn block_words(self) -> usize {
        (self.block / self.codes.per_word() + self.codes.tail()) * PANEL
    }
}

/// What to do with the weights of some panels.
pub(super) enum Work<'a> {
    /// Sums `[rows, columns]` of rows `[rows, k]` times the panels, at most [`MOST_ROWS`] rows; rows of the result
    /// `stride` apart.
    Multiply { rows: usize, x: &'a [f32], y: &'a mut [f32], stride: usize },
    /// The weights `[k, columns]` themselves.
    Unpack { w: &'a mut [f32] },
}

/// Most rows that meet the codes directly; more are cheaper by way of unpacked weights.
pub(super) const MOST_ROWS: usize = 4;

/// Does this work over whole panels of `k` inputs.
pub(super) fn run(layout: Layout, k: usize, panels: &[u32], work: Work<'_>) {
    assert!(k > 0 && k.is_multiple_of(layout.block), "whole blocks");
    let words = k / layout.block * layout.block_words();
    assert!(panels.len().is_multiple_of(words), "whole panels");
    let columns = panels.len() / words * PANEL;
    match &work {
        Work::Multiply { rows, x, y, stride } => {
            assert!((1..=MOST_ROWS).contains(rows) && x.len() == rows * k, "rows of k numbers");
            assert!(
                *stride >= columns && y.len() >= (rows - 1) * stride + columns,
                "room for results"
            );
        }
        Work::Unpack { w } => assert!(w.len() == k * columns, "room for weights"),
    }
    Arch::new().dispatch(Run { layout, k, panels, work });
}

struct Run<'a> {
    layout: Layout,
    k: usize,
    panels: &'a [u32],
    work: Work<'a>,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.layout.codes {
            Codes::Four { zero, minimum: false } => self.of(simd, Quarter::<false> { zero }),
            Codes::Four { zero, minimum: true } => self.of(simd, Quarter::<true> { zero }),
            Codes::Eight { zero, minimum: false } => self.of(simd, Byte::<false> { zero }),
            Codes::Eight { zero, minimum: true } => self.of(simd, Byte::<true> { zero }),
            Codes::Brain => self.of(simd, Brain),
            Codes::Full => self.of(simd, Full),
        }
    }
}

impl Run<'_> {
    #[inline(always)]
    fn of<S: Simd, U: Unpack>(self, simd: S, unpack: U) {
        match S::F32_LANES {
            16 => self.wide::<S, U, 2>(simd, unpack),
            8 => self.wide::<S, U, 4>(simd, unpack),
            4 => self.wide::<S, U, 8>(simd, unpack),
            2 => self.wide::<S, U, 16>(simd, unpack),
            _ => self.wide::<S, U, 32>(simd, unpack),
        }
    }

    #[inline(always)]
    fn wide<S: Simd, U: Unpack, const V: usize>(self, simd: S, unpack: U) {
        let (k, layout) = (self.k, self.layout);
        let words = k / layout.block * layout.block_words();
        let columns = self.panels.len() / words * PANEL;
        let stretch = |panel| Stretch { layout, k, panel, unpack };
        match self.work {
            Work::Multiply { rows, x, y, stride } => {
                for (p, panel) in self.panels.chunks_exact(words).enumerate() {
                    let mut from = 0;
                    while from < rows {
                        let (x, y) = (&x[from * k..], &mut y[from * stride + p * PANEL..]);
                        let stretch = stretch(panel);
                        from += match rows - from {
                            4.. => simd.vectorize(Product::<S, U, V, 4> {
                                simd,
                                stretch,
                                x,
                                y,
                                stride,
                            }),
                            2.. => simd.vectorize(Product::<S, U, V, 2> {
                                simd,
                                stretch,
                                x,
                                y,
                                stride,
                            }),
                            _ => simd.vectorize(Product::<S, U, V, 1> {
                                simd,
                                stretch,
                                x,
                                y,
                                stride,
                            }),
                        };
                    }
                }
            }
            Work::Unpack { w } => {
                for (p, panel) in self.panels.chunks_exact(words).enumerate() {
                    let w = &mut w[p * PANEL..];
                    simd.vectorize(Spread::<S, U, V> { simd, stretch: stretch(panel), w, columns });
                }
            }
        }
    }
}

/// A panel to go through.
struct Stretch<'a, U> {
    layout: Layout,
    k: usize,
    panel: &'a [u32],
    unpack: U,
}

/// How a word gives its codes.
trait Unpack: Copy {
    const PER_WORD: usize;
    const SCALED: bool;
    const MINIMUM: bool;
    /// Code `i` of each word, less zero.
    fn take<S: Simd>(self, simd: S, words: S::u32s, i: usize) -> S::f32s;
}

/// 2^23: a whole number below it, put into its lowest bits, makes the number's sum with it.
const SHIFT: u32 = 0x4b00_0000;

#[inline(always)]
fn whole<S: Simd>(simd: S, words: S::u32s, at: usize, mask: u32, zero: u8) -> S::f32s {
    let moved = simd.wrapping_dyn_shr_u32s(words, simd.splat_u32s(at as u32));
    let code = simd.and_u32s(moved, simd.splat_u32s(mask));
    let sum = simd.transmute_f32s_u32s(simd.or_u32s(code, simd.splat_u32s(SHIFT)));
    simd.sub_f32s(sum, simd.splat_f32s(f32::from_bits(SHIFT) + f32::from(zero)))
}

#[derive(Clone, Copy)]
struct Quarter<const MINIMUM: bool> {
    zero: u8,
}

impl<const MINIMUM: bool> Unpack for Quarter<MINIMUM> {
    const PER_WORD: usize = 8;
    const SCALED: bool = true;
    const MINIMUM: bool = MINIMUM;
    #[inline(always)]
    fn take<S: Simd>(self, simd: S, words: S::u32s, i: usize) -> S::f32s {
        whole(simd, words, 4 * i, 15, self.zero)
    }
}

#[derive(Clone, Copy)]
struct Byte<const MINIMUM: bool> {
    zero: u8,
}

impl<const MINIMUM: bool> Unpack for Byte<MINIMUM> {
    const PER_WORD: usize = 4;
    const SCALED: bool = true;
    const MINIMUM: bool = MINIMUM;
    #[inline(always)]
    fn take<S: Simd>(self, simd: S, words: S::u32s, i: usize) -> S::f32s {
        whole(simd, words, 8 * i, 255, self.zero)
    }
}

#[derive(Clone, Copy)]
struct Brain;

impl Unpack for Brain {
    const PER_WORD: usize = 2;
    const SCALED: bool = false;
    const MINIMUM: bool = false;
    #[inline(always)]
    fn take<S: Simd>(self, simd: S, words: S::u32s, i: usize) -> S::f32s {
        simd.transmute_f32s_u32s(match i {
            0 => simd.wrapping_dyn_shl_u32s(words, simd.splat_u32s(16)),
            _ => simd.and_u32s(words, simd.splat_u32s(0xffff_0000)),
        })
    }
}

#[derive(Clone, Copy)]
struct Full;

impl Unpack for Full {
    const PER_WORD: usize = 1;
    const SCALED: bool = false;
    const MINIMUM: bool = false;
    #[inline(always)]
    fn take<S: Simd>(self, simd: S, words: S::u32s, _: usize) -> S::f32s {
        simd.transmute_f32s_u32s(words)
    }
}

/// V vectors from the beginning of these words.
#[inline(always)]
fn load<S: Simd, const V: usize>(words: &[u32]) -> [S::u32s; V] {
    let (vectors, _) = S::as_simd_u32s(&words[..PANEL]);
    std::array::from_fn(|v| vectors[v])
}

impl<U: Unpack> Stretch<'_, U> {
    /// Hands on the weights of input after input: its number and V vectors.
    #[inline(always)]
    fn each<S: Simd, const V: usize>(&self, simd: S, mut take: impl FnMut(usize, [S::f32s; V])) {
        let block = self.layout.block;
        let blocks = self.panel.chunks_exact(self.layout.block_words());
        for (b, words) in blocks.enumerate() {
            let (codes, tail) = words.split_at(block / U::PER_WORD * PANEL);
            let mut scale = [simd.splat_f32s(1.0); V];
            let mut least = [simd.splat_f32s(0.0); V];
            if U::SCALED {
                scale = load::<S, V>(tail).map(|t| simd.transmute_f32s_u32s(t));
                if U::MINIMUM {
                    least = load::<S, V>(&tail[PANEL..]).map(|t| simd.transmute_f32s_u32s(t));
                }
            }
            for (w, words) in codes.chunks_exact(PANEL).enumerate() {
                let words = load::<S, V>(words);
                let first = b * block + w * U::PER_WORD;
                for i in 0..U::PER_WORD {
                    let mut weights = [simd.splat_f32s(0.0); V];
                    for v in 0..V {
                        let code = self.unpack.take(simd, words[v], i);
                        weights[v] = match (U::SCALED, U::MINIMUM) {
                            (false, _) => code,
                            (true, false) => simd.mul_f32s(scale[v], code),
                            (true, true) => simd.mul_add_e_f32s(scale[v], code, least[v]),
                        };
                    }
                    take(first + i, weights);
                }
            }
        }
    }
}

/// R rows times a panel. Each result is one chain of multiply-adds over the inputs, as in the products of
/// unpacked weights.
struct Product<'a, S, U, const V: usize, const R: usize> {
    simd: S,
    stretch: Stretch<'a, U>,
    x: &'a [f32],
    y: &'a mut [f32],
    stride: usize,
}

impl<S: Simd, U: Unpack, const V: usize, const R: usize> NullaryFnOnce for Product<'_, S, U, V, R> {
    type Output = usize;

    #[inline(always)]
    fn call(self) -> usize {
        let Self { simd, stretch, x, y, stride } = self;
        let rows: [&[f32]; R] = std::array::from_fn(|r| &x[r * stretch.k..][..stretch.k]);
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        stretch.each::<S, V>(simd, |k, weights| {
            for r in 0..R {
                let x = simd.splat_f32s(rows[r][k]);
                for v in 0..V {
                    sums[r][v] = simd.mul_add_e_f32s(x, weights[v], sums[r][v]);
                }
            }
        });
        for (r, sums) in sums.iter().enumerate() {
            let (to, _) = S::as_mut_simd_f32s(&mut y[r * stride..][..PANEL]);
            to.copy_from_slice(sums);
        }
        R
    }
}

/// A panel's weights, rows of them `columns` apart.
struct Spread<'a, S, U, const V: usize> {
    simd: S,
    stretch: Stretch<'a, U>,
    w: &'a mut [f32],
    columns: usize,
}

impl<S: Simd, U: Unpack, const V: usize> NullaryFnOnce for Spread<'_, S, U, V> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, stretch, w, columns } = self;
        stretch.each::<S, V>(simd, |k, weights| {
            let (to, _) = S::as_mut_simd_f32s(&mut w[k * columns..][..PANEL]);
            to.copy_from_slice(&weights);
        });
    }
}
