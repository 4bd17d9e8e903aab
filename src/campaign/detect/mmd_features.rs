//! MMD in linear time by random Fourier features: a window is one sum of vectors, which can be merged.
//!
//! Rahimi and Recht 2007 (NIPS 20), section 3; cosine and sine of each frequency, the form with the
//! lower variance (Sutherland and Schneider 2015). The mean of Gaussian kernels is the
//! mixture of their frequency distributions, so the features are divided evenly among the widths.
//! The error of a kernel value falls as 1/sqrt(frequencies).

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use super::Verdict;
use super::mmd::MULTIPLIERS;
use super::vector::dot;
use crate::seed::{Seed, normal};

/// The map from an embedding `[d]` to features `[2 * frequencies]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// One frequency vector `[d]` after the other.
    frequencies: Vec<f64>,
    dimensions: usize,
}

/// Sum of the features of a window's queries: an account's or a cluster's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureSum {
    sum: Vec<f64>,
    /// Queries in it.
    pub queries: u64,
}

impl Features {
    /// Draws `frequencies` vectors for embeddings of `dimensions` numbers and kernels around
    /// `bandwidth`; all positive.
    pub fn draw(dimensions: usize, frequencies: usize, bandwidth: f64, seed: Seed) -> Self {
        let mut rng = seed.rng();
        let mut draw = |i: usize| {
            let width = MULTIPLIERS[i / dimensions % MULTIPLIERS.len()] * bandwidth;
            normal(&mut rng) / width
        };
        let frequencies = (0..frequencies * dimensions).map(&mut draw).collect();
        Self { frequencies, dimensions }
    }

    /// Adds one query's embedding `[d]`.
    pub fn add(&self, state: &mut FeatureSum, embedding: ArrayView1<'_, f64>) {
        let vectors = self.frequencies.chunks_exact(self.dimensions);
        state.sum.resize(2 * vectors.len(), 0.0);
        let scale = 1.0 / libm::sqrt(vectors.len() as f64); // so that features have length 1
        for (vector, sums) in vectors.zip(state.sum.chunks_exact_mut(2)) {
            let angle: f64 = vector.iter().zip(embedding).map(|(w, x)| w * x).sum();
            sums[0] += scale * libm::cos(angle);
            sums[1] += scale * libm::sin(angle);
        }
        state.queries += 1;
    }
}

impl FeatureSum {
    /// Adds the queries of another state of the same map.
    pub fn merge(&mut self, other: &Self) {
        self.sum.resize(self.sum.len().max(other.sum.len()), 0.0);
        self.sum.iter_mut().zip(&other.sum).for_each(|(a, b)| *a += b);
        self.queries += other.queries;
    }

    /// The unbiased MMD^2 to another window; none where one has fewer than two queries.
    pub fn mmd2_u(&self, other: &Self) -> Option<f64> {
        let (m, n) = (self.queries as f64, other.queries as f64);
        if m < 2.0 || n < 2.0 {
            return None;
        }
        // Every query has k(x, x) = 1, which the unbiased form leaves out.
        let within = |s: &Self, n: f64| (dot(&s.sum, &s.sum) - n) / (n * (n - 1.0));
        Some(within(self, m) + within(other, n) - 2.0 * dot(&self.sum, &other.sum) / (m * n))
    }
}

/// A detector that judges each full window against a benign reference.
#[derive(Clone, Debug, PartialEq)]
pub struct MmdWindow {
    /// The map that reference and windows share.
    pub features: Features,
    /// Benign queries.
    pub reference: FeatureSum,
    /// MMD^2 above this alarms; set it on benign windows with [`super::mmd::Null`].
    pub threshold: f64,
    /// Queries in a window, at least 2.
    pub window: u64,
}

impl MmdWindow {
    /// Takes one query's embedding `[d]`. A full window is judged, and the next begins.
    pub fn observe(&self, state: &mut FeatureSum, embedding: ArrayView1<'_, f64>) -> Verdict {
        self.of_full_window(state, embedding)
            .map_or(Verdict::Undecided, |score| Verdict::of(score > self.threshold))
    }

    /// Takes one query's embedding `[d]`. The MMD^2 of the window that it fills; the next window then begins.
    pub fn of_full_window(
        &self,
        state: &mut FeatureSum,
        embedding: ArrayView1<'_, f64>,
    ) -> Option<f64> {
        self.features.add(state, embedding);
        if state.queries < self.window {
            return None;
        }
        std::mem::take(state).mmd2_u(&self.reference)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayView2};

    use super::super::mmd::mmd2_u;
    use super::*;

    fn cloud(n: usize, shift: f64, seed: u64) -> Array2<f64> {
        let mut rng = Seed::new(seed).rng();
        Array2::from_shape_fn((n, 3), |_| normal(&mut rng) + shift)
    }

    fn sum(features: &Features, rows: ArrayView2<'_, f64>) -> FeatureSum {
        let mut state = FeatureSum::default();
        rows.rows().into_iter().for_each(|r| features.add(&mut state, r));
        state
    }

    #[test]
    fn many_frequencies_come_near_the_kernel_sum() {
        let features = Features::draw(3, 20_000, 1.5, Seed::new(1));
        for shift in [0.0, 0.5, 2.0] {
            let (x, y) = (cloud(40, shift, 2), cloud(50, 0.0, 3));
            let exact = mmd2_u(x.view(), y.view(), 1.5, &MULTIPLIERS);
            let got = sum(&features, x.view()).mmd2_u(&sum(&features, y.view())).unwrap();
            assert!((got - exact).abs() < 0.01, "shift {shift}: {got} for {exact}");
        }
    }

    #[test]
    fn two_accounts_merged_are_one_window() {
        let features = Features::draw(3, 64, 1.0, Seed::new(1));
        let rows = cloud(10, 0.0, 2);
        let (a, b) = rows.view().split_at(ndarray::Axis(0), 4);
        let mut merged = sum(&features, a);
        merged.merge(&sum(&features, b));
        let whole = sum(&features, rows.view());
        assert_eq!(merged.queries, 10);
        assert!(merged.sum.iter().zip(&whole.sum).all(|(m, w)| (m - w).abs() < 1e-12));
    }

    #[test]
    fn a_shifted_window_alarms_when_it_is_full_and_the_next_begins_empty() {
        let features = Features::draw(3, 256, 1.5, Seed::new(1));
        let reference = sum(&features, cloud(200, 0.0, 2).view());
        let detector = MmdWindow { features, reference, threshold: 0.05, window: 30 };
        let mut state = FeatureSum::default();
        let mut judge = |rows: Array2<f64>| -> Vec<Verdict> {
            rows.rows().into_iter().map(|r| detector.observe(&mut state, r)).collect()
        };
        let (benign, attack) = (judge(cloud(30, 0.0, 3)), judge(cloud(30, 1.0, 4)));
        assert_eq!((benign[28], benign[29]), (Verdict::Undecided, Verdict::Clear));
        assert_eq!((attack[28], attack[29]), (Verdict::Undecided, Verdict::Alarm));
    }
}
