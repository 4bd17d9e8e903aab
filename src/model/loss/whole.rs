//! Losses that compare a student's logits with a teacher's: decoupled (`dkd`), of relations (`dist`) and of
//! standardised rows (`logit_std`). An API tells probabilities p, whose logits are log max(p, eps) up to a constant
//! that none of the three can see.

use ndarray::{Array2, ArrayView2, Axis};

use super::{Loss, dist, dkd, hard_label, logit_std};
use crate::error::{Error, Result};

/// A teacher's logits `[n, c]` and what is made of them.
#[derive(Clone, Debug)]
pub(in crate::model) struct Whole {
    teacher: Array2<f64>,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    /// The right classes are the teacher's most likely ones.
    Decoupled {
        right: Vec<usize>,
        weights: dkd::Weights,
        ce: f64,
        warm_up: f64,
    },
    Relations(dist::Weights),
    Standardised {
        temperature: f64,
    },
}

impl Whole {
    /// For probabilities `[n, c]`; none if `loss` is no loss of this file.
    pub(super) fn new(probs: ArrayView2<'_, f64>, loss: Loss) -> Result<Option<Self>> {
        let (eps, rule) = match loss {
            Loss::Dkd { weights, ce, warm_up, eps } => {
                let right = probs.rows().into_iter().map(crate::oracle::argmax).collect();
                (eps, Rule::Decoupled { right, weights, ce, warm_up })
            }
            Loss::Dist { weights, eps } => (eps, Rule::Relations(weights)),
            Loss::LogitStandardised { temperature, eps } => {
                (eps, Rule::Standardised { temperature })
            }
            _ => return Ok(None),
        };
        if !(eps > 0.0 && eps < 1.0) {
            return Err(Error::input("eps of a teacher's logits", eps, "between 0 and 1"));
        }
        if let Some(((row, _), p)) =
            probs.indexed_iter().find(|(_, p)| !(**p >= 0.0 && p.is_finite()))
        {
            return Err(Error::input(format!("target probability of row {row}"), p, "0 or more"));
        }
        let whole = Self { teacher: probs.mapv(|p| libm::log(p.max(eps))), rule };
        whole.value(&[], Array2::zeros((0, probs.ncols())).view(), 1.0)?; // settings are checked once
        Ok(Some(whole))
    }

    /// True if a row's loss depends on the rows beside it.
    pub(in crate::model) const fn ties_rows(&self) -> bool {
        matches!(self.rule, Rule::Relations(_))
    }

    /// As [`super::Goal::loss`]. `progress` is the share of the training that is done, 0 to 1.
    pub(super) fn loss(
        &self,
        index: &[usize],
        z: &mut [f64],
        c: usize,
        weight: f64,
        progress: f64,
    ) -> f64 {
        let logits = ArrayView2::from_shape((index.len(), c), &*z).expect("c logits a row");
        let (loss, grad) =
            self.value(index, logits, progress).expect("shapes and settings were checked before");
        let scale = index.len() as f64 / weight;
        z.iter_mut().zip(&grad).for_each(|(z, g)| *z = g * scale);
        loss * scale
    }

    /// Mean over the targets at `index`, and its gradient.
    fn value(
        &self,
        index: &[usize],
        logits: ArrayView2<'_, f64>,
        progress: f64,
    ) -> Result<(f64, Array2<f64>)> {
        let teacher = self.teacher.select(Axis(0), index);
        match &self.rule {
            Rule::Relations(weights) => dist::loss(logits, teacher.view(), *weights),
            Rule::Standardised { temperature } => {
                let deviation = logit_std::Deviation::Sample;
                logit_std::loss(logits, teacher.view(), *temperature, deviation)
            }
            Rule::Decoupled { right, weights, ce, warm_up } => {
                let right: Vec<usize> = index.iter().map(|&i| right[i]).collect();
                let (apart, slope) = dkd::loss(logits, teacher.view(), &right, *weights)?;
                let (hard, hard_slope) = hard_label::loss(logits, &right);
                let warm = if progress < *warm_up { progress / warm_up } else { 1.0 };
                Ok((ce * hard + warm * apart, hard_slope * *ce + slope * warm))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Goal, Room, Targets, softmax};
    use super::*;
    use ndarray::array;

    const DKD: Loss = Loss::Dkd {
        weights: dkd::Weights { alpha: 1.0, beta: 8.0, temperature: 4.0 },
        ce: 1.0,
        warm_up: 0.5,
        eps: 1e-9,
    };
    const DIST: Loss = Loss::Dist {
        weights: dist::Weights { beta: 1.0, gamma: 1.0, temperature: 1.0 },
        eps: 1e-9,
    };
    const STD: Loss = Loss::LogitStandardised { temperature: 2.0, eps: 1e-9 };

    fn teacher() -> Array2<f64> {
        array![[2.0, 0.5, -1.0, 0.0], [0.0, 1.0, 3.0, -0.5], [-2.0, 0.1, 0.3, 1.5]]
    }

    fn student() -> Array2<f64> {
        array![[0.3, -0.2, 0.8, 0.1], [1.0, 0.0, 0.5, -1.5], [0.0, 0.4, -0.3, 0.9]]
    }

    /// Loss and gradient of the rows at `index` as a training sees them.
    fn seen(loss: Loss, index: &[usize], weight: f64, progress: f64) -> (f64, Array2<f64>) {
        let targets = Targets::Probs(softmax(teacher().view()));
        let goal = Goal::new(&targets, loss, 4).unwrap();
        let mut z = student().select(Axis(0), index).into_raw_vec_and_offset().0;
        let mut room = Room { progress, ..Room::default() };
        let value = goal.loss(index, &[], index.len(), &mut z, weight, &mut room);
        (value, Array2::from_shape_vec((index.len(), 4), z).unwrap())
    }

    fn near(a: &(f64, Array2<f64>), b: &(f64, Array2<f64>)) -> bool {
        (a.0 - b.0).abs() < 1e-10 && (&a.1 - &b.1).iter().all(|d| d.abs() < 1e-10)
    }

    #[test]
    fn probabilities_teach_what_the_logits_behind_them_teach() {
        let (z, v, all) = (student(), teacher(), [0, 1, 2]);
        let hard = hard_label::loss(z.view(), &[0, 2, 3]);
        let Loss::Dkd { weights, .. } = DKD else { unreachable!() };
        let apart = dkd::loss(z.view(), v.view(), &[0, 2, 3], weights).unwrap();
        let sum = |share: f64| (hard.0 + share * apart.0, &hard.1 + &(&apart.1 * share));
        for (progress, share) in [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (1.0, 1.0)] {
            assert!(near(&seen(DKD, &all, 3.0, progress), &sum(share)), "{progress}");
        }
        let Loss::Dist { weights, .. } = DIST else { unreachable!() };
        let relations = dist::loss(z.view(), v.view(), weights).unwrap();
        assert!(near(&seen(DIST, &all, 3.0, 1.0), &relations));
        let sample = logit_std::Deviation::Sample;
        let standardised = logit_std::loss(z.view(), v.view(), 2.0, sample).unwrap();
        assert!(near(&seen(STD, &all, 3.0, 1.0), &standardised));
    }

    #[test]
    fn tokens_weigh_as_told_and_a_warm_up_of_nothing_is_over_at_once() {
        let (z, v, right) = (student(), teacher(), [0, 2, 3]);
        let Loss::Dkd { weights, eps, .. } = DKD else { unreachable!() };
        let hard = hard_label::loss(z.view(), &right);
        let apart = dkd::loss(z.view(), v.view(), &right, weights).unwrap();
        let found = seen(Loss::Dkd { weights, ce: 0.5, warm_up: 0.0, eps }, &[0, 1, 2], 3.0, 0.0);
        assert!(near(&found, &(0.5 * hard.0 + apart.0, &hard.1 * 0.5 + &apart.1)));
    }

    #[test]
    fn rows_of_a_batch_that_is_cut_add_up_unless_they_are_tied() {
        for (loss, tied) in [(DKD, false), (STD, false), (DIST, true)] {
            let whole = seen(loss, &[0, 1, 2], 3.0, 1.0);
            let (a, b) = (seen(loss, &[0], 3.0, 1.0), seen(loss, &[1, 2], 3.0, 1.0));
            let parts = ndarray::concatenate![Axis(0), a.1, b.1];
            assert_eq!(!near(&(a.0 + b.0, parts), &whole), tied, "{loss:?}");
        }
    }

    #[test]
    fn degenerate_rows_stay_finite() {
        let targets = Targets::Probs(array![[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]);
        for loss in [DKD, DIST, STD] {
            let goal = Goal::new(&targets, loss, 4).unwrap();
            let mut z = vec![800.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
            let value = goal.loss(&[0, 1], &[], 2, &mut z, 2.0, &mut Room::default());
            assert!(value.is_finite() && z.iter().all(|g| g.is_finite()), "{loss:?} {z:?}");
        }
    }

    #[test]
    fn wrong_settings_are_refused_before_the_first_step() {
        let probs = Targets::Probs(array![[0.5, 0.5]]);
        let weights = dist::Weights { beta: 1.0, gamma: 1.0, temperature: 0.0 };
        assert!(Goal::new(&probs, Loss::Dist { weights, eps: 1e-6 }, 2).is_err());
        let cold = Loss::LogitStandardised { temperature: 1.0, eps: 0.0 };
        assert!(Goal::new(&probs, cold, 2).is_err());
        assert!(Goal::new(&Targets::Labels(vec![0]), DIST, 2).is_err());
    }
}
