//! Slopes through a teacher that only answers (Truong et al. 2021, section 3.3): L(x + eps u) - L(x) over eps, along
//! random directions u of the unit sphere, times the number of features and averaged over directions. L is the
//! disagreement of teacher and student: the sum over classes of |log p - log q|, each centred, which is what DFME can
//! make of probabilities (section 3.4).

use ndarray::{Array2, ArrayView1, Axis, concatenate};

use crate::error::{Error, Result};
use crate::model::Model;
use crate::seed::{Seed, normal};

/// Smallest probability whose logarithm counts.
const LEAST: f64 = 1e-7;

/// Questions of a generator's step.
pub(super) struct Differences {
    /// `[n, latent]` what the generator was given, and `[n, d]` what it made of it.
    latent: Array2<f32>,
    made: Array2<f32>,
    /// `[n, d]` each: unit vectors.
    directions: Vec<Array2<f64>>,
    eps: f64,
    range: (f32, f32),
}

/// How steep the activation is: a fresh generator's numbers are of size 1 or less, and make the whole range.
const STEEP: f64 = 4.0;

/// Rows `[n, d]` of the valid range from the generator's numbers: low + (high - low) sigmoid.
pub(super) fn activated(made: &Array2<f32>, range: (f32, f32)) -> Array2<f32> {
    let (low, high) = (f64::from(range.0), f64::from(range.1));
    made.mapv(|g| {
        let share = 1.0 / (1.0 + libm::exp(-STEEP * f64::from(g)));
        ((low + (high - low) * share) as f32).clamp(range.0, range.1)
    })
}

impl Differences {
    pub(super) fn new(
        latent: Array2<f32>,
        made: Array2<f32>,
        directions: usize,
        eps: f64,
        range: (f32, f32),
        seed: Seed,
    ) -> Self {
        let mut rng = seed.rng();
        let mut direction = |_| {
            let mut u = Array2::from_shape_fn(made.dim(), |_| normal(&mut rng));
            for mut row in u.rows_mut() {
                let length = libm::sqrt(row.dot(&row)).max(f64::MIN_POSITIVE);
                row /= length;
            }
            u
        };
        let directions = (0..directions).map(&mut direction).collect();
        Self { latent, made, directions, eps, range }
    }

    /// Points of which slopes are taken; their own rows come first.
    pub(super) fn points(&self) -> usize {
        self.made.nrows()
    }

    /// All rows to ask `[n (1 + directions), d]`: the points, then the points moved along each direction.
    pub(super) fn rows(&self) -> Array2<f32> {
        let mut all = vec![activated(&self.made, self.range)];
        for u in &self.directions {
            let moved = &self.made + &u.mapv(|u| (self.eps * u) as f32);
            all.push(activated(&moved, self.range));
        }
        let views: Vec<_> = all.iter().map(|rows| rows.view()).collect();
        concatenate(Axis(0), &views).expect("parts of the same width")
    }

    /// Slopes `[m, d]` of the disagreement with `own` before the activation, and the generator's inputs there, for the
    /// points that were answered with all their differences; none if there are none. `answered[i]` is the place of
    /// row i among the answers `probs`.
    pub(super) fn slopes(
        &self,
        own: &Model,
        answered: &[Option<usize>],
        probs: &Array2<f64>,
    ) -> Result<Option<(Array2<f32>, Array2<f64>)>> {
        let n = self.points();
        if answered.len() != n * (1 + self.directions.len()) {
            return Err(Error::Internal("other outcomes than rows asked".into()));
        }
        let whole = |i: &usize| (0..=self.directions.len()).all(|k| answered[k * n + i].is_some());
        let kept: Vec<usize> = (0..n).filter(whole).collect();
        if kept.is_empty() {
            return Ok(None);
        }
        let q = own.probs(self.rows().view())?;
        let apart = |row: usize| match answered[row] {
            Some(place) => disagreement(probs.row(place), q.row(row)),
            None => 0.0,
        };
        let d = self.made.ncols();
        let mut slopes = Array2::<f64>::zeros((kept.len(), d));
        let share = d as f64 / self.directions.len() as f64;
        for (&i, mut slope) in kept.iter().zip(slopes.rows_mut()) {
            let here = apart(i);
            for (k, u) in self.directions.iter().enumerate() {
                let rise = (apart((k + 1) * n + i) - here) / self.eps;
                slope.scaled_add(share * rise, &u.row(i));
            }
        }
        Ok(Some((self.latent.select(Axis(0), &kept), slopes)))
    }
}

/// Sum of |log p - log q| over classes, each log less its mean.
fn disagreement(p: ArrayView1<'_, f64>, q: ArrayView1<'_, f64>) -> f64 {
    let centred = |row: ArrayView1<'_, f64>| {
        let logs = row.mapv(|p| libm::log(p.max(LEAST)));
        let mean = logs.sum() / logs.len() as f64;
        logs - mean
    };
    (centred(p) - centred(q)).iter().map(|gap| gap.abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arch, Device, Init, InputShape};
    use ndarray::array;

    fn model(seed: u64) -> Model {
        let shape = InputShape::Flat(3);
        Model::init_by(
            Init::LecunNormal,
            &Arch::Logistic {},
            shape,
            3,
            Device::Cpu,
            Seed::new(seed),
        )
        .unwrap()
    }

    #[test]
    fn equal_rows_agree_and_scaled_ones_do_too() {
        let (p, same) = (array![0.5, 0.3, 0.2], array![0.25, 0.15, 0.1]);
        assert!(disagreement(p.view(), same.view()) < 1e-12);
        // log(0.5) - log(0.25) on one class of two, centred: +-ln(3) / 2 each.
        let (a, b) = (array![0.75, 0.25], array![0.5, 0.5]);
        assert!((disagreement(a.view(), b.view()) - libm::log(3.0)).abs() < 1e-12);
        assert!(disagreement(array![1.0, 0.0].view(), b.view()).is_finite());
    }

    #[test]
    fn many_directions_give_the_slope_itself() {
        let (own, teacher) = (model(1), model(2));
        let made = array![[0.3_f32, -0.4, 0.8]];
        let latent = array![[1.0_f32]];
        let asked = Differences::new(latent, made.clone(), 6000, 1e-2, (0.0, 1.0), Seed::new(3));
        let rows = asked.rows();
        let probs = teacher.probs(rows.view()).unwrap();
        let answered: Vec<Option<usize>> = (0..rows.nrows()).map(Some).collect();
        let (_, slopes) = asked.slopes(&own, &answered, &probs).unwrap().unwrap();
        let at = |j: usize, by: f32| {
            let mut made = made.clone();
            made[[0, j]] += by;
            let x = activated(&made, (0.0, 1.0));
            let (p, q) = (teacher.probs(x.view()).unwrap(), own.probs(x.view()).unwrap());
            disagreement(p.row(0), q.row(0))
        };
        let truth: Vec<f64> = (0..3).map(|j| (at(j, 0.01) - at(j, -0.01)) / 0.02).collect();
        let length = truth.iter().map(|t| t * t).sum::<f64>().sqrt();
        for (slope, truth) in slopes.row(0).iter().zip(&truth) {
            assert!((slope - truth).abs() < 0.1 * length, "{slopes} {truth:?}");
        }
    }

    #[test]
    fn points_whose_differences_were_refused_teach_nothing() {
        let (own, teacher) = (model(1), model(2));
        let made = array![[0.3_f32, -0.4, 0.8], [0.0, 0.1, 0.2]];
        let latent = array![[1.0_f32], [2.0]];
        let asked = Differences::new(latent, made, 1, 1e-3, (0.0, 1.0), Seed::new(3));
        let rows = asked.rows();
        assert_eq!((rows.nrows(), asked.points()), (4, 2));
        let probs = teacher.probs(rows.view()).unwrap();
        let some = [Some(0), Some(1), None, Some(2)];
        let (latent, slopes) = asked.slopes(&own, &some, &probs).unwrap().unwrap();
        assert_eq!((latent, slopes.nrows()), (array![[2.0]], 1));
        assert!(asked.slopes(&own, &[None; 4], &probs).unwrap().is_none());
    }
}
