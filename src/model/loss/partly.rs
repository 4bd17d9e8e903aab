//! A lesson of which some rows have no target: theirs is the entropy of the student's own prediction, so that it makes
//! up its mind (Grandvalet and Bengio 2004, section 2.2). Loss = mean over known rows + weight x mean entropy of the
//! others, whatever the two numbers are: rows of a batch weigh so that this is what batches give on average. The weight
//! grows from 0 over the training: a student that knows nothing yet would make up its mind about nothing.

use super::{Goal, Room, rowwise};

/// A goal for the first rows of a lesson; the others are unknown.
#[derive(Clone, Debug)]
pub(in crate::model) struct Partly {
    pub goal: Box<Goal>,
    /// Rows with a target, at least one, and rows without.
    pub rows: (usize, usize),
    pub weight: f64,
}

impl Partly {
    /// As [`Goal::loss`], for rows of `c` logits.
    pub(super) fn loss(
        &self,
        index: &[usize],
        z: &mut [f64],
        c: usize,
        weight: f64,
        room: &mut Room,
    ) -> f64 {
        let (known, unknown) = self.rows;
        let all = (known + unknown) as f64;
        let (with, without): (Vec<usize>, Vec<usize>) =
            (0..index.len()).partition(|&i| index[i] < known);
        let gathered = |places: &[usize], z: &[f64]| -> Vec<f64> {
            places.iter().flat_map(|&i| &z[i * c..(i + 1) * c]).copied().collect()
        };
        let (mut told, mut untold) = (gathered(&with, z), gathered(&without, z));
        let mut loss = 0.0;
        if !with.is_empty() {
            let rows: Vec<usize> = with.iter().map(|&i| index[i]).collect();
            let weight = weight * known as f64 / all;
            loss += self.goal.loss(&rows, &[], rows.len(), &mut told, weight, room);
        }
        if !without.is_empty() {
            let scale = room.progress * self.weight * all / (unknown as f64 * weight);
            loss += rowwise(&mut untold, c, scale, &mut room.probs, |_, z, q| entropy(z, q));
        }
        for (places, rows) in [(with, told), (without, untold)] {
            for (i, row) in places.into_iter().zip(rows.chunks_exact(c)) {
                z[i * c..(i + 1) * c].copy_from_slice(row);
            }
        }
        loss
    }
}

/// -sum q log q of a row, given log softmax and softmax; the gradient in place of the former.
fn entropy(z: &mut [f64], q: &[f64]) -> f64 {
    let part = |(q, log): (&f64, &f64)| if *q > 0.0 { q * log } else { 0.0 };
    let entropy = -q.iter().zip(&*z).map(part).sum::<f64>();
    for (z, &q) in z.iter_mut().zip(q) {
        *z = if q > 0.0 { -q * (*z + entropy) } else { 0.0 };
    }
    entropy
}

#[cfg(test)]
mod tests {
    use super::super::{Loss, Targets, hard_label};
    use super::*;
    use ndarray::array;

    fn goal(weight: f64) -> Goal {
        let known = Box::new(Targets::Labels(vec![1]));
        let targets = Targets::Partly { known, unknown: 3, weight };
        Goal::new(&targets, Loss::HardLabel, 2).unwrap()
    }

    /// Loss and gradient of these logits, a row for each of four rows of which the first has a label.
    fn of(goal: &Goal, z: &[f64]) -> (f64, Vec<f64>) {
        let mut z = z.to_vec();
        let value = goal.loss(&[0, 1, 2, 3], &[], 4, &mut z, 4.0, &mut Room::default());
        (value, z)
    }

    const Z: [f64; 8] = [0.3, -0.4, 0.0, 0.0, 2.0, -1.0, -0.5, 0.7];

    #[test]
    fn known_rows_and_unknown_rows_are_averaged_apart() {
        let ln2 = libm::log(2.0);
        // Equal logits: an entropy of ln 2 each.
        let (value, _) = of(&goal(0.5), &[9.0, -9.0, 1.0, 1.0, 0.0, 0.0, 3.0, 3.0]);
        let (hard, _) = hard_label::loss(array![[9.0, -9.0]].view(), &[1]);
        assert!((value - (hard + 0.5 * ln2)).abs() < 1e-12);
    }

    #[test]
    fn batches_of_any_make_give_the_loss_of_all_rows_on_average() {
        let known = Box::new(Targets::Labels(vec![1, 0]));
        let targets = Targets::Partly { known, unknown: 3, weight: 0.5 };
        let goal = Goal::new(&targets, Loss::HardLabel, 2).unwrap();
        let rows = [[0.3, -0.4], [0.0, 1.0], [2.0, -1.0], [-0.5, 0.7], [0.1, 0.1]];
        let of = |index: &[usize]| {
            let mut z: Vec<f64> = index.iter().flat_map(|&i| rows[i]).collect();
            let n = index.len();
            goal.loss(index, &[], n, &mut z, n as f64, &mut Room::default())
        };
        let mean = (0..5).map(|i| of(&[i])).sum::<f64>() / 5.0;
        assert!((of(&[0, 1, 2, 3, 4]) - mean).abs() < 1e-12);
        let (hard, _) = hard_label::loss(array![rows[0], rows[1]].view(), &[1, 0]);
        let entropy = |row: &[f64; 2]| {
            let q = 1.0 / (1.0 + libm::exp(row[1] - row[0]));
            -q * libm::log(q) - (1.0 - q) * libm::log(1.0 - q)
        };
        let unknown = rows[2..].iter().map(entropy).sum::<f64>() / 3.0;
        assert!((mean - (hard + 0.5 * unknown)).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn the_weight_of_unknown_rows_grows_over_the_training() {
        let at = |progress| {
            let mut room = Room { progress, ..Room::default() };
            goal(1.0).loss(&[0, 1, 2, 3], &[], 4, &mut Z.to_vec(), 4.0, &mut room)
        };
        let (hard, _) = hard_label::loss(array![[0.3, -0.4]].view(), &[1]);
        assert!((at(0.0) - hard).abs() < 1e-12);
        assert!((at(0.5) - 0.5 * (at(0.0) + at(1.0))).abs() < 1e-12 && at(1.0) > at(0.0));
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let goal = goal(1.0);
        let (_, grad) = of(&goal, &Z);
        for k in 0..8 {
            let at = |d: f64| {
                let mut z = Z;
                z[k] += d;
                of(&goal, &z).0
            };
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((slope - grad[k]).abs() < 1e-8, "{k}: {slope} {}", grad[k]);
        }
    }

    #[test]
    fn what_cannot_be_learnt_from_is_refused() {
        let none = Box::new(Targets::Labels(vec![]));
        let empty = Targets::Partly { known: none, unknown: 3, weight: 1.0 };
        assert!(Goal::new(&empty, Loss::HardLabel, 2).is_err());
        let known = Box::new(Targets::Labels(vec![0]));
        let negative = Targets::Partly { known, unknown: 3, weight: -1.0 };
        assert!(Goal::new(&negative, Loss::HardLabel, 2).is_err());
    }
}
