//! Intervals and tests. The unit is the seed unless said otherwise.

use super::normal::quantile as normal_quantile;
use super::special::{incomplete_beta, t_quantile, t_two_sided};
use crate::seed::{Seed, below};

/// A mean with its interval; none with fewer than two values.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Number of values.
    pub n: usize,
    /// Their mean; NaN without values.
    pub mean: f64,
    /// Standard deviation, n - 1 in the denominator.
    pub sd: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Two-sided p-value of mean 0.
    pub p: Option<f64>,
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Sample variance, n - 1 in the denominator; 0 for fewer than two values.
pub fn variance(x: &[f64]) -> f64 {
    if x.len() < 2 {
        return 0.0;
    }
    let m = mean(x);
    x.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / (x.len() - 1) as f64
}

/// Mean with a Student t interval at `level`, such as 0.95.
pub fn mean_ci(x: &[f64], level: f64) -> Estimate {
    let scale = 1.0 / x.len().max(1) as f64;
    with_scale(x, level, scale)
}

/// The interval of Nadeau and Bengio 2003 (equation 6) for means over resampled splits: variance
/// (1/n + n_test/n_train) s^2, because resampled training sets overlap. `overlap` is n_test/n_train;
/// 0 gives [`mean_ci`].
pub fn resampled_ci(x: &[f64], overlap: f64, level: f64) -> Estimate {
    with_scale(x, level, 1.0 / x.len().max(1) as f64 + overlap)
}

fn with_scale(x: &[f64], level: f64, scale: f64) -> Estimate {
    let n = x.len();
    let m = mean(x);
    if n < 2 {
        return Estimate { n, mean: m, sd: None, low: None, high: None, p: None };
    }
    let s2 = variance(x);
    let se = (s2 * scale).sqrt();
    let df = (n - 1) as f64;
    let half = t_quantile(0.5 + level / 2.0, df) * se;
    // Without a spread there is no test.
    let p = (se > 0.0).then(|| t_two_sided(m / se, df));
    Estimate { n, mean: m, sd: Some(s2.sqrt()), low: Some(m - half), high: Some(m + half), p }
}

/// Mean of a - b over pairs, with t interval and p-value. Values beyond the shorter list are left out.
pub fn paired_ci(a: &[f64], b: &[f64], level: f64) -> Estimate {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    mean_ci(&differences, level)
}

/// Wilson's score interval of a share (Wilson 1927), without continuity correction.
pub fn wilson(successes: u64, n: u64, level: f64) -> (f64, f64) {
    let z = normal_quantile(0.5 + level / 2.0);
    let (n, p) = (n as f64, successes as f64 / n as f64);
    let centre = p + z * z / (2.0 * n);
    let half = z * ((p * (1.0 - p) + z * z / (4.0 * n)) / n).sqrt();
    let scale = 1.0 + z * z / n;
    ((centre - half) / scale, (centre + half) / scale)
}

/// Upper one-sided bound of a share at `level`, exact (Clopper and Pearson 1934): the share at which so
/// few successes have probability 1 - `level`. Counts may be fractions, as of a share averaged over
/// `n` units; without successes the bound is 1 - (1 - level)^(1/n), without units it is 1.
pub fn upper_bound(successes: f64, n: f64, level: f64) -> f64 {
    if successes >= n {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        let below = incomplete_beta(successes + 1.0, n - successes, middle);
        if below < level { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Holm's step-down adjusted p-values (Holm 1979), in the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]).then(a.cmp(&b)));
    let mut adjusted = vec![0.0; p.len()];
    let mut running: f64 = 0.0;
    for (rank, &i) in order.iter().enumerate() {
        running = running.max((p.len() - rank) as f64 * p[i]).min(1.0);
        adjusted[i] = running;
    }
    adjusted
}

/// Quantile `q` of resampled values: the smallest whose cumulative share reaches `q`.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Percentile bootstrap of the mean (Efron 1979) at quantiles `q`.
pub fn bootstrap_mean(x: &[f64], q: &[f64], resamples: usize, seed: Seed) -> Vec<f64> {
    let mut rng = seed.rng();
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| (0..x.len()).map(|_| x[below(&mut rng, x.len())]).sum::<f64>() / x.len() as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    q.iter().map(|&q| quantile(&means, q)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_smallest_value_whose_share_is_enough() {
        let of = |q| quantile(&[1.0, 2.0, 3.0, 4.0], q);
        assert_eq!([0.0, 0.25, 0.26, 0.5, 0.75, 1.0].map(of), [1.0, 1.0, 2.0, 2.0, 3.0, 4.0]);
    }
}
