//! Distillation from probabilities: T^2 KL(p_T || q_T), batch mean (Hinton, Vinyals and Dean 2015,
//! section 2). The factor T^2 keeps the size of the gradient when T changes.
//!
//! An API gives probabilities, not logits, so the teacher's side is softmax(log(max(p, eps)) / T).

use ndarray::{Array2, ArrayView2, Axis};

use super::{log_softmax, rowwise};
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
        let mut logs = probs.mapv(|p| libm::log(p.max(eps)) / temperature);
        for mut row in logs.rows_mut() {
            let raised = row.to_vec();
            log_softmax(&raised, row.as_slice_mut().expect("a new array is row-major"));
        }
        Ok(Self { temperature, probs: logs.mapv(libm::exp), logs })
    }

    /// The rows at `index`, in that order.
    pub fn select(&self, index: &[usize]) -> Self {
        Self {
            temperature: self.temperature,
            probs: self.probs.select(Axis(0), index),
            logs: self.logs.select(Axis(0), index),
        }
    }

    /// Loss and gradient for logits `[n, c]`.
    pub fn loss(&self, logits: ArrayView2<'_, f64>) -> (f64, Array2<f64>) {
        let t = self.temperature;
        let tempered = logits.mapv(|z| z / t);
        rowwise(tempered.view(), |row, z, grad| {
            log_softmax(z, grad);
            let mut kl = 0.0;
            let targets = self.probs.row(row).into_iter().zip(self.logs.row(row));
            for (g, (&p, &log_p)) in grad.iter_mut().zip(targets) {
                // p underflows to 0 before its logarithm is infinite: 0 times a finite number.
                kl += p * (log_p - *g);
                *g = t * (libm::exp(*g) - p); // t^2 from the factor, 1/t from the division
            }
            t * t * kl
        })
    }
}
