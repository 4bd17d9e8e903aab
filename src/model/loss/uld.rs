//! Universal logit distillation: both distributions sorted, then compared place by place, so that vocabularies
//! need not agree (Boizard et al. 2024, arXiv:2402.12030, sections 3 and 4). The sum of gaps of sorted probabilities is
//! the Wasserstein-1 distance for a cost that is the same between any two tokens. Texts are compared position by
//! position as far as the shorter one goes.

use ndarray::{Array2, ArrayView2};

use super::by_row;
use crate::error::{Error, Result, expect_shape};

/// Mean over rows of sum_i |p_(i) - q_(i)|, both in falling order, and its gradient, for the student's logits
/// `[n, c]` and the teacher's probabilities `[n, other c]`. The shorter row is filled up with zeros.
pub fn loss(
    logits: ArrayView2<'_, f64>,
    teacher: ArrayView2<'_, f64>,
) -> Result<(f64, Array2<f64>)> {
    expect_shape("teacher rows", &[teacher.nrows()], &[logits.nrows()])?;
    let mut order = Vec::new();
    Ok(by_row(logits, |row, z, q| {
        let mut p = teacher.row(row).to_vec();
        p.sort_by(|a, b| b.total_cmp(a));
        apart(z, q, p.into_iter(), &mut order)
    }))
}

/// sum_i |p_(i) - q_(i)| of the softmax q of a row and probabilities p in falling order; its gradient by the logits
/// into z.
fn apart(
    z: &mut [f64],
    q: &[f64],
    mut p: impl Iterator<Item = f64>,
    order: &mut Vec<usize>,
) -> f64 {
    order.clear();
    order.extend(0..q.len());
    order.sort_unstable_by(|&a, &b| q[b].total_cmp(&q[a]).then(a.cmp(&b)));
    let (mut sum, mut mean) = (0.0, 0.0);
    for &id in &*order {
        let gap = q[id] - p.next().unwrap_or(0.0);
        sum += gap.abs();
        z[id] = if gap == 0.0 { 0.0 } else { 1.0_f64.copysign(gap) };
        mean += q[id] * z[id];
    }
    z.iter_mut().zip(q).for_each(|(z, &q)| *z = q * (*z - mean));
    // Places where the student has no token.
    sum + p.sum::<f64>()
}

/// What a teacher thinks at each position of its texts, most likely token first, and where in a student's texts that is
/// met: what the objective is made of beside the student's own texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Sorted {
    weight: f64,
    /// Tokens of the teacher.
    vocabulary: usize,
    /// Told probabilities in falling order, row after row; `ends` says where each row ends.
    probs: Vec<f32>,
    ends: Vec<usize>,
    /// For each position of the student's texts that counts, the teacher's row; none beyond the end of its text.
    met: Vec<Option<u32>>,
}

impl Sorted {
    /// No text yet, of a teacher of so many tokens. The loss of a position is its cross-entropy and `weight`, 0 or more,
    /// times the distance.
    pub fn new(weight: f64, vocabulary: usize) -> Result<Self> {
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(Error::config("weight", weight.to_string(), "0 or more"));
        }
        let (probs, ends, met) = Default::default();
        Ok(Self { weight, vocabulary, probs, ends, met })
    }

    /// Adds a text: the log-probabilities `[len, k]` that are told at each of the teacher's positions, and how many
    /// positions count in the student's version of it.
    pub fn push(&mut self, logs: ArrayView2<'_, f32>, positions: usize) -> Result<()> {
        if logs.ncols() == 0 || logs.ncols() > self.vocabulary {
            let expected = format!("1 to {}", self.vocabulary);
            return Err(Error::input("log-probabilities of a position", logs.ncols(), expected));
        }
        for (at, row) in logs.rows().into_iter().take(positions).enumerate() {
            let first = self.probs.len();
            self.probs.extend(row.iter().map(|&log| libm::expf(log)));
            let row = &mut self.probs[first..];
            if let Some(p) = row.iter().find(|p| !(0.0..=1.01).contains(*p)) {
                return Err(Error::input(
                    format!("probability told at position {at}"),
                    p,
                    "0 to 1",
                ));
            }
            row.sort_unstable_by(|a, b| b.total_cmp(a));
            self.met.push(Some(self.ends.len() as u32));
            self.ends.push(self.probs.len());
        }
        self.met.extend(std::iter::repeat_n(None, positions.saturating_sub(logs.nrows())));
        Ok(())
    }

    /// Positions of the student's texts that count.
    pub fn len(&self) -> usize {
        self.met.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.met.is_empty()
    }

    /// A row of the teacher in falling order. Tokens that are not told share what is left evenly: none of them is more
    /// likely than one that is told.
    fn falling(&self, row: u32) -> impl Iterator<Item = f64> {
        let row = row as usize;
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        let told = &self.probs[start..self.ends[row]];
        let others = self.vocabulary - told.len();
        let sum: f64 = told.iter().map(|&p| f64::from(p)).sum();
        let least = told.last().map_or(0.0, |&p| f64::from(p));
        let each = ((1.0 - sum).max(0.0) / others.max(1) as f64).min(least);
        told.iter().map(|&p| f64::from(p)).chain(std::iter::repeat_n(each, others))
    }

    /// The loss of a position, the how-manieth of those that count, whose next token is `token`; given log softmax and
    /// softmax, the gradient in place of the former.
    pub(super) fn row(
        &self,
        z: &mut [f64],
        q: &[f64],
        (position, token): (usize, usize),
        order: &mut Vec<usize>,
    ) -> f64 {
        let surprise = -z[token];
        let apart = match self.met[position] {
            Some(row) => apart(z, q, self.falling(row), order),
            None => {
                z.fill(0.0);
                0.0
            }
        };
        z.iter_mut().zip(q).for_each(|(z, &q)| *z = self.weight * *z + q);
        z[token] -= 1.0;
        surprise + self.weight * apart
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::array;

    use super::super::tokens::{Taught, Texts};
    use super::super::{Goal, Room, hard_label, softmax};
    use super::*;

    /// Two texts of three positions, the first of which is a prompt's in the second.
    fn targets() -> Array2<i32> {
        array![[2, 0, 1], [-1, 1, 2]]
    }

    fn logits() -> Array2<f64> {
        array![
            [0.3, -0.2, 0.8],
            [1.0, 0.0, 0.5],
            [0.0, 0.4, -0.3],
            [9.0, 9.0, 9.0],
            [0.1, 0.7, 0.2],
            [-1.0, 0.6, 0.9]
        ]
    }

    /// A teacher of four tokens: two positions for the first text, four for the second.
    fn teacher() -> [Array2<f32>; 2] {
        let logs = |rows: &[[f32; 4]]| {
            let flat: Vec<f32> = rows.iter().flatten().map(|p| libm::logf(*p)).collect();
            Array2::from_shape_vec((rows.len(), 4), flat).unwrap()
        };
        [
            logs(&[[0.1, 0.2, 0.4, 0.3], [0.7, 0.1, 0.15, 0.05]]),
            logs(&[[0.25; 4], [0.6, 0.2, 0.1, 0.1], [0.97, 0.01, 0.01, 0.01], [0.25; 4]]),
        ]
    }

    fn goal(weight: f64, k: usize) -> Goal {
        let mut sorted = Sorted::new(weight, 4).unwrap();
        for (logs, positions) in teacher().iter().zip([3, 2]) {
            let mut top: Vec<Vec<f32>> = logs.rows().into_iter().map(|r| r.to_vec()).collect();
            top.iter_mut().for_each(|row| row.sort_by(|a, b| b.total_cmp(a)));
            let top = Array2::from_shape_fn((logs.nrows(), k), |(i, at)| top[i][at]);
            sorted.push(top.view(), positions).unwrap();
        }
        let taught = Some(Taught::sorted(&targets(), Arc::new(sorted)).unwrap());
        Goal::Tokens(Texts { targets: targets(), taught })
    }

    /// Loss of all texts and its gradient.
    fn loss_of(goal: &Goal, logits: &Array2<f64>) -> (f64, Array2<f64>) {
        let mut z = logits.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
        let loss = goal.loss(&[0, 1], &[], 2, &mut z, goal.weight(&[0, 1]), &mut Room::default());
        (loss, Array2::from_shape_vec(logits.dim(), z).unwrap())
    }

    #[test]
    fn a_distance_by_hand() {
        // q = (1/2, 1/4, 1/4) against .6, .3, .1 and, with one more token, .4, .3, .2, .1.
        let q = [0.25, 0.5, 0.25];
        let of = |p: &[f64]| apart(&mut [0.0; 3], &q, p.iter().copied(), &mut Vec::new());
        assert!((of(&[0.6, 0.3, 0.1]) - (0.1 + 0.05 + 0.15)).abs() < 1e-12);
        assert!((of(&[0.4, 0.3, 0.2, 0.1]) - (0.1 + 0.05 + 0.05 + 0.1)).abs() < 1e-12);
        assert!((of(&[0.7, 0.3]) - (0.2 + 0.05 + 0.25)).abs() < 1e-12);
    }

    #[test]
    fn texts_are_compared_as_far_as_the_shorter_goes_and_their_tokens_everywhere() {
        let (z, [first, second]) = (logits(), teacher());
        let probs = |logs: &Array2<f32>| logs.mapv(|log| f64::from(libm::expf(log)));
        let distance = |at: usize, logs: &Array2<f32>, row: usize| {
            let (logits, p) = (z.slice(ndarray::s![at..=at, ..]), probs(logs));
            loss(logits, p.slice(ndarray::s![row..=row, ..])).unwrap().0
        };
        let tokens = [(0, 2), (1, 0), (2, 1), (4, 1), (5, 2)];
        let hard: f64 = tokens
            .iter()
            .map(|&(at, token)| hard_label::loss(z.slice(ndarray::s![at..=at, ..]), &[token]).0)
            .sum();
        // The first text's third position has no counterpart, nor have the second teacher's last two.
        let apart = distance(0, &first, 0) + distance(1, &first, 1);
        let apart = apart + distance(4, &second, 0) + distance(5, &second, 1);
        for weight in [0.0, 1.5] {
            let (found, _) = loss_of(&goal(weight, 4), &z);
            let expected = (hard + weight * apart) / 5.0;
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn gradients_agree_with_differences() {
        for k in [4, 2, 1] {
            let (goal, z) = (goal(1.5, k), logits());
            let (_, slopes) = loss_of(&goal, &z);
            for (place, &slope) in slopes.indexed_iter() {
                let at = |by: f64| {
                    let mut z = z.clone();
                    z[place] += by;
                    loss_of(&goal, &z).0
                };
                let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((slope - expected).abs() < 1e-7, "{place:?}: {slope} for {expected}");
            }
        }
    }

    #[test]
    fn tokens_that_are_not_told_share_the_rest() {
        let mut sorted = Sorted::new(1.0, 5).unwrap();
        let logs = array![[0.2_f32, 0.5], [0.0, 1.0]].mapv(|p: f32| libm::logf(p));
        sorted.push(logs.view(), 2).unwrap();
        assert_eq!((sorted.len(), sorted.is_empty()), (2, false));
        let row = |row| sorted.falling(row).collect::<Vec<_>>();
        let close = |found: Vec<f64>, expected: [f64; 5]| {
            assert_eq!(found.len(), 5);
            assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-7), "{found:?}");
        };
        close(row(0), [0.5, 0.2, 0.1, 0.1, 0.1]);
        close(row(1), [1.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn equal_distributions_are_at_no_distance_however_their_tokens_are_numbered() {
        let z = array![[0.3, -0.2, 0.8, 0.1]];
        let mut p = softmax(z.view());
        p.row_mut(0).as_slice_mut().unwrap().rotate_left(2);
        let (found, slopes) = loss(z.view(), p.view()).unwrap();
        assert!(found < 1e-15 && slopes.iter().all(|s| s.abs() < 1.0), "{found} {slopes}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Sorted::new(-1.0, 4).is_err());
        assert!(Sorted::new(f64::NAN, 4).is_err());
        let mut sorted = Sorted::new(1.0, 3).unwrap();
        assert!(sorted.is_empty());
        assert!(sorted.push(teacher()[0].view(), 2).unwrap_err().to_string().contains("1 to 3"));
        assert!(sorted.push(array![[f32::NAN]].view(), 1).is_err());
        let sorted = Arc::new(Sorted::new(1.0, 3).unwrap());
        let error = Taught::sorted(&targets(), sorted).unwrap_err().to_string();
        assert!(error.contains("expected shape [5], got [0]"), "{error}");
    }
}
