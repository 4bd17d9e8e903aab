//! Whether one mean lies above another, variances unequal (Welch 1947).

use libm::sqrt;

use super::interval::variance;
use super::special::t_two_sided;

/// What a one-sided test says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Above {
    /// Difference of the means.
    pub effect: f64,
    /// Probability of as large a difference where the first mean is not above the second; none where nothing varies.
    pub p: Option<f64>,
}

/// Tests whether the mean of `a` is above that of `b`. None with fewer than two values in either.
pub fn welch_above(a: &[f64], b: &[f64]) -> Option<Above> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let of = |x: &[f64]| {
        let n = x.len() as f64;
        (x.iter().sum::<f64>() / n, variance(x) / n)
    };
    let ((mean_a, var_a), (mean_b, var_b)) = (of(a), of(b));
    let (effect, spread) = (mean_a - mean_b, var_a + var_b);
    if spread <= 0.0 || spread.is_nan() {
        return Some(Above { effect, p: None });
    }
    let part = |v: f64, n: usize| v * v / (n - 1) as f64;
    let df = spread * spread / (part(var_a, a.len()) + part(var_b, b.len()));
    let t = effect / sqrt(spread);
    let tail = 0.5 * t_two_sided(t, df);
    Some(Above { effect, p: Some(if t > 0.0 { tail } else { 1.0 - tail }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1: `ttest_ind(a, b, equal_var=False, alternative="greater").pvalue`.
    #[test]
    fn probabilities_agree_with_scipy() {
        let cases: [(&[f64], &[f64], f64); 3] = [
            (&[0.9, 0.4, 0.7, 1.1, 0.2], &[0.1, 0.5, 0.3], 0.060849549011865005),
            (&[0.1, -0.2, 0.05, 0.0], &[0.3, 0.2, 0.6, 0.1, 0.9, 0.4], 0.9924002722973781),
            (&[3.0, 3.1, 2.9, 3.05, 2.95, 3.02], &[1.0, 1.2, 0.7, 1.1, 0.9], 1.9918661324480185e-6),
        ];
        for (a, b, expected) in cases {
            let p = welch_above(a, b).and_then(|test| test.p).unwrap();
            assert!((p / expected - 1.0).abs() < 1e-9, "{p}, expected {expected}");
        }
    }

    #[test]
    fn two_values_each_of_one_variance_are_two_degrees_of_freedom() {
        // P(t > x) = 1/2 - x / (2 sqrt(2 + x^2)); variances 1/2, so t = effect / sqrt(1/2).
        let test = welch_above(&[3.0, 4.0], &[1.0, 2.0]).unwrap();
        let t = 2.0 / sqrt(0.5);
        let expected = 0.5 - t / (2.0 * sqrt(2.0 + t * t));
        assert_eq!(test.effect, 2.0);
        assert!((test.p.unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn too_little_is_no_test() {
        assert_eq!(welch_above(&[1.0], &[0.0, 1.0]), None);
        let flat = welch_above(&[1.0, 1.0], &[0.0, 0.0]).unwrap();
        assert_eq!((flat.effect, flat.p), (1.0, None));
    }
}
