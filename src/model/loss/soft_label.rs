//! Distillation from probabilities: T^2 KL(p_T || q_T), batch mean (Hinton, Vinyals and Dean 2015,
//! section 2). The factor T^2 keeps the size of the gradient when T changes.
//!
//! An API gives probabilities, not logits, so the teacher's side is softmax(log(max(p, eps)) / T).

use ndarray::{Array2, ArrayView2};

use super::{Room, by_row, rowwise};
use crate::error::{Error, Result};

/// A teacher's probabilities at temperature T.
#[derive(Clone, Debug)]
pub struct Tempered {
    temperature: f64,
    /// `[n, c]` p_T
    probs: Array2<f64>,
    /// `[n, c]` log p_T
    logs: Array2<f64>,
}

impl Tempered {
    /// Tempers probabilities `[n, c]`, raised to `eps` where they are smaller.
    pub fn new(probs: ArrayView2<'_, f64>, temperature: f64, eps: f64) -> Result<Self> {
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(Error::input(
                "temperature of soft labels",
                temperature,
                "a positive number",
            ));
        }
        if !(eps > 0.0 && eps < 1.0) {
            return Err(Error::input("eps of soft labels", eps, "between 0 and 1"));
        }
        if let Some(((row, _), p)) =
            probs.indexed_iter().find(|(_, p)| !(**p >= 0.0 && p.is_finite()))
        {
            return Err(Error::input(format!("target probability of row {row}"), p, "0 or more"));
        }
        let raised = probs.mapv(|p| libm::log(p.max(eps)) / temperature);
        let mut probs = Array2::zeros(raised.dim());
        let (_, logs) = by_row(raised.view(), |row, _, q| {
            probs.row_mut(row).iter_mut().zip(q).for_each(|(p, &q)| *p = q);
            0.0
        });
        let n = logs.nrows() as f64;
        Ok(Self { temperature, probs, logs: logs * n })
    }

    /// Loss and gradient for logits `[n, c]`.
    pub fn loss(&self, logits: ArrayView2<'_, f64>) -> (f64, Array2<f64>) {
        let tempered = logits.mapv(|z| z / self.temperature);
        by_row(tempered.view(), |row, z, q| self.row(z, q, row))
    }

    /// As [`Self::loss`] for the targets at `index`, in place, times `scale`.
    pub(super) fn rows(
        &self,
        index: &[usize],
        z: &mut [f64],
        c: usize,
        scale: f64,
        room: &mut Room,
    ) -> f64 {
        z.iter_mut().for_each(|z| *z /= self.temperature);
        rowwise(z, c, scale, &mut room.probs, |i, z, q| self.row(z, q, index[i]))
    }

    /// Loss of one row, given log softmax and softmax of the tempered logits; the gradient in place of
    /// the former.
    fn row(&self, z: &mut [f64], q: &[f64], target: usize) -> f64 {
        let t = self.temperature;
        let mut kl = 0.0;
        let targets = self.probs.row(target).into_iter().zip(self.logs.row(target));
        for ((z, &q), (&p, &log_p)) in z.iter_mut().zip(q).zip(targets) {
            // p underflows to 0 before its logarithm is infinite: 0 times a finite number.
            kl += p * (log_p - *z);
            *z = t * (q - p); // t^2 from the factor, 1/t from the division
        }
        t * t * kl
    }
}
