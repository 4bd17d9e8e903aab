//! KL over k + 1 outcomes: the k classes whose probabilities are known, and one bucket for the rest.
//!
//! A lower bound of the full KL that assumes nothing about what the API does not tell (as TRL's
//! server distillation with a tail bucket). Temperature is 1: a bucket cannot be tempered.

use ndarray::{Array2, ArrayView2};

use super::by_row;
use crate::error::{Error, Result, expect_shape};
use crate::oracle::TopK;

/// Loss and gradient for logits `[n, c]`. Known probabilities that sum to more than 1, or that leave
/// something over when every class is known, are scaled to sum to 1.
pub fn loss(logits: ArrayView2<'_, f64>, top: &TopK) -> (f64, Array2<f64>) {
    by_row(logits, |row, z, q| self::row(z, q, top, row))
}

/// Loss of one row, given its log softmax and softmax; the gradient in place of the former.
pub(super) fn row(z: &mut [f64], q: &[f64], top: &TopK, target: usize) -> f64 {
    let (ids, probs) = (top.ids.row(target), top.probs.row(target));
    let whole = ids.len() == top.classes;
    let sum = probs.sum();
    let scale = if whole || sum > 1.0 { 1.0 / sum } else { 1.0 };
    let rest = if whole { 0.0 } else { (1.0 - sum * scale).max(0.0) };
    let mut kl = 0.0;
    // Known classes leave the sum over the others.
    for (&id, &p) in ids.iter().zip(probs) {
        let p = p * scale;
        kl += if p > 0.0 { p * (libm::log(p) - z[id]) } else { 0.0 };
        z[id] = f64::NEG_INFINITY;
    }
    let log_rest = log_sum(z.iter().copied());
    kl += if rest > 0.0 { rest * (libm::log(rest) - log_rest) } else { 0.0 };
    for (z, &q) in z.iter_mut().zip(q) {
        *z = if rest > 0.0 { q - rest * libm::exp(*z - log_rest) } else { q };
    }
    for (&id, &p) in ids.iter().zip(probs) {
        z[id] = q[id] - p * scale;
    }
    kl
}

/// Refuses top-k answers that are not for `classes` classes, or not distinct classes with
/// probabilities.
pub(super) fn check(top: &TopK, classes: usize) -> Result<()> {
    let (n, k) = top.ids.dim();
    expect_shape("top-k probabilities", top.probs.shape(), &[n, k])?;
    if top.classes != classes {
        return Err(Error::input("classes of top-k targets", top.classes, classes.to_string()));
    }
    if k == 0 {
        return Err(Error::input("k of top-k targets", 0, "1 or more"));
    }
    for (row, (ids, probs)) in top.ids.rows().into_iter().zip(top.probs.rows()).enumerate() {
        let mut sorted = ids.to_vec();
        sorted.sort_unstable();
        if sorted.windows(2).any(|w| w[0] == w[1]) || sorted[k - 1] >= classes {
            let expected = format!("different classes below {classes}");
            return Err(Error::input(format!("top-k classes of row {row}"), ids, expected));
        }
        if probs.iter().any(|p| !(*p >= 0.0 && p.is_finite())) || probs.sum() <= 0.0 {
            let expected = "numbers of 0 or more, not all 0";
            return Err(Error::input(format!("top-k probabilities of row {row}"), probs, expected));
        }
    }
    Ok(())
}

/// log of the sum of exponentials; minus infinity for nothing.
pub(super) fn log_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + libm::log(logs.map(|l| libm::exp(l - largest)).sum())
}
