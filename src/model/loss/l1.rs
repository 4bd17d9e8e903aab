//! Sum of absolute differences between probabilities: mean over rows of sum_k |q_k - p_k|, for models that are to give
//! back rows of probabilities rather than to classify.

use ndarray::{Array2, ArrayView2};

use super::by_row;
use crate::error::{Error, Result, expect_shape};

/// The loss and its gradient, for logits and target probabilities `[n, c]`.
pub fn loss(
    logits: ArrayView2<'_, f64>,
    targets: ArrayView2<'_, f64>,
) -> Result<(f64, Array2<f64>)> {
    expect_shape("target probabilities", targets.shape(), logits.shape())?;
    check(targets)?;
    Ok(by_row(logits, |i, z, q| row(z, q, targets.row(i).iter().copied())))
}

/// Refuses targets that are no probabilities.
pub(super) fn check(targets: ArrayView2<'_, f64>) -> Result<()> {
    match targets.indexed_iter().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
        Some(((row, _), p)) => {
            Err(Error::input(format!("target probability of row {row}"), p, "0 to 1"))
        }
        None => Ok(()),
    }
}

/// Loss of one row, given its softmax; the gradient in place of its log softmax.
pub(super) fn row(z: &mut [f64], q: &[f64], p: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut mean) = (0.0, 0.0);
    for ((z, &q), p) in z.iter_mut().zip(q).zip(p) {
        let gap = q - p;
        sum += gap.abs();
        *z = if gap == 0.0 { 0.0 } else { 1.0_f64.copysign(gap) };
        mean += q * *z;
    }
    z.iter_mut().zip(q).for_each(|(z, q)| *z = q * (*z - mean));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn rows_are_compared_entry_by_entry_and_averaged() {
        // softmax of (0, ln 3) is (0.25, 0.75).
        let z = array![[0.0, libm::log(3.0)], [0.0, 0.0]];
        let (value, grad) = loss(z.view(), array![[0.5, 0.5], [0.5, 0.5]].view()).unwrap();
        assert!((value - 0.25).abs() < 1e-12); // (0.5 + 0) / 2
        // d(0.75 - 0.25)/dz = 2 q (1 - q) = 0.375 for the second entry, over two rows.
        assert!((grad[[0, 1]] - 0.1875).abs() < 1e-12 && (grad[[0, 0]] + 0.1875).abs() < 1e-12);
        assert_eq!((grad[[1, 0]], grad[[1, 1]]), (0.0, 0.0));
        assert!(loss(z.view(), array![[0.5, 1.5], [0.5, 0.5]].view()).is_err());
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let (z, p) = (array![[0.3, -0.8, 1.1, 0.2]], array![[0.1, 0.4, 0.2, 0.3]]);
        let (_, grad) = loss(z.view(), p.view()).unwrap();
        for k in 0..4 {
            let at = |d: f64| {
                let mut z = z.clone();
                z[[0, k]] += d;
                loss(z.view(), p.view()).unwrap().0
            };
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((slope - grad[[0, k]]).abs() < 1e-8, "{slope} {}", grad[[0, k]]);
        }
    }
}
