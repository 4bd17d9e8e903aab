//! To be right, and to mix the inner answers to two groups of rows: CE(label, z) - weight x sum over hidden layers of
//! the soft-nearest-neighbour loss of the groups (Jia et al. 2021, "Entangled watermarks as a defense against model
//! extraction", section 4.2). Rows of a batch are tied together, so a batch is never cut.
//!
//! The soft-nearest-neighbour loss (Frosst, Papernot and Hinton 2019, equation 1) of rows x_1, ..., x_n is the mean
//! of
//!
//!   -log(eps + sum_{j != i, j in i's group} e^(-d_ij / T) / sum_{j != i} e^(-d_ij / T)),  d_ij = |x_i - x_j|^2.
//!
//! It is 0 where groups lie apart and grows as they mix. eps = 1e-5 as in the released code of the watermark: without
//! it the loss has no upper bound, and here it is to grow.

use super::{Room, hard_label, rowwise};

/// What keeps a row's share away from 0.
pub const EPS: f64 = 1e-5;

/// What a batch is to learn, read from the outputs of a network that tells its hidden layers.
#[derive(Clone, Debug)]
pub(in crate::model) struct Entangled {
    /// `[n]` classes.
    pub labels: Vec<usize>,
    /// `[n]` groups.
    pub marked: Vec<bool>,
    /// Numbers of each hidden layer; logits follow them.
    pub hidden: Vec<usize>,
    /// 0 for rows that are only to be right about.
    pub weight: f64,
    /// T, above 0.
    pub temperature: f64,
}

impl Entangled {
    /// As [`super::Goal::loss`], for rows of `c` outputs.
    pub(super) fn loss(
        &self,
        index: &[usize],
        z: &mut [f64],
        c: usize,
        weight: f64,
        room: &mut Room,
    ) -> f64 {
        let told: usize = self.hidden.iter().sum();
        let mut logits: Vec<f64> =
            z.chunks_exact(c).flat_map(|row| &row[told..]).copied().collect();
        let right = rowwise(&mut logits, c - told, 1.0 / weight, &mut room.probs, |i, z, q| {
            hard_label::row(z, q, self.labels[index[i]])
        });
        let marked: Vec<bool> = index.iter().map(|&i| self.marked[i]).collect();
        let (mut mixed, mut from) = (0.0, 0);
        for &width in &self.hidden {
            let columns = from..from + width;
            let inside = z.chunks_exact(c).flat_map(|row| &row[columns.clone()]).copied();
            let (loss, grad) = match self.weight > 0.0 {
                true => soft_nearest(&inside.collect::<Vec<_>>(), &marked, self.temperature),
                false => (0.0, vec![0.0; width * index.len()]),
            };
            // A mean over these rows, as part of a sum over `weight` of them.
            let scale = self.weight * index.len() as f64 / weight;
            mixed += scale * loss;
            for (row, grad) in z.chunks_exact_mut(c).zip(grad.chunks_exact(width)) {
                row[columns.clone()].iter_mut().zip(grad).for_each(|(z, g)| *z = -scale * g);
            }
            from += width;
        }
        for (row, logits) in z.chunks_exact_mut(c).zip(logits.chunks_exact(c - told)) {
            row[told..].copy_from_slice(logits);
        }
        right - mixed
    }
}

/// The soft-nearest-neighbour loss of rows x `[n, h]` in two groups `[n]` at temperature `t`, and its gradient
/// `[n, h]`. Rows alone in their group give -log eps and no gradient; a row alone in all gives 0.
pub(in crate::model) fn soft_nearest(x: &[f64], group: &[bool], t: f64) -> (f64, Vec<f64>) {
    let n = group.len();
    let h = x.len() / n.max(1);
    let mut grad = vec![0.0; x.len()];
    if n < 2 {
        return (0.0, grad);
    }
    let row = |i: usize| &x[i * h..(i + 1) * h];
    let distance = |i: usize, j: usize| -> f64 {
        row(i).iter().zip(row(j)).map(|(a, b)| (a - b) * (a - b)).sum()
    };
    let (mut loss, mut near) = (0.0, vec![0.0; n]);
    for i in 0..n {
        (0..n).for_each(|j| near[j] = distance(i, j));
        let least = (0..n).filter(|&j| j != i).fold(f64::INFINITY, |least, j| least.min(near[j]));
        near.iter_mut().for_each(|d| *d = libm::exp((least - *d) / t));
        near[i] = 0.0;
        let all: f64 = near.iter().sum();
        near.iter_mut().for_each(|p| *p /= all);
        let same: f64 = (0..n).filter(|&j| group[j] == group[i]).map(|j| near[j]).sum();
        loss -= libm::log(EPS + same) / n as f64;
        for j in (0..n).filter(|&j| j != i) {
            let own = f64::from(u8::from(group[j] == group[i]));
            // The slope in d_ij, times that of d_ij along x_i - x_j.
            let slope = 2.0 * near[j] * (own - same) / (t * (EPS + same) * n as f64);
            for k in 0..h {
                let apart = slope * (x[i * h + k] - x[j * h + k]);
                grad[i * h + k] += apart;
                grad[j * h + k] -= apart;
            }
        }
    }
    (loss, grad)
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;
    use crate::seed::{Seed, normal};

    #[test]
    fn the_loss_of_three_points_is_that_by_hand() {
        // Points 0, 1 and 3 on a line, the first two of one group, T = 2: squared distances 1, 9 and 4.
        let (x, group) = ([0.0, 1.0, 3.0], [true, true, false]);
        let e = |d: f64| libm::exp(-d / 2.0);
        let first = e(1.0) / (e(1.0) + e(9.0));
        let second = e(1.0) / (e(1.0) + e(4.0));
        let expected = -(libm::log(EPS + first) + libm::log(EPS + second) + libm::log(EPS)) / 3.0;
        let (loss, _) = soft_nearest(&x, &group, 2.0);
        assert!((loss - expected).abs() < 1e-12, "{loss}, expected {expected}");
        assert_eq!(soft_nearest(&[5.0, 6.0], &[true], 1.0), (0.0, vec![0.0; 2]));
    }

    #[test]
    fn two_rows_are_each_others_neighbour_however_far_apart_they_are() {
        for (group, share) in [([true, true], 1.0), ([true, false], 0.0)] {
            let (loss, grad) = soft_nearest(&[0.0, 1e3], &group, 1.0);
            assert!((loss + libm::log(EPS + share)).abs() < 1e-12, "{group:?}: {loss}");
            assert_eq!(grad, [0.0; 2]);
        }
    }

    #[test]
    fn groups_that_lie_apart_lose_nothing_and_mixed_ones_lose_the_log_of_two() {
        // Four points of each group, all of a group in one place.
        let group = [true, true, true, true, false, false, false, false];
        let at = |far: f64| -> Vec<f64> { (0..8).map(|i| if i < 4 { 0.0 } else { far }).collect() };
        let apart = soft_nearest(&at(100.0), &group, 1.0).0;
        assert!((apart + libm::log1p(EPS)).abs() < 1e-12, "{apart}");
        // In one place: 3 of 7 neighbours are of the own group.
        let mixed = soft_nearest(&at(0.0), &group, 1.0).0;
        assert!((mixed + libm::log(EPS + 3.0 / 7.0)).abs() < 1e-12, "{mixed}");
    }

    #[test]
    fn its_gradient_is_its_slope() {
        let mut rng = Seed::new(1).rng();
        let x: Vec<f64> = (0..6 * 3).map(|_| normal(&mut rng)).collect();
        let group = [true, false, true, false, false, true];
        for t in [0.3, 1.0, 20.0] {
            let (_, grad) = soft_nearest(&x, &group, t);
            for k in 0..x.len() {
                let at = |h: f64| {
                    let mut moved = x.clone();
                    moved[k] += h;
                    soft_nearest(&moved, &group, t).0
                };
                let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((slope - grad[k]).abs() < 1e-7, "T {t}, {k}: {slope}, {}", grad[k]);
            }
        }
    }

    /// Two hidden layers of 2 and 3 numbers, then 2 logits; four rows.
    fn goal(weight: f64) -> Entangled {
        let (labels, marked) = (vec![1, 1, 0, 1], vec![true, false, false, true]);
        Entangled { labels, marked, hidden: vec![2, 3], weight, temperature: 1.5 }
    }

    fn outputs() -> Vec<f64> {
        let mut rng = Seed::new(2).rng();
        (0..4 * 7).map(|_| normal(&mut rng)).collect()
    }

    fn of(goal: &Entangled, z: &[f64]) -> (f64, Vec<f64>) {
        let mut z = z.to_vec();
        let loss = goal.loss(&[0, 1, 2, 3], &mut z, 7, 4.0, &mut Room::default());
        (loss, z)
    }

    #[test]
    fn what_is_told_of_hidden_layers_counts_for_the_groups_alone_and_logits_for_the_classes() {
        let z = outputs();
        let (loss, _) = of(&goal(0.5), &z);
        let logits = arr2(&[[z[5], z[6]], [z[12], z[13]], [z[19], z[20]], [z[26], z[27]]]);
        let (right, slope) = hard_label::loss(logits.view(), &goal(0.5).labels);
        let inside = |from: usize, to: usize| -> f64 {
            let x: Vec<f64> = z.chunks_exact(7).flat_map(|r| &r[from..to]).copied().collect();
            soft_nearest(&x, &goal(0.5).marked, 1.5).0
        };
        let expected = right - 0.5 * (inside(0, 2) + inside(2, 5));
        assert!((loss - expected).abs() < 1e-12, "{loss}, expected {expected}");
        let (plain, grad) = of(&goal(0.0), &z);
        assert!((plain - right).abs() < 1e-12);
        for (row, slope) in grad.chunks_exact(7).zip(slope.rows()) {
            assert!(row[..5].iter().all(|g| *g == 0.0));
            assert!(row[5..].iter().zip(slope).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }

    #[test]
    fn the_gradient_of_the_whole_is_its_slope() {
        let (z, goal) = (outputs(), goal(0.5));
        let (_, grad) = of(&goal, &z);
        for k in 0..z.len() {
            let at = |h: f64| {
                let mut moved = z.clone();
                moved[k] += h;
                of(&goal, &moved).0
            };
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((slope - grad[k]).abs() < 1e-7, "{k}: {slope}, {}", grad[k]);
        }
    }
}
