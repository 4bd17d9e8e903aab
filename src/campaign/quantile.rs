//! Distributions as tables of quantiles: one word in, one number out, without a logarithm a draw.

use std::sync::OnceLock;

use crate::metric::normal_quantile;

/// Quantiles on an even grid, and a finer grid of the same number of cells within the last cell, because
/// the mean of a long tail lies there. Between grid points: a straight line.
#[derive(Clone, Debug)]
pub struct Quantiles {
    body: Vec<f32>,
    tail: Vec<f32>,
}

/// Few enough that all tables of a scenario stay in the first cache level.
const CELLS: usize = 1_024;

impl Quantiles {
    /// From a quantile function on (0, 1).
    pub fn of(quantile: impl Fn(f64) -> f64) -> Self {
        let [body, tail] = grids(quantile).map(|g| g.into_iter().map(|q| q as f32).collect());
        Self { body, tail }
    }

    /// Exponential of mean 1.
    pub fn exponential() -> Self {
        Self::of(|p| -libm::log(1.0 - p))
    }

    /// Standard normal. The upper tail is finer than the lower one.
    pub fn normal() -> Self {
        Self::of_normal(|z| z)
    }

    /// exp(mu + sigma Z).
    pub fn lognormal(mu: f64, sigma: f64) -> Self {
        Self::of_normal(|z| libm::exp(mu + sigma * z))
    }

    fn of_normal(f: impl Fn(f64) -> f64) -> Self {
        static NORMAL: OnceLock<[Vec<f64>; 2]> = OnceLock::new();
        let [body, tail] = NORMAL.get_or_init(|| grids(normal_quantile));
        let each = |grid: &[f64]| grid.iter().map(|&z| f(z) as f32).collect();
        Self { body: each(body), tail: each(tail) }
    }

    /// Gamma of this shape and mean.
    pub fn gamma(shape: f64, mean: f64) -> Self {
        Self::of(|p| gamma_quantile(shape, p) * mean / shape)
    }

    /// The quantile at a word.
    #[inline]
    pub fn at(&self, word: u32) -> f32 {
        let (cell, within) = ((word >> 22) as usize, word & 0x3F_FFFF);
        if cell + 1 < CELLS {
            return between(&self.body, cell, within as f32 * (1.0 / 4_194_304.0));
        }
        between(&self.tail, (within >> 12) as usize, (within & 0xFFF) as f32 * (1.0 / 4_096.0))
    }
}

/// A quantile function on both grids.
fn grids(quantile: impl Fn(f64) -> f64) -> [Vec<f64>; 2] {
    let cells = CELLS as f64;
    let end = 1.0 - 0.5 / (cells * cells);
    let body = |i: usize| quantile((i as f64 / cells).clamp(0.5 / cells, end));
    let tail = |i: usize| quantile((1.0 - (1.0 - i as f64 / cells) / cells).min(end));
    [(0..=CELLS).map(body).collect(), (0..=CELLS).map(tail).collect()]
}

#[inline]
fn between(grid: &[f32], cell: usize, part: f32) -> f32 {
    grid[cell] + (grid[cell + 1] - grid[cell]) * part
}

/// The quantile of a gamma distribution of scale 1, by bisection of its lower incomplete series.
fn gamma_quantile(shape: f64, p: f64) -> f64 {
    let (mut low, mut high) = (0.0, shape + 20.0 * (1.0 + libm::sqrt(shape)));
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if lower_gamma(shape, middle) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// P(a, x) = x^a e^-x sum x^n / Gamma(a + n + 1) (DLMF 8.11.4).
fn lower_gamma(a: f64, x: f64) -> f64 {
    let mut term = libm::exp(a * libm::log(x.max(1e-300)) - x - libm::lgamma(a + 1.0));
    let mut sum = 0.0;
    for n in 1..10_000 {
        sum += term;
        term *= x / (a + f64::from(n));
        if term < sum * 1e-15 {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(table: &Quantiles) -> f64 {
        let n = 1 << 22;
        let words = (0..n).map(|i| (i as u32) << 10 | 0x200);
        words.map(|w| f64::from(table.at(w))).sum::<f64>() / f64::from(n)
    }

    #[test]
    fn a_long_tail_keeps_its_mean() {
        let expected = libm::exp(5.90 + 1.85 * 1.85 / 2.0);
        let found = mean(&Quantiles::lognormal(5.90, 1.85));
        assert!((found / expected - 1.0).abs() < 0.003, "{found} for {expected}");
    }

    #[test]
    fn an_exponential_has_its_mean_and_variance() {
        let table = Quantiles::exponential();
        let values: Vec<f64> =
            (0..1 << 16).map(|i| f64::from(table.at(i << 16 | 0x8000))).collect();
        let variance = crate::metric::variance(&values);
        assert!((mean(&table) - 1.0).abs() < 1e-3 && (variance - 1.0).abs() < 5e-3, "{variance}");
    }

    #[test]
    fn gamma_has_its_mean_and_an_exponential_its_median() {
        assert!((mean(&Quantiles::gamma(0.85, 120.0)) / 120.0 - 1.0).abs() < 0.003);
        let median = Quantiles::gamma(1.0, 1.0).at(1 << 31);
        assert!((f64::from(median) - std::f64::consts::LN_2).abs() < 1e-4);
    }
}
