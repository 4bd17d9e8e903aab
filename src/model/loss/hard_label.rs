//! Cross-entropy to class labels, without smoothing.

use ndarray::{Array2, ArrayView2};

use super::by_row;
use crate::error::{Error, Result};

/// Mean of -log softmax(z)\[label\] and its gradient, for logits `[n, c]` and labels `[n]` below c.
pub fn loss(logits: ArrayView2<'_, f64>, labels: &[usize]) -> (f64, Array2<f64>) {
    by_row(logits, |row, z, q| self::row(z, q, labels[row]))
}

/// Loss of one row, given its log softmax and softmax; the gradient in place of the former.
pub(super) fn row(z: &mut [f64], q: &[f64], label: usize) -> f64 {
    let loss = -z[label];
    z.copy_from_slice(q);
    z[label] -= 1.0;
    loss
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
