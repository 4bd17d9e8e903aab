//! How strange an input is to a model: the scores of gates against rows from elsewhere. More is stranger.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::Model;

/// Part of the mean variance that is added to every variance, so that directions in which no row varies
/// do not decide alone.
const RIDGE: f64 = 1e-3;

/// Which score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// One less the largest probability (Hendrycks and Gimpel 2017).
    #[default]
    Msp,
    /// Entropy of the probabilities, nats.
    Entropy,
    /// -log sum exp of the logits (Liu et al. 2020, T = 1), in deviations from the mean of
    /// the rows that it was fitted on: two models of the same rows differ in the size of their logits.
    Energy,
    /// Squared Mahalanobis distance of the features to the nearest class mean, with one covariance for all
    /// classes (Lee et al. 2018; the last hidden layer alone, no input is moved).
    Mahalanobis,
}

/// A score of one model, with what it was fitted on.
pub struct Scorer {
    score: Score,
    model: Arc<Model>,
    /// For the Mahalanobis distance only.
    classes: Option<Classes>,
    /// Mean and deviation that the energy is told in; 0 and 1 for other scores.
    unit: (f64, f64),
}

impl Scorer {
    /// The score of `model`; class means and covariance are those of `inputs` `[n, d]`, which are of the
    /// classes `labels` `[n]`.
    pub fn fit(
        score: Score,
        model: Arc<Model>,
        inputs: ArrayView2<'_, f32>,
        labels: &[usize],
    ) -> Result<Self> {
        let classes = match score {
            Score::Mahalanobis => Some(Classes::fit(&model.features(inputs)?, labels)?),
            _ => None,
        };
        let mut scorer = Self { score, model, classes, unit: (0.0, 1.0) };
        if score == Score::Energy {
            let own = scorer.of(inputs)?;
            let n = own.len().max(1) as f64;
            let mean = own.iter().sum::<f64>() / n;
            let variance = own.iter().map(|e| (e - mean) * (e - mean)).sum::<f64>() / n;
            scorer.unit = (mean, libm::sqrt(variance).max(1e-12));
        }
        Ok(scorer)
    }

    /// Scores `[n]` of inputs `[n, d]`.
    pub fn of(&self, inputs: ArrayView2<'_, f32>) -> Result<Vec<f64>> {
        let by_row = |rows: Array2<f64>, f: fn(&[f64]) -> f64| {
            rows.rows().into_iter().map(|row| f(&row.to_vec())).collect()
        };
        Ok(match (self.score, &self.classes) {
            (Score::Msp, _) => {
                by_row(self.model.probs(inputs)?, |p| 1.0 - p.iter().copied().fold(0.0, f64::max))
            }
            (Score::Entropy, _) => by_row(self.model.probs(inputs)?, entropy),
            (Score::Energy, _) => {
                let raw: Vec<f64> = by_row(self.model.logits(inputs)?.mapv(f64::from), energy);
                raw.into_iter().map(|e| (e - self.unit.0) / self.unit.1).collect()
            }
            (Score::Mahalanobis, Some(classes)) => {
                let features = self.model.features(inputs)?.mapv(f64::from);
                features.rows().into_iter().map(|f| classes.distance(&f.to_vec())).collect()
            }
            (Score::Mahalanobis, None) => {
                return Err(Error::Internal("a Mahalanobis distance to no classes".into()));
            }
        })
    }
}

/// Entropy of a row of probabilities, nats.
pub fn entropy(p: &[f64]) -> f64 {
    p.iter().filter(|p| **p > 0.0).map(|p| -p * libm::log(*p)).sum()
}

fn energy(z: &[f64]) -> f64 {
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    -(top + libm::log(z.iter().map(|z| libm::exp(z - top)).sum()))
}

/// Class means in coordinates in which the shared covariance is the identity.
struct Classes {
    /// Cholesky factor of the covariance, rows of the lower triangle.
    factor: Vec<Vec<f64>>,
    means: Vec<Vec<f64>>,
}

impl Classes {
    /// Of features `[n, h]` with classes `[n]`; classes without rows have no mean.
    fn fit(features: &Array2<f32>, labels: &[usize]) -> Result<Self> {
        let features = features.mapv(f64::from);
        let (n, h) = features.dim();
        let mut means: Vec<Array1<f64>> = Vec::new();
        let mut place = vec![None; labels.iter().max().map_or(0, |m| m + 1)];
        for (class, place) in place.iter_mut().enumerate() {
            let index: Vec<usize> = (0..n).filter(|&i| labels[i] == class).collect();
            if let Some(mean) = features.select(Axis(0), &index).mean_axis(Axis(0)) {
                *place = Some(means.len());
                means.push(mean);
            }
        }
        let mut covariance = Array2::<f64>::zeros((h, h));
        for (row, &label) in features.rows().into_iter().zip(labels) {
            let mean = &means[place[label].expect("a class with a row has a mean")];
            let from = &row - mean;
            for i in 0..h {
                for j in 0..=i {
                    covariance[[i, j]] += from[i] * from[j] / n as f64;
                }
            }
        }
        let mean_variance = covariance.diag().sum() / h as f64;
        covariance.diag_mut().mapv_inplace(|v| v + RIDGE * mean_variance + 1e-12);
        let factor = cholesky(&covariance);
        let means = means.iter().map(|m| solve(&factor, &m.to_vec())).collect();
        Ok(Self { factor, means })
    }

    /// Squared distance of features `[h]` to the nearest mean.
    fn distance(&self, features: &[f64]) -> f64 {
        let at = solve(&self.factor, features);
        let to =
            |mean: &Vec<f64>| mean.iter().zip(&at).map(|(m, x)| (m - x) * (m - x)).sum::<f64>();
        self.means.iter().map(to).fold(f64::INFINITY, f64::min)
    }
}

/// L with L L^T = the positive definite matrix whose lower triangle is given.
fn cholesky(a: &Array2<f64>) -> Vec<Vec<f64>> {
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(a.nrows());
    for i in 0..a.nrows() {
        let mut row = Vec::with_capacity(i + 1);
        for j in 0..=i {
            let before: f64 =
                (0..j).map(|k| row[k] * if i == j { row[k] } else { factor[j][k] }).sum();
            let rest: f64 = a[[i, j]] - before;
            row.push(if i == j { libm::sqrt(rest.max(1e-12)) } else { rest / factor[j][j] });
        }
        factor.push(row);
    }
    factor
}

/// x with L x = b.
fn solve(factor: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut x: Vec<f64> = Vec::with_capacity(b.len());
    for (row, b) in factor.iter().zip(b) {
        let before: f64 = row.iter().zip(&x).map(|(l, x)| l * x).sum();
        x.push((b - before) / row[x.len()]);
    }
    x
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::super::workshop::testing::small;
    use super::*;

    #[test]
    fn a_cholesky_factor_gives_its_matrix_back() {
        let a = arr2(&[[4.0, 0.0, 0.0], [2.0, 5.0, 0.0], [-2.0, 1.0, 6.0]]);
        let l = cholesky(&a);
        for i in 0..3 {
            for j in 0..=i {
                let product: f64 = (0..=j).map(|k| l[i][k] * l[j][k]).sum();
                assert!((product - a[[i, j]]).abs() < 1e-12, "{i} {j}");
            }
        }
        let x = solve(&l, &[2.0, 3.0, 1.0]);
        assert!((l[2][0] * x[0] + l[2][1] * x[1] + l[2][2] * x[2] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_distance_is_in_deviations_of_the_class() {
        // One class around (0, 0) with variances 4 and 1/4, no covariance: (2, 0) and (0, 1/2) are one away.
        let features = arr2(&[[2.0_f32, 0.5], [2.0, -0.5], [-2.0, 0.5], [-2.0, -0.5]]);
        let classes = Classes::fit(&features, &[0; 4]).unwrap();
        let ridge = RIDGE * 2.125;
        assert!((classes.distance(&[2.0, 0.0]) - 4.0 / (4.0 + ridge)).abs() < 1e-9);
        assert!((classes.distance(&[0.0, 0.5]) - 0.25 / (0.25 + ridge)).abs() < 1e-9);
    }

    #[test]
    fn the_distance_is_to_the_nearest_class_by_the_covariance_that_all_share() {
        // Around (0, 0) and (10, 0), of classes 0 and 2: variances 2 and 1, covariance 1, whose inverse is
        // [[1, -1], [-1, 2]].
        let around = [[2.0, 1.0], [-2.0, -1.0], [0.0, 1.0], [0.0, -1.0]];
        let features = Array2::from_shape_fn((8, 2), |(i, j)| {
            around[i % 4][j] + if i > 3 && j == 0 { 10.0_f32 } else { 0.0 }
        });
        let classes = Classes::fit(&features, &[0, 0, 0, 0, 2, 2, 2, 2]).unwrap();
        for (at, by_hand) in
            [([1.0, 0.0], 1.0), ([0.0, 1.0], 2.0), ([1.0, 1.0], 1.0), ([11.0, 2.0], 5.0)]
        {
            let found = classes.distance(&at);
            assert!((found - by_hand).abs() < 0.02, "{at:?}: {found}");
        }
    }

    #[test]
    fn energies_are_told_in_deviations_of_the_rows_fitted_and_other_scores_as_they_are() {
        let shop = small();
        let of = |score| {
            let model = Arc::clone(shop.teacher().unwrap());
            let scorer = Scorer::fit(score, model, shop.inputs.view(), &shop.labels).unwrap();
            scorer.of(shop.inputs.view()).unwrap()
        };
        let own = of(Score::Energy);
        let mean = own.iter().sum::<f64>() / 300.0;
        let variance = own.iter().map(|e| e * e).sum::<f64>() / 300.0;
        assert!(mean.abs() < 1e-9 && (variance - 1.0).abs() < 1e-9, "{mean} {variance}");
        let probs = shop.teacher().unwrap().probs(shop.inputs.view()).unwrap();
        let by_hand = probs.rows().into_iter().map(|p| 1.0 - p.fold(0.0, |a: f64, &b| a.max(b)));
        assert!(of(Score::Msp).iter().zip(by_hand).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn simple_scores_are_their_formulas() {
        assert!((entropy(&[0.5, 0.5, 0.0]) - std::f64::consts::LN_2).abs() < 1e-15);
        assert!((energy(&[0.0, 0.0]) + std::f64::consts::LN_2).abs() < 1e-15);
        assert!((energy(&[1000.0, 0.0]) + 1000.0).abs() < 1e-9);
    }

    #[test]
    fn rows_from_elsewhere_are_stranger_than_the_teachers_own() {
        let shop = small();
        // The middle of the five classes: between all of them.
        let elsewhere = Array2::from_elem((1, 2), 0.5_f32);
        for score in [Score::Msp, Score::Entropy, Score::Energy, Score::Mahalanobis] {
            let model = Arc::clone(shop.teacher.as_ref().unwrap());
            let scorer = Scorer::fit(score, model, shop.inputs.view(), &shop.labels).unwrap();
            let mut own = scorer.of(shop.inputs.view()).unwrap();
            own.sort_by(f64::total_cmp);
            let strange = scorer.of(elsewhere.view()).unwrap()[0];
            assert!(strange > own[150], "{score:?}: {strange} and a median of {}", own[150]);
        }
    }
}
