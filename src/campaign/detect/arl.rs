//! Average run length of the one-sided CUSUM: observations to an alarm, false (mean 0) or true.
//!
//! Siegmund 1985, Sequential Analysis, corrects for the overshoot; Brook and Evans 1972,
//! Biometrika 59, make the sum a Markov chain on cells of [0, h]. [`exact`] is their chain with the
//! cells replaced by the nodes of Gauss and Legendre, which solves Page's integral equation
//!
//! ```text
//! L(s) = 1 + L(0) Phi(k - s - mu) + int_0^h L(y) phi(y - s + k - mu) dy
//! ```
//!
//! to about eight digits, where equal cells of that number reach three.

use libm::{cos, exp};

use crate::metric::{normal_cdf as cdf, normal_density as density};

/// Siegmund's approximation for scores N(`mu`, 1): (exp(-2Db) + 2Db - 1)/(2D^2) with D = mu - k and
/// b = h + 1.166; b^2 at D = 0.
pub fn siegmund(mu: f64, k: f64, h: f64) -> f64 {
    let (d, b) = (mu - k, h + 1.166);
    if d == 0.0 {
        return b * b;
    }
    (exp(-2.0 * d * b) + 2.0 * d * b - 1.0) / (2.0 * d * d)
}

/// The run length from S_0 = 0 for scores N(`mu`, 1), by the integral equation. `h` is above 0.
pub fn exact(mu: f64, k: f64, h: f64) -> f64 {
    let (nodes, weights) = gauss_legendre(((8.0 * h) as usize).clamp(48, 400), h);
    // Unknowns: L(0), then L at the nodes. The row of s says L(s) - (terms with L) = 1.
    let starts: Vec<f64> = std::iter::once(0.0).chain(nodes.iter().copied()).collect();
    let mut system: Vec<Vec<f64>> = Vec::with_capacity(starts.len());
    for (i, s) in starts.iter().enumerate() {
        let mut row = vec![-cdf(k - s - mu)];
        row.extend(nodes.iter().zip(&weights).map(|(y, w)| -w * density(y - s + k - mu)));
        row[i] += 1.0;
        row.push(1.0);
        system.push(row);
    }
    solve(system)[0]
}

/// The smallest threshold h, to 1e-6, whose run length without a shift is at least `arl0`, 1 to 1e9.
/// Choose `arl0` as observations per day over tolerated false alarms per day.
pub fn threshold_for(k: f64, arl0: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while exact(0.0, k, high) < arl0.min(1e9) {
        (low, high) = (high, 2.0 * high);
    }
    while high - low > 1e-6 {
        let middle = 0.5 * (low + high);
        if exact(0.0, k, middle) < arl0 { low = middle } else { high = middle }
    }
    high
}

/// Nodes and weights of Gauss and Legendre's rule on [0, `length`], by Newton's method on P_n.
fn gauss_legendre(n: usize, length: f64) -> (Vec<f64>, Vec<f64>) {
    let of_node = |i: usize| {
        let mut x = cos(std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5));
        let mut slope = 1.0;
        for _ in 0..8 {
            let (mut before, mut p) = (1.0, x);
            for j in 2..=n {
                let j = j as f64;
                (before, p) = (p, ((2.0 * j - 1.0) * x * p - (j - 1.0) * before) / j);
            }
            slope = n as f64 * (x * p - before) / (x * x - 1.0);
            x -= p / slope;
        }
        (0.5 * length * (1.0 - x), length / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(of_node).unzip()
}

/// Gaussian elimination with partial pivoting; rows carry the right-hand side as their last value.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let n = rows.len();
    for c in 0..n {
        let pivot = (c..n)
            .max_by(|&a, &b| rows[a][c].abs().total_cmp(&rows[b][c].abs()))
            .expect("a square system");
        rows.swap(c, pivot);
        let (above, below) = rows.split_at_mut(c + 1);
        let top = &above[c];
        for row in below {
            let factor = row[c] / top[c];
            row[c..].iter_mut().zip(&top[c..]).for_each(|(v, t)| *v -= factor * t);
        }
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| rows[i][j] * x[j]).sum();
        x[i] = (rows[i][n] - known) / rows[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cases, close, number};
    use super::*;

    #[test]
    fn run_lengths_match_the_reference_and_the_exact_ones_to_eight_digits() {
        for case in cases("cusum_arl", 8) {
            let (i, e) = (&case["input"], &case["expected"]);
            let [mu, k, h] = ["mu", "k", "h"].map(|key| number(&i[key]));
            close(&case, siegmund(mu, k, h), &e["siegmund"]);
            let (got, want) = (exact(mu, k, h), number(&e["exact"]));
            assert!((got / want - 1.0).abs() < 1e-8, "{}: got {got}, expected {want}", case["id"]);
        }
    }

    #[test]
    fn a_false_alarm_in_931_or_19_000_observations_needs_a_threshold_of_5_or_8() {
        assert!((exact(0.0, 0.5, 5.0) - 930.9).abs() < 0.05);
        assert!((siegmund(0.0, 0.5, 8.0) - 19_100.0).abs() < 50.0);
        assert!((threshold_for(0.5, 930.887_012) - 5.0).abs() < 1e-5);
        assert!((threshold_for(0.5, 18_965.727_5) - 8.0).abs() < 1e-5);
    }
}
