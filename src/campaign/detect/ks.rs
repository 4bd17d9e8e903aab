//! Kolmogorov and Smirnov's tests: is a sample uniform, are two samples from one distribution.
//!
//! For uniform times of day, p-values under a null, scores of two windows. The two-sample p-value walks
//! lattice paths (Hodges 1958); the one-sample one is Marsaglia, Tsang and Wang 2003, J. Stat.
//! Software 8(18).

use libm::{exp, lgamma, log, log1p, sqrt};

/// Largest distance between the two empirical distributions, and its exact two-sided p-value, which
/// ignores ties and is then conservative. Time and, in a row, memory grow with `x` times `y`.
/// None where a sample is empty.
pub fn two_samples(x: &[f64], y: &[f64]) -> Option<(f64, f64)> {
    let (m, n) = (x.len() as u64, y.len() as u64);
    let apart = largest_step(x, y)?;
    Some((apart as f64 / (m * n) as f64, share_outside(m, n, apart)))
}

/// The p-value of a distance `d` between samples of `m` and `n` values, by the one-sample distribution
/// at round(mn/(m+n)): for samples too large to walk.
pub fn two_samples_approx(d: f64, m: usize, n: usize) -> f64 {
    let effective = (m * n) as f64 / (m + n) as f64;
    one_sample_p(d, effective.round_ties_even() as usize)
}

/// Distance of a sample from the uniform distribution on [0, 1], and its two-sided p-value.
/// None for an empty sample.
pub fn uniform(x: &[f64]) -> Option<(f64, f64)> {
    let n = x.len();
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    let step = |i: usize| i as f64 / n as f64;
    let at = |(i, v): (usize, &f64)| (step(i + 1) - v).max(v - step(i));
    let d = sorted.iter().enumerate().map(at).max_by(f64::total_cmp)?;
    Some((d, one_sample_p(d, n)))
}

/// m n times the distance, a whole number: |i n - j m| with i and j values up to each place.
fn largest_step(x: &[f64], y: &[f64]) -> Option<u64> {
    let (mut x, mut y) = (x.to_vec(), y.to_vec());
    x.sort_by(f64::total_cmp);
    y.sort_by(f64::total_cmp);
    let up_to = |sorted: &[f64], v: f64| sorted.partition_point(|s| *s <= v) as u64;
    let (m, n) = (x.len() as u64, y.len() as u64);
    let places = x.iter().chain(&y);
    let apart = places.map(|v| (up_to(&x, *v) * n).abs_diff(up_to(&y, *v) * m)).max();
    apart.filter(|_| m > 0 && n > 0)
}

/// Share of the orders of m and n values in which the distance reaches `apart` somewhere. Orders are
/// walked together; what reaches the distance leaves, so that small shares keep their digits.
fn share_outside(m: u64, n: u64, apart: u64) -> f64 {
    if apart == 0 {
        return 1.0;
    }
    let mut out = 0.0;
    let mut row = vec![0.0; n as usize + 1]; // after i values of x: share at each j
    for i in 0..=m {
        let mut from_left = 0.0;
        for j in 0..=n {
            let start = if i == 0 && j == 0 { 1.0 } else { 0.0 };
            let mut share = start + row[j as usize] + from_left;
            if (i * n).abs_diff(j * m) >= apart {
                out += share;
                share = 0.0;
            }
            let left = (m + n - i - j).max(1) as f64;
            from_left = share * (n - j) as f64 / left; // the next value is one of y
            row[j as usize] = share * (m - i) as f64 / left; // or one of x
        }
    }
    out.min(1.0)
}

/// Probability of a distance of `d` or more among `n` uniform values.
fn one_sample_p(d: f64, n: usize) -> f64 {
    let size = n as f64;
    if d <= 0.5 / size {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    if d >= 0.5 {
        return (2.0 * one_sided_p(d, n)).min(1.0); // the two sides cannot both be so far away
    }
    if n > 2000 || d * d * size > 18.0 {
        return limit(d, size);
    }
    (1.0 - marsaglia(d, n)).clamp(0.0, 1.0)
}

/// Smirnov's one-sided tail (Birnbaum and Tingey 1951).
fn one_sided_p(d: f64, n: usize) -> f64 {
    let size = n as f64;
    let term = |j: usize| {
        let (j, rest) = (j as f64, 1.0 - d - j as f64 / size);
        if rest <= 0.0 {
            return 0.0;
        }
        let choose = lgamma(size + 1.0) - lgamma(j + 1.0) - lgamma(size - j + 1.0);
        d * exp(choose + (j - 1.0) * log(d + j / size) + (size - j) * log1p(rest - 1.0))
    };
    (0..=(size * (1.0 - d)) as usize).map(term).sum()
}

/// Kolmogorov's limit with the finite-size correction of Vrbik 2018, right to about four decimals.
fn limit(d: f64, size: f64) -> f64 {
    let x = d * sqrt(size);
    let t = x + 1.0 / (6.0 * sqrt(size)) + (x - 1.0) / (4.0 * size);
    if t < 0.2 {
        return 1.0; // to 12 digits, where the series would be slow
    }
    let term = |j: i32| f64::from(1 - 2 * (j % 2)) * exp(-2.0 * f64::from(j * j) * t * t);
    -2.0 * (1..=20).map(term).sum::<f64>()
}

/// Marsaglia, Tsang and Wang: the middle element of a matrix of n d rows to the n-th power.
fn marsaglia(d: f64, n: usize) -> f64 {
    let k = (n as f64 * d) as usize + 1;
    let size = 2 * k - 1;
    let h = k as f64 - n as f64 * d;
    let mut matrix = vec![0.0; size * size];
    for i in 0..size {
        for j in 0..size.min(i + 2) {
            matrix[i * size + j] = 1.0;
        }
    }
    for i in 0..size {
        let power = libm::pow(h, (i + 1) as f64);
        matrix[i * size] -= power;
        matrix[(size - 1) * size + size - 1 - i] -= power;
    }
    matrix[(size - 1) * size] += libm::pow((2.0 * h - 1.0).max(0.0), size as f64);
    for i in 0..size {
        for j in 0..size.min(i + 1) {
            (1..=i + 1 - j).for_each(|g| matrix[i * size + j] /= g as f64);
        }
    }
    // The factor n!/n^n is spread evenly over the steps, in place of exponents kept aside.
    let factor = exp(lgamma(n as f64 + 1.0) / n as f64) / n as f64;
    let mut row = vec![0.0; size];
    row[k - 1] = factor;
    for _ in 1..n {
        row = (0..size).map(|j| (0..size).map(|l| row[l] * matrix[l * size + j]).sum()).collect();
        row.iter_mut().for_each(|v: &mut f64| *v *= factor);
    }
    (0..size).map(|l| row[l] * matrix[l * size + k - 1]).sum()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cases, close, numbers};
    use super::*;

    #[test]
    fn two_samples_match_the_reference() {
        for case in cases("ks_2samp", 6) {
            let (x, y) = (numbers(&case["input"]["x"]), numbers(&case["input"]["y"]));
            let (d, p) = two_samples(&x, &y).unwrap();
            close(&case, d, &case["expected"]["D"]);
            close(&case, p, &case["expected"]["p_exact"]);
            close(&case, two_samples_approx(d, x.len(), y.len()), &case["expected"]["p_asymp"]);
        }
    }

    #[test]
    fn uniform_samples_match_the_reference() {
        for case in cases("ks_uniform", 5) {
            let (d, p) = uniform(&numbers(&case["input"]["x"])).unwrap();
            close(&case, d, &case["expected"]["D"]);
            close(&case, p, &case["expected"]["p"]);
        }
    }

    #[test]
    fn the_three_forms_of_the_tail_meet() {
        let below = 0.5 - 1e-12;
        assert!((one_sample_p(below, 12) / one_sample_p(0.5, 12) - 1.0).abs() < 1e-8);
        for d in [0.015, 0.03, 0.05] {
            let (exact, limit) = (1.0 - marsaglia(d, 2000), limit(d, 2000.0));
            assert!((exact - limit).abs() < 5e-5, "{exact} {limit}");
            assert!((exact / limit - 1.0).abs() < 5e-3, "{exact} {limit}");
        }
        assert_eq!(two_samples(&[], &[1.0]), None);
    }
}
