//! Normalisation of each position: layer norm (Ba, Kiros and Hinton 2016) and root-mean-square norm
//! (Zhang and Sennrich 2019, equation 4).

use super::{Cell, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::{Real, fold, vectors};
use crate::model::init::Draw;

/// Which norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum NormKind {
    /// (x - mean) / sqrt(variance + eps) * gain + bias
    Layer,
    /// x / sqrt(mean of squares + eps) * gain
    Rms,
}

/// A norm over `width` numbers at each of `times` positions.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Norm {
    /// Stem of its parameters' names.
    pub name: String,
    pub kind: NormKind,
    pub times: usize,
    pub width: usize,
    /// Added to the mean square.
    pub eps: f64,
    /// First place of its parameters: weight `[width]`, then bias `[width]` for a layer norm.
    pub at: usize,
}

/// What is usually added to the mean square, as torch and most language models have it.
pub(in crate::model) const EPS: f64 = 1e-5;

impl Norm {
    pub(super) const fn inputs(&self) -> usize {
        self.times * self.width
    }

    pub(super) const fn outputs(&self) -> usize {
        self.inputs()
    }

    pub(super) const fn multiply_adds(&self) -> usize {
        2 * self.inputs()
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        let slot = |name: &str, at: usize, value: f32| Slot {
            name: format!("{}.{name}", self.name),
            shape: vec![self.width],
            at,
            draw: Draw::Constant(value),
        };
        let gain = slot("weight", self.at, 1.0);
        match self.kind {
            NormKind::Layer => vec![gain, slot("bias", self.at + self.width, 0.0)],
            NormKind::Rms => vec![gain],
        }
    }

    /// Rows x `[rows, width]` to y. Writes the shift and the scale of each row to `kept`, where there is room.
    pub(in crate::model) fn rows<T: Real>(
        &self,
        params: &[T],
        x: &[T],
        y: &mut [T],
        kept: &mut [T],
    ) {
        let (gain, bias) = params[self.at..].split_at(self.width);
        let (wide, eps) = (T::of(self.width as f64), T::of(self.eps));
        vectors(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(self.width).zip(y.chunks_exact_mut(self.width));
                for ((x, y), kept) in rows.zip(kept.chunks_exact_mut(2)) {
                    let shift = match self.kind {
                        NormKind::Layer => sum(x, |x| x) / wide,
                        NormKind::Rms => T::zero(),
                    };
                    let square = |x: T| (x - shift) * (x - shift);
                    let scale = T::one() / (sum(x, square) / wide + eps).sqrt();
                    let normal = x.iter().map(|&x| (x - shift) * scale).zip(gain);
                    match self.kind {
                        NormKind::Layer => {
                            let all = y.iter_mut().zip(normal).zip(bias);
                            all.for_each(|((y, (x, &g)), &b)| *y = x * g + b);
                        }
                        NormKind::Rms => {
                            y.iter_mut().zip(normal).for_each(|(y, (x, &g))| *y = x * g);
                        }
                    }
                    (kept[0], kept[1]) = (shift, scale);
                }
            },
        );
    }

    /// Keeps the shift and the scale of each position.
    pub(super) fn forward<T: Real>(
        &self,
        n: usize,
        params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        _room: &mut Room<T>,
        _pass: Pass,
    ) {
        let y = sized(&mut cell.y, n * self.outputs());
        let kept = sized(&mut cell.kept, 2 * n * self.times);
        self.rows(params, x, y, kept);
    }

    pub(super) fn backward<T: Real>(
        &self,
        _n: usize,
        params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        dy: &mut [T],
        _room: &mut Room<T>,
        wanted: Wanted<'_, T>,
    ) {
        let width = self.width;
        let shifted = self.kind == NormKind::Layer;
        let rows = || x.chunks_exact(width).zip(cell.kept.chunks_exact(2));
        if let Some(grads) = wanted.params {
            let (gain, bias) = grads[self.at..].split_at_mut(width);
            let bias = if shifted { &mut bias[..width] } else { &mut [] };
            vectors(
                #[inline(always)]
                || {
                    gain.fill(T::zero());
                    bias.fill(T::zero());
                    for ((x, kept), dy) in rows().zip(dy.chunks_exact(width)) {
                        let (shift, scale) = (kept[0], kept[1]);
                        let all = gain.iter_mut().zip(x).zip(dy);
                        all.for_each(|((g, &x), &dy)| *g += dy * ((x - shift) * scale));
                        bias.iter_mut().zip(dy).for_each(|(b, &dy)| *b += dy);
                    }
                },
            );
        }
        let Some(dx) = wanted.input else { return };
        let gain = &params[self.at..][..width];
        let wide = T::of(width as f64);
        vectors(
            #[inline(always)]
            || {
                let grads = dy.chunks_exact_mut(width).zip(dx.chunks_exact_mut(width));
                for ((x, kept), (dy, dx)) in rows().zip(grads) {
                    let (shift, scale) = (kept[0], kept[1]);
                    dy.iter_mut().zip(gain).for_each(|(dy, &g)| *dy *= g);
                    // dx holds the product for the sum, then the result.
                    let normal = |x: T| (x - shift) * scale;
                    dx.iter_mut().zip(&*dy).zip(x).for_each(|((dx, &dy), &x)| *dx = dy * normal(x));
                    let along = sum(dx, |v| v) / wide;
                    let mean = if shifted { sum(dy, |v| v) / wide } else { T::zero() };
                    let all = dx.iter_mut().zip(&*dy).zip(x);
                    all.for_each(|((dx, &dy), &x)| *dx = scale * (dy - mean - normal(x) * along));
                }
            },
        );
    }
}

/// Sum of f(x), in lanes.
#[inline(always)]
fn sum<T: Real>(x: &[T], f: impl Fn(T) -> T) -> T {
    fold(x, T::zero(), f, |a, b| a + b)
}
