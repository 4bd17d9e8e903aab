//! Matched temperature: a defense that answers p^(1/T) over its sum is undone exactly by p^T over its
//! sum (softmax is shift invariant, so tempering probabilities is tempering logits).

use ndarray::Array2;

use crate::student::objective::normalised;

/// p^t over its sum, row by row. Powers are taken relative to the largest entry, so that nothing
/// underflows but what is far below it.
pub(super) fn undone(probs: &Array2<f64>, t: f64) -> Array2<f64> {
    let mut rows = probs.clone();
    for mut row in rows.rows_mut() {
        let top = row.fold(0.0, |a: f64, &b| a.max(b));
        if top > 0.0 {
            row.mapv_inplace(|p| if p > 0.0 { libm::pow(p / top, t) } else { 0.0 });
        }
    }
    normalised(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_matched_temperature_is_an_exact_inverse() {
        let clean = array![[0.7, 0.2, 0.06, 0.04], [1.0, 0.0, 0.0, 0.0]];
        let warm = undone(&clean, 1.0 / 3.0);
        assert!((undone(&warm, 3.0) - clean).iter().all(|d| d.abs() < 1e-12));
    }
}
