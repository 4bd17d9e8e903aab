//! Repeat and average: the mean of n answers for one row. The variance of zero-mean fresh noise falls
//! as 1/n; noise that is a function of the input needs moved copies instead, whose mean is an answer
//! for the row as far as the teacher is smooth around it.

use ndarray::{Array2, Axis};

use crate::oracle::{Answers, TopK, argmax};
use crate::seed::{Seed, normal};
use crate::student::objective::softmax;

/// Moves every copy but the first of each `n` rows by Gaussian steps of `sd`, clipped to the range.
pub(super) fn move_copies(
    copies: &mut Array2<f32>,
    n: usize,
    sd: f64,
    range: (f32, f32),
    seed: Seed,
) {
    let mut rng = seed.rng();
    for (i, mut row) in copies.rows_mut().into_iter().enumerate() {
        if i % n > 0 {
            row.mapv_inplace(|x| (x + (sd * normal(&mut rng)) as f32).clamp(range.0, range.1));
        }
    }
}

/// One answer for each group. Logits are averaged as probabilities; labels vote, ties to the lowest
/// class; top-k answers are averaged with the rest of each spread evenly, and the k largest kept.
pub(super) fn mean(answers: &Answers, groups: &[Vec<usize>], classes: usize) -> Answers {
    match answers {
        Answers::Probs(p) => Answers::Probs(means(p, groups)),
        Answers::Logits(z) => Answers::Probs(means(&softmax(z), groups)),
        Answers::TopK(t) => Answers::TopK(TopK::of(&means(&completed(t), groups), t.ids.ncols())),
        Answers::Labels(l) => {
            Answers::Labels(groups.iter().map(|g| majority(l, g, classes)).collect())
        }
    }
}

fn means(rows: &Array2<f64>, groups: &[Vec<usize>]) -> Array2<f64> {
    let mut out = Array2::zeros((groups.len(), rows.ncols()));
    for (group, mut mean) in groups.iter().zip(out.rows_mut()) {
        let picked = rows.select(Axis(0), group);
        picked.rows().into_iter().for_each(|row| mean += &row);
        mean /= group.len() as f64;
    }
    out
}

/// Top-k rows with what is left of 1 spread over the other classes, each at most as likely as the
/// least likely class that is told.
fn completed(t: &TopK) -> Array2<f64> {
    let others = t.classes.saturating_sub(t.ids.ncols()).max(1) as f64;
    let mut out = Array2::zeros((t.ids.nrows(), t.classes));
    for (i, mut row) in out.rows_mut().into_iter().enumerate() {
        let known = t.probs.row(i);
        let least = known.iter().copied().fold(f64::INFINITY, f64::min);
        row.fill(((1.0 - known.sum()).max(0.0) / others).min(least));
        for (&id, &p) in t.ids.row(i).iter().zip(known) {
            if let Some(entry) = row.get_mut(id) {
                *entry = p;
            }
        }
    }
    out
}

fn majority(labels: &[usize], group: &[usize], classes: usize) -> usize {
    let mut votes = vec![0_usize; classes];
    for &i in group {
        if let Some(count) = votes.get_mut(labels[i]) {
            *count += 1;
        }
    }
    argmax(&votes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn labels_vote_and_ties_go_to_the_lowest_class() {
        let got = mean(&Answers::Labels(vec![2, 1, 1, 2, 0]), &[vec![0, 1, 2], vec![3, 4]], 3);
        assert_eq!(got, Answers::Labels(vec![1, 0]));
    }

    #[test]
    fn top_k_answers_stay_top_k() {
        let told =
            TopK { classes: 4, ids: array![[2, 0], [2, 1]], probs: array![[0.6, 0.2], [0.7, 0.2]] };
        let Answers::TopK(got) = mean(&Answers::TopK(told.clone()), &[vec![0, 1]], 4) else {
            panic!("another kind")
        };
        assert_eq!(got.ids, array![[2, 1]]); // class 1: (0.1 + 0.2) / 2; class 0: (0.2 + 0.05) / 2
        assert!((got.probs[[0, 0]] - 0.65).abs() < 1e-12);
        let Answers::TopK(same) = mean(&Answers::TopK(told.clone()), &[vec![0], vec![1]], 4) else {
            panic!("another kind")
        };
        assert_eq!(same, told);
    }

    #[test]
    fn logits_are_averaged_as_probabilities() {
        let z = array![[0.0, 0.0], [0.0, libm::log(3.0)]];
        let Answers::Probs(got) = mean(&Answers::Logits(z), &[vec![0, 1]], 2) else { panic!() };
        assert!((got[[0, 1]] - 0.625).abs() < 1e-12);
    }
}
