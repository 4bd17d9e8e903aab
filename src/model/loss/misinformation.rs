//! To be wrong: -log(1 - q_label), batch mean, the loss of the misinformation model of Kariyappa and
//! Qureshi 2020. Its least value is at probability 0 for the true class.

/// Loss of one row, given its log softmax and softmax; the gradient in place of the former.
pub(super) fn row(z: &mut [f64], q: &[f64], label: usize) -> f64 {
    // Summed without the label, so that nothing cancels where its probability is near 1.
    let others: f64 = q.iter().enumerate().filter(|(k, _)| *k != label).map(|(_, q)| q).sum();
    let others = others.max(f64::MIN_POSITIVE);
    for (k, (z, &q_k)) in z.iter_mut().zip(q).enumerate() {
        *z = if k == label { q[label] } else { -q[label] * q_k / others };
    }
    -libm::log(others)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, arr2};

    use super::super::by_row;

    fn loss(z: &Array2<f64>, labels: &[usize]) -> (f64, Array2<f64>) {
        by_row(z.view(), |i, z, q| super::row(z, q, labels[i]))
    }

    #[test]
    fn it_is_the_closed_form_and_its_gradient_is_a_finite_difference() {
        let (z, labels) = (arr2(&[[0.3, -1.2, 2.0], [4.0, 1.0, -2.0]]), [2, 0]);
        let (value, grad) = loss(&z, &labels);
        let by_hand: f64 = z
            .rows()
            .into_iter()
            .zip(labels)
            .map(|(z, label)| {
                let sum: f64 = z.iter().map(|z| z.exp()).sum();
                -(1.0 - z[label].exp() / sum).ln() / 2.0
            })
            .sum();
        assert!((value - by_hand).abs() < 1e-12);
        for ((i, k), g) in grad.indexed_iter() {
            let moved = |by: f64| {
                let mut z = z.clone();
                z[[i, k]] += by;
                loss(&z, &labels).0
            };
            let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((g - difference).abs() < 1e-8, "{g}, {difference}");
        }
    }

    #[test]
    fn a_certain_model_still_gets_a_finite_gradient() {
        let (value, grad) = loss(&arr2(&[[700.0, 0.0, -10.0]]), &[0]);
        assert!(value.is_finite() && grad.iter().all(|g| g.is_finite()) && grad[[0, 0]] > 0.99);
    }
}
