//! Made-up clean rows and what the known defense makes of them: what recoveries learn from (Tang et al. 2024,
//! ModelGuard, section 7.1).

use super::Simulator;
use crate::oracle::argmax;
use crate::seed::{Seed, below, normal, uniform};

/// Pairs of rows, clean and defended.
#[derive(Default)]
pub(super) struct Pairs {
    pub clean: Vec<Vec<f64>>,
    pub defended: Vec<Vec<f64>>,
}

impl Pairs {
    /// These clean rows, each defended.
    pub(super) fn of(clean: Vec<Vec<f64>>, defend: &Simulator) -> Self {
        let defended = clean.iter().map(|row| {
            let mut out = vec![0.0; row.len()];
            defend(row, &mut out);
            out
        });
        Self { defended: defended.collect(), clean }
    }

    /// True if the defense left the most likely class of every row as it was.
    pub(super) fn keep_top1(&self) -> bool {
        self.clean.iter().zip(&self.defended).all(|(clean, out)| argmax(clean) == argmax(out))
    }
}

/// `n` rows around the answers received: y ~ Dirichlet(`concentration` K answer), of a random answer each.
pub(super) fn around(
    answers: &ndarray::Array2<f64>,
    n: usize,
    concentration: f64,
    seed: Seed,
) -> Vec<Vec<f64>> {
    let mut rng = seed.rng();
    let scale = concentration * answers.ncols() as f64;
    (0..n)
        .map(|_| {
            let answer = answers.row(below(&mut rng, answers.nrows()));
            dirichlet(answer.iter().map(|p| scale * p), &mut rng)
        })
        .collect()
}

/// A draw from a Dirichlet distribution. An entry of (almost) no weight is (almost) surely nothing.
fn dirichlet(weights: impl Iterator<Item = f64>, rng: &mut impl rand::Rng) -> Vec<f64> {
    let mut row: Vec<f64> = weights.map(|w| gamma(w.max(1e-3), rng)).collect();
    let sum: f64 = row.iter().sum();
    if sum > 0.0 {
        row.iter_mut().for_each(|p| *p /= sum);
    } else {
        let even = 1.0 / row.len() as f64;
        row.fill(even);
    }
    row
}

/// A draw from a gamma distribution of this shape and scale 1 (Marsaglia and Tsang 2000).
fn gamma(shape: f64, rng: &mut impl rand::Rng) -> f64 {
    if shape < 1.0 {
        let boost = libm::pow(1.0 - uniform(rng), 1.0 / shape);
        return gamma(shape + 1.0, rng) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = normal(rng);
        let v = libm::pow(1.0 + c * x, 3.0);
        if v <= 0.0 {
            continue;
        }
        let u = 1.0 - uniform(rng);
        if libm::log(u) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn gamma_draws_have_the_mean_and_variance_of_their_shape() {
        let mut rng = Seed::new(1).rng();
        for shape in [0.3, 1.0, 4.5] {
            let draws: Vec<f64> = (0..20_000).map(|_| gamma(shape, &mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / 20_000.0;
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
            assert!((mean / shape - 1.0).abs() < 0.05, "{shape}: mean {mean}");
            assert!((variance / shape - 1.0).abs() < 0.1, "{shape}: variance {variance}");
        }
    }

    #[test]
    fn rows_lie_around_the_answers() {
        let answers = array![[0.7, 0.3, 0.0]];
        let rows = around(&answers, 5000, 8.0, Seed::new(2));
        let mean = |k: usize| rows.iter().map(|row| row[k]).sum::<f64>() / 5000.0;
        assert!((mean(0) - 0.7).abs() < 0.01 && mean(2) < 0.001, "{} {}", mean(0), mean(2));
        // Variance of an entry of Dirichlet(a): m (1 - m) / (a + 1), a = 24.
        let variance = rows.iter().map(|row| (row[0] - 0.7).powi(2)).sum::<f64>() / 5000.0;
        assert!((variance - 0.21 / 25.0).abs() < 0.001, "{variance}");
        assert!(rows.iter().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
        assert_eq!(rows, around(&answers, 5000, 8.0, Seed::new(2)));
    }
}
