//! To be right and useless to learn from: CE(label, z) - w T^2 KL(p_T || q_T), batch mean, where p are a
//! normal model's probabilities (Ma et al. 2021, "Undistillable: making a nasty teacher that cannot teach
//! students"). The divergence is that of `soft_label`, taken away.

use super::{Room, hard_label, rowwise, soft_label::Tempered};

/// Labels `[n]`, and a normal model's probabilities for the same rows.
#[derive(Clone, Debug)]
pub struct Nasty {
    pub labels: Vec<usize>,
    pub normal: Tempered,
    pub weight: f64,
}

impl Nasty {
    /// Loss of the targets at `index`, and the gradient in place of their logits, times `scale`.
    pub(super) fn rows(
        &self,
        index: &[usize],
        z: &mut [f64],
        c: usize,
        scale: f64,
        room: &mut Room,
    ) -> f64 {
        let mut right = std::mem::take(&mut room.right);
        right.clear();
        right.extend_from_slice(z);
        let learned = rowwise(&mut right, c, scale, &mut room.probs, |i, z, q| {
            hard_label::row(z, q, self.labels[index[i]])
        });
        let away = self.normal.rows(index, z, c, scale, room);
        z.iter_mut().zip(&right).for_each(|(z, right)| *z = right - self.weight * *z);
        room.right = right;
        learned - self.weight * away
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::super::{hard_label, softmax};
    use super::*;

    #[test]
    fn it_is_the_difference_of_its_two_parts_and_their_gradients() {
        let z = arr2(&[[0.3, -1.2, 2.0], [1.0, 0.0, -2.0]]);
        let normal = softmax(arr2(&[[2.0, 0.0, 1.0], [0.0, 0.5, 0.0]]).view());
        let normal = Tempered::new(normal.view(), 4.0, 1e-12).unwrap();
        let (ce, ce_grad) = hard_label::loss(z.view(), &[1, 0]);
        let (kl, kl_grad) = normal.loss(z.view());
        let nasty = Nasty { labels: vec![1, 0], normal, weight: 0.3 };
        let mut grad = z.clone();
        let rows = grad.as_slice_mut().unwrap();
        let loss = nasty.rows(&[0, 1], rows, 3, 0.5, &mut Room::default());
        assert!((loss - (ce - 0.3 * kl)).abs() < 1e-12);
        assert!((&grad - &(&ce_grad - &(kl_grad * 0.3))).iter().all(|d| d.abs() < 1e-12));
    }
}
