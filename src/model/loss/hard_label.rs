//! Cross-entropy to class labels, without smoothing.

use ndarray::{Array2, ArrayView2};

use super::{log_softmax, rowwise};
use crate::error::{Error, Result};

/// Mean of -log softmax(z)\[label\] and its gradient, for logits `[n, c]` and labels `[n]` below c.
pub fn loss(logits: ArrayView2<'_, f64>, labels: &[usize]) -> (f64, Array2<f64>) {
    rowwise(logits, |row, z, grad| {
        log_softmax(z, grad);
        let loss = -grad[labels[row]];
        grad.iter_mut().for_each(|g| *g = libm::exp(*g));
        grad[labels[row]] -= 1.0;
        loss
    })
}

/// Refuses a label that names no class.
pub(crate) fn check(labels: &[usize], classes: usize) -> Result<()> {
    match labels.iter().enumerate().find(|&(_, &label)| label >= classes) {
        Some((row, label)) => {
            Err(Error::input(format!("label of row {row}"), label, format!("below {classes}")))
        }
        None => Ok(()),
    }
}
