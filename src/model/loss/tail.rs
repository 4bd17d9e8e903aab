//! What becomes of the classes that a top-k answer leaves out.

use ndarray::{Array2, ArrayView2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::divergence::{Divergence, Known};
use super::{bucket, by_row};
use crate::error::{Error, Result};
use crate::oracle::TopK;

/// The rule that makes a divergence of k known probabilities. They differ in value and in what they teach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tail {
    /// k + 1 outcomes on both sides, the last for all the rest: a lower bound of the full divergence.
    #[default]
    Bucket,
    /// Both sides scaled to sum to 1 over the k classes. Nothing is learnt about their sum: zero at k = 1.
    RenormaliseBoth,
    /// The teacher scaled to sum to 1 over the k classes and 0 elsewhere, the student left whole: it is taught
    /// that nothing else can happen.
    TeacherRenormalised,
    /// The terms of the k classes alone, as they are. It can be negative; only for forward KL.
    Truncated,
}

/// Buffers of a row over fewer outcomes.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    z: Vec<f64>,
    q: Vec<f64>,
    p: Vec<f64>,
    logs: Vec<f64>,
}

impl Tail {
    /// Every rule.
    pub const ALL: [Self; 4] =
        [Self::Bucket, Self::RenormaliseBoth, Self::TeacherRenormalised, Self::Truncated];

    /// Refuses a rule that cannot mean what it says with this divergence.
    pub fn fits(self, divergence: Divergence) -> Result<()> {
        let found = || format!("`{divergence:?}`");
        match self {
            Self::TeacherRenormalised if divergence.needs_support() => {
                let expected = "one that is finite where the teacher says 0, or another tail";
                Err(Error::config("divergence", found(), expected))
            }
            Self::Truncated if divergence != Divergence::ForwardKl {} => {
                Err(Error::config("divergence", found(), "forward-kl with a truncated tail"))
            }
            _ => Ok(()),
        }
    }

    /// Mean over rows and its gradient, for logits `[n, c]`, at temperature 1. Known probabilities that sum to
    /// more than 1, or that leave something over when every class is known, are scaled to sum to 1.
    pub fn loss(
        self,
        logits: ArrayView2<'_, f64>,
        top: &TopK,
        divergence: Divergence,
    ) -> Result<(f64, Array2<f64>)> {
        divergence.check()?;
        self.fits(divergence)?;
        bucket::check(top, logits.ncols())?;
        let mut outcomes = Outcomes::default();
        Ok(by_row(logits, |row, z, q| {
            let ids = top.ids.row(row).into_iter().copied();
            let probs = top.probs.row(row);
            outcomes.row(self, divergence, z, q, ids.zip(probs.iter().copied()), 0.0)
        }))
    }
}

impl Outcomes {
    /// Divergence of one row, given log softmax and softmax; the gradient in place of the former. `known` are
    /// classes and probabilities; a rest of them below `least` counts as that.
    pub(super) fn row(
        &mut self,
        tail: Tail,
        divergence: Divergence,
        z: &mut [f64],
        q: &[f64],
        known: impl Iterator<Item = (usize, f64)> + Clone,
        least: f64,
    ) -> f64 {
        let (k, sum) = known.clone().fold((0, 0.0), |(k, sum), (_, p)| (k + 1, sum + p));
        let whole = k == z.len();
        let renormalised = matches!(tail, Tail::RenormaliseBoth | Tail::TeacherRenormalised);
        let scale = if whole || sum > 1.0 || renormalised { 1.0 / sum } else { 1.0 };
        let known = known.map(|(id, p)| (id, p * scale));
        match tail {
            Tail::Truncated => sparse_forward(z, q, known),
            Tail::TeacherRenormalised if divergence == (Divergence::ForwardKl {}) => {
                sparse_forward(z, q, known)
            }
            Tail::TeacherRenormalised => {
                self.over(z.len());
                for (id, p) in known {
                    self.p[id] = p;
                    self.logs[id] = libm::log(p);
                }
                divergence.row(z, q, Known { p: &self.p, logs: &self.logs })
            }
            Tail::Bucket | Tail::RenormaliseBoth => {
                let rest = (tail == Tail::Bucket && !whole).then(|| (1.0 - sum * scale).max(least));
                self.reduced(divergence, z, known, rest)
            }
        }
    }

    /// Empties the buffers of the teacher's side, for `n` outcomes.
    fn over(&mut self, n: usize) {
        self.p.clear();
        self.p.resize(n, 0.0);
        self.logs.clear();
        self.logs.resize(n, f64::NEG_INFINITY);
    }

    /// A divergence over the known classes and, where there is a rest, one more outcome.
    fn reduced(
        &mut self,
        divergence: Divergence,
        z: &mut [f64],
        known: impl Iterator<Item = (usize, f64)> + Clone,
        rest: Option<f64>,
    ) -> f64 {
        [&mut self.z, &mut self.p, &mut self.logs, &mut self.q].into_iter().for_each(Vec::clear);
        for (id, p) in known.clone() {
            self.z.push(z[id]);
            self.p.push(p);
            z[id] = f64::NEG_INFINITY;
        }
        // The student's share of the known classes, or of the rest beside them.
        let log_rest = bucket::log_sum(z.iter().copied());
        match rest {
            Some(rest) => {
                self.z.push(log_rest);
                self.p.push(rest);
            }
            None => {
                let whole = bucket::log_sum(self.z.iter().copied());
                self.z.iter_mut().for_each(|z| *z -= whole);
            }
        }
        self.q.extend(self.z.iter().map(|&z| libm::exp(z)));
        self.logs.extend(self.p.iter().map(|&p| libm::log(p)));
        let known_row = Known { p: &self.p, logs: &self.logs };
        let loss = divergence.row(&mut self.z, &self.q, known_row);
        // What the last outcome learns is shared out among its classes.
        let last = rest.and_then(|_| self.z.last().copied()).unwrap_or(0.0);
        z.iter_mut().for_each(|z| *z = last * libm::exp(*z - log_rest));
        known.zip(&self.z).for_each(|((id, _), &grad)| z[id] = grad);
        loss
    }
}

/// Sum of p (log p - log q) over known classes, as they are, given log softmax and softmax; the gradient in place of
/// the former.
pub(super) fn sparse_forward(
    z: &mut [f64],
    q: &[f64],
    known: impl Iterator<Item = (usize, f64)> + Clone,
) -> f64 {
    let (mut loss, mut mass) = (0.0, 0.0);
    for (id, p) in known.clone().filter(|(_, p)| *p > 0.0) {
        loss += p * (libm::log(p) - z[id]);
        mass += p;
    }
    z.iter_mut().zip(q).for_each(|(z, &q)| *z = mass * q);
    known.for_each(|(id, p)| z[id] -= p);
    loss
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, arr2};

    use super::*;

    #[test]
    fn known_probabilities_beyond_one_or_short_of_it_are_scaled() {
        let z = arr2(&[[0.1, 0.2, 0.3]]);
        let of = |ids: &[usize], probs: &[f64]| {
            let ids = Array2::from_shape_vec((1, ids.len()), ids.to_vec()).unwrap();
            let probs = Array2::from_shape_vec((1, probs.len()), probs.to_vec()).unwrap();
            let top = TopK { classes: 3, ids, probs };
            Tail::Bucket.loss(z.view(), &top, Divergence::ForwardKl {}).unwrap()
        };
        for (ids, found, expected) in [
            (&[0, 1][..], &[0.75, 0.5][..], &[0.6, 0.4][..]),
            (&[2, 0, 1], &[0.5, 0.2, 0.1], &[0.625, 0.25, 0.125]),
        ] {
            let ((loss, grad), scaled) = (of(ids, found), of(ids, expected));
            assert!((loss - scaled.0).abs() < 1e-12, "{ids:?}: {loss} for {}", scaled.0);
            assert!((&grad - &scaled.1).iter().all(|d| d.abs() < 1e-12), "{ids:?}: {grad}");
        }
    }

    #[test]
    fn a_known_probability_of_zero_adds_nothing() {
        let top = TopK { classes: 3, ids: arr2(&[[0, 1]]), probs: arr2(&[[0.5, 0.0]]) };
        let z = arr2(&[[0.0, 0.0, 0.0]]);
        let (loss, _) = Tail::Truncated.loss(z.view(), &top, Divergence::ForwardKl {}).unwrap();
        assert!((loss - 0.5 * libm::log(1.5)).abs() < 1e-12, "{loss}");
    }
}
