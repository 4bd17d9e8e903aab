//! Maximum mean discrepancy between a window of queries and benign reference queries.
//!
//! Gretton et al. 2012 (JMLR 13), equation 3 (the unbiased MMD^2_u), with the mean of Gaussian kernels
//! at {0.5, 1, 2, 4} times the median distance, as the traffic-window benchmark (arXiv 2606.05725) uses.
//! Its threshold is the 95th percentile of 1,000 benign windows against benign references.
//! Time grows with the square of the window; [`crate::campaign::detect::mmd_features`] is linear.

use libm::{exp, sqrt};
use ndarray::{ArrayView1, ArrayView2};

use super::Threshold;
use crate::seed::{Seed, below};

/// Kernel widths in units of the bandwidth.
pub const MULTIPLIERS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];

/// The unbiased MMD^2 between `x` [m, d] and `y` [n, d], at least two rows each; may be negative.
/// The kernel is the mean over `multipliers` of exp(-dist^2 / (2 (multiplier * bandwidth)^2)).
pub fn mmd2_u(
    x: ArrayView2<'_, f64>,
    y: ArrayView2<'_, f64>,
    bandwidth: f64,
    multipliers: &[f64],
) -> f64 {
    let kernel = |a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>| {
        let d2 = squared_distance(a, b);
        let of_width = |m: &f64| exp(-d2 / (2.0 * (m * bandwidth) * (m * bandwidth)));
        multipliers.iter().map(of_width).sum::<f64>() / multipliers.len() as f64
    };
    let within = |rows: ArrayView2<'_, f64>| {
        let n = rows.nrows();
        let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
        let sum: f64 = pairs.map(|(i, j)| kernel(rows.row(i), rows.row(j))).sum();
        2.0 * sum / (n * (n - 1)) as f64
    };
    let across: f64 =
        x.rows().into_iter().flat_map(|a| y.rows().into_iter().map(move |b| kernel(a, b))).sum();
    within(x) + within(y) - 2.0 * across / (x.nrows() * y.nrows()) as f64
}

/// Median of the positive distances between rows of `y` [n, d]; none where all rows are equal. Of an
/// even number the lower middle one, as the benchmark does, or their mean with `midpoint`.
pub fn median_bandwidth(y: ArrayView2<'_, f64>, midpoint: bool) -> Option<f64> {
    let pairs = (0..y.nrows()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let mut squares: Vec<f64> =
        pairs.map(|(i, j)| squared_distance(y.row(i), y.row(j))).filter(|d| *d > 0.0).collect();
    squares.sort_by(f64::total_cmp);
    let upper = sqrt(*squares.get(squares.len() / 2)?);
    let lower = sqrt(squares[(squares.len() - 1) / 2]);
    Some(if midpoint { 0.5 * (lower + upper) } else { lower })
}

/// Settings of a null distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Null {
    /// Rows of a window.
    pub window: usize,
    /// Rows of the reference, disjoint from the window.
    pub reference: usize,
    /// Windows drawn.
    pub draws: usize,
}

impl Null {
    /// The threshold that a `share` of benign windows exceed: windows and references are drawn without
    /// replacement from `pool` benign rows, and `score` gets their row numbers. None where the pool
    /// is too small or nothing is drawn.
    ///
    /// Draws overlap, so the bound in the threshold is of this pool, not of all honest traffic.
    pub fn threshold(
        &self,
        pool: usize,
        share: f64,
        seed: Seed,
        mut score: impl FnMut(&[usize], &[usize]) -> f64,
    ) -> Option<Threshold> {
        let rows = self.window + self.reference;
        if rows > pool {
            return None;
        }
        let mut rng = seed.rng();
        let mut order: Vec<usize> = (0..pool).collect();
        let mut draw = || {
            (0..rows).for_each(|i| order.swap(i, i + below(&mut rng, pool - i)));
            let (window, reference) = order[..rows].split_at(self.window);
            score(window, reference)
        };
        let scores: Vec<f64> = (0..self.draws).map(|_| draw()).collect();
        Threshold::above(&scores, share)
    }
}

fn squared_distance(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis};

    use super::super::testing::{cases, close, matrix, number, numbers};
    use super::*;
    use crate::seed::normal;

    #[test]
    fn every_reference_discrepancy_is_matched() {
        for case in cases("mmd2_u", 5) {
            let i = &case["input"];
            let (x, y) = (matrix(&i["x"]), matrix(&i["y"]));
            let multipliers = numbers(&i["multipliers"]);
            let got = mmd2_u(x.view(), y.view(), number(&i["bandwidth"]), &multipliers);
            close(&case, got, &case["expected"]["mmd2"]);
        }
    }

    #[test]
    fn every_reference_bandwidth_is_matched() {
        for case in cases("median_bandwidth", 5) {
            let y = matrix(&case["input"]["y"]);
            let of = |midpoint| median_bandwidth(y.view(), midpoint).unwrap();
            close(&case, of(false), &case["expected"]["median_lower"]);
            close(&case, of(true), &case["expected"]["median_mid"]);
        }
        assert_eq!(median_bandwidth(Array2::zeros((3, 2)).view(), false), None);
    }

    #[test]
    fn a_null_threshold_holds_its_rate_on_fresh_windows_and_lets_no_shifted_one_pass() {
        let mut rng = Seed::new(4).rng();
        let rows = Array2::from_shape_fn((1200, 3), |_| normal(&mut rng));
        let (pool, fresh) = rows.view().split_at(Axis(0), 400);
        let bandwidth = median_bandwidth(pool, false).unwrap();
        let score =
            |x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>| mmd2_u(x, y, bandwidth, &MULTIPLIERS);
        let threshold = Null { window: 20, reference: 40, draws: 200 }
            .threshold(400, 0.05, Seed::new(5), |w, r| {
                score(pool.select(Axis(0), w).view(), pool.select(Axis(0), r).view())
            })
            .unwrap();
        assert_eq!(threshold.rate, 0.05);
        let reference = pool.slice(ndarray::s![..40, ..]);
        let windows: Vec<_> = fresh.axis_chunks_iter(Axis(0), 20).collect();
        let over = |shift: f64| {
            let beyond = |w: &&ArrayView2<'_, f64>| {
                score((w.to_owned() + shift).view(), reference) > threshold.value
            };
            windows.iter().filter(beyond).count()
        };
        assert!(over(0.0) <= 8, "{} of 40 benign windows", over(0.0));
        assert_eq!(over(1.5), windows.len());
    }

    #[test]
    fn a_pool_smaller_than_window_and_reference_gives_no_threshold() {
        let null = Null { window: 5, reference: 6, draws: 10 };
        assert_eq!(null.threshold(10, 0.05, Seed::new(1), |_, _| 0.0), None);
    }
}
