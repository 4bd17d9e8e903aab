//! Shapiro and Wilk's W: how normal a sample looks; near 1 is normal.
//!
//! Royston 1995, Applied Statistics 44 (algorithm AS R94), which approximates the weights of Shapiro
//! and Wilk 1965 by polynomials in 1/sqrt(n), and transforms W to normality for the p-value.

use libm::{asin, exp, log, sqrt};

use crate::metric::{normal_cdf, normal_quantile};

/// W and its p-value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShapiroWilk {
    /// The statistic, in (0, 1].
    pub w: f64,
    /// Probability of a smaller one in a normal sample; rough beyond 5,000 values.
    pub p: f64,
}

/// The test for a sample of three values or more; none for fewer. A constant sample has W = 1.
pub fn shapiro_wilk(sample: &[f64]) -> Option<ShapiroWilk> {
    let n = sample.len();
    if n < 3 {
        return None;
    }
    let mut x = sample.to_vec();
    x.sort_by(f64::total_cmp);
    let mean = x.iter().sum::<f64>() / n as f64;
    let spread: f64 = x.iter().map(|v| (v - mean) * (v - mean)).sum();
    if x[0] == x[n - 1] {
        return Some(ShapiroWilk { w: 1.0, p: 1.0 });
    }
    let pairs = weights(n);
    let contrast: f64 = pairs.iter().enumerate().map(|(i, a)| a * (x[n - 1 - i] - x[i])).sum();
    let w = (contrast * contrast / spread).min(1.0);
    Some(ShapiroWilk { w, p: p_value(w, n) })
}

/// Value at `x` of the polynomial with the `c`onstant term first.
fn poly(c: &[f64], x: f64) -> f64 {
    c.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// Weights of the outermost pair, the next inside, and so on `[n/2]`; with their mirror images their
/// squares sum to 1.
fn weights(n: usize) -> Vec<f64> {
    const OUTER: [f64; 6] = [0.0, 0.221157, -0.147981, -2.07119, 4.434685, -2.706056];
    const NEXT: [f64; 6] = [0.0, 0.042981, -0.293762, -1.752461, 5.682633, -3.582633];
    if n == 3 {
        return vec![sqrt(0.5)];
    }
    // Expected normal order statistics by Blom's formula, negative in the lower half.
    let score = |i: usize| normal_quantile((i as f64 + 0.625) / (n as f64 + 0.25));
    let scores: Vec<f64> = (0..n / 2).map(score).collect();
    let total = 2.0 * scores.iter().map(|m| m * m).sum::<f64>();
    let (norm, u) = (sqrt(total), 1.0 / sqrt(n as f64));
    let mut fixed = vec![poly(&OUTER, u) - scores[0] / norm];
    if n > 5 {
        fixed.push(poly(&NEXT, u) - scores[1] / norm);
    }
    let without = |all: f64, outer: &[f64]| all - 2.0 * outer.iter().map(|v| v * v).sum::<f64>();
    let rest = sqrt(without(total, &scores[..fixed.len()]) / without(1.0, &fixed));
    let inner = scores[fixed.len()..].iter().map(|m| -m / rest);
    fixed.iter().copied().chain(inner).collect()
}

/// Royston's normalising transformations: exact for 3, one for up to 11, one for more.
fn p_value(w: f64, n: usize) -> f64 {
    if n == 3 {
        let at = asin(sqrt(w)) - asin(sqrt(0.75)); // 3/4 is the smallest possible W
        return (6.0 / std::f64::consts::PI * at).clamp(0.0, 1.0);
    }
    let (size, y) = (n as f64, log(1.0 - w));
    let (z, mean, ln_sd) = if n <= 11 {
        let gamma = poly(&[-2.273, 0.459], size);
        if y >= gamma {
            return 0.0;
        }
        let mean = poly(&[0.5440, -0.39978, 0.025054, -6.714e-4], size);
        (-log(gamma - y), mean, poly(&[1.3822, -0.77857, 0.062767, -0.0020322], size))
    } else {
        let ln = log(size);
        let mean = poly(&[-1.5861, -0.31082, -0.083751, 0.0038915], ln);
        (y, mean, poly(&[-0.4803, -0.082676, 0.0030302], ln))
    };
    normal_cdf((mean - z) / exp(ln_sd))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cases, close, numbers};
    use super::*;

    #[test]
    fn every_reference_sample_is_matched() {
        for case in cases("shapiro_w", 9) {
            let got = shapiro_wilk(&numbers(&case["input"]["x"])).unwrap();
            close(&case, got.w, &case["expected"]["W"]);
            close(&case, got.p, &case["expected"]["p"]);
        }
    }

    #[test]
    fn two_values_have_no_w_and_a_constant_sample_has_w_1() {
        assert_eq!(shapiro_wilk(&[1.0, 2.0]), None);
        assert_eq!(shapiro_wilk(&[0.1; 7]), Some(ShapiroWilk { w: 1.0, p: 1.0 }));
    }

    #[test]
    fn the_weights_of_all_sizes_have_length_one() {
        for n in [4, 5, 6, 11, 12, 101, 5000] {
            let squares: f64 = weights(n).iter().map(|a| 2.0 * a * a).sum();
            assert!((squares - 1.0).abs() < 1e-12, "{n}: {squares}");
        }
    }
}
