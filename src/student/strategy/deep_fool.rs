//! DeepFool (Moosavi-Dezfooli et al. 2016, arXiv:1511.04599, algorithm 2): how far a row is from the decision boundary
//! of the student's own model, as the length (L2) of the shortest move found that changes its class. Each step goes to
//! the nearest boundary of the model's linearisation, with a small overshoot in the end.

use ndarray::{Array2, ArrayView2, Axis};

use super::Own;
use crate::error::Result;
use crate::oracle::argmax;

/// Steps go this share beyond the boundary, as in the released code.
const OVERSHOOT: f64 = 0.02;
/// Squared slopes below this lead nowhere.
const FLAT: f64 = 1e-12;

/// Length `[n]` of the move that changes the class of each of the rows `[n, d]`, or of all `iterations` steps where none
/// did; infinite where the model is flat.
pub(super) fn distances(
    rows: ArrayView2<'_, f32>,
    own: &dyn Own,
    iterations: usize,
) -> Result<Vec<f64>> {
    let start = own.logits(rows)?;
    let first: Vec<usize> = start.rows().into_iter().map(argmax).collect();
    let mut moves = Array2::<f64>::zeros(rows.dim());
    let mut flat = vec![false; rows.nrows()];
    let mut open: Vec<usize> = (0..rows.nrows()).collect();
    for _ in 0..iterations {
        let at = moved(rows, &moves, &open);
        let logits = own.logits(at.view())?;
        let still = |i: &usize| argmax(logits.row(*i)) == first[open[*i]];
        let kept: Vec<usize> = (0..open.len()).filter(still).collect();
        let logits = logits.select(Axis(0), &kept).mapv(f64::from);
        let at = at.select(Axis(0), &kept);
        open = kept.into_iter().map(|i| open[i]).collect();
        if open.is_empty() {
            break;
        }
        let steps = steps(&at, &logits, &open, &first, own)?;
        let mut next = Vec::with_capacity(open.len());
        for (&row, step) in open.iter().zip(steps) {
            match step {
                Some(step) => {
                    let mut sum = moves.row_mut(row);
                    sum.iter_mut().zip(step).for_each(|(sum, s)| *sum += s);
                    next.push(row);
                }
                None => flat[row] = true,
            }
        }
        open = next;
    }
    let length = |row: usize| libm::sqrt(moves.row(row).iter().map(|m| m * m).sum::<f64>());
    Ok((0..rows.nrows()).map(|i| if flat[i] { f64::INFINITY } else { length(i) }).collect())
}

/// The rows at `open`, moved a little further than their moves.
fn moved(rows: ArrayView2<'_, f32>, moves: &Array2<f64>, open: &[usize]) -> Array2<f32> {
    Array2::from_shape_fn((open.len(), rows.ncols()), |(i, j)| {
        let row = open[i];
        (f64::from(rows[[row, j]]) + (1.0 + OVERSHOOT) * moves[[row, j]]) as f32
    })
}

/// The step of each row to the nearest boundary of its linearisation; none where there is no slope.
fn steps(
    at: &Array2<f32>,
    logits: &Array2<f64>,
    open: &[usize],
    first: &[usize],
    own: &dyn Own,
) -> Result<Vec<Option<Vec<f64>>>> {
    let (n, classes) = logits.dim();
    let classes_of: Vec<usize> = open.iter().map(|&row| first[row]).collect();
    let home = own.input_grad(at.view(), &classes_of)?;
    let mut best: Vec<(f64, Option<Vec<f64>>)> = vec![(f64::INFINITY, None); n];
    for class in 0..classes {
        let slopes = own.input_grad(at.view(), &vec![class; n])?;
        for (i, best) in best.iter_mut().enumerate() {
            let from = classes_of[i];
            if class == from {
                continue;
            }
            let w: Vec<f64> = slopes
                .row(i)
                .iter()
                .zip(home.row(i))
                .map(|(a, b)| f64::from(*a) - f64::from(*b))
                .collect();
            let square: f64 = w.iter().map(|w| w * w).sum();
            let gap = (logits[[i, class]] - logits[[i, from]]).abs();
            let far = gap / libm::sqrt(square);
            if square > FLAT && far < best.0 {
                // Never a step of nothing: a row on the boundary goes across it.
                let scale = (gap + 1e-6) / square;
                *best = (far, Some(w.into_iter().map(|w| scale * w).collect()));
            }
        }
    }
    Ok(best.into_iter().map(|(_, step)| step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array};

    /// Logits W x + b: the distance to a boundary is known.
    struct Linear {
        w: Array2<f64>,
        b: Array1<f64>,
    }

    impl Own for Linear {
        fn logits(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
            Ok((x.mapv(f64::from).dot(&self.w.t()) + &self.b).mapv(|z| z as f32))
        }

        fn input_grad(&self, _: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>> {
            Ok(self.w.select(Axis(0), class).mapv(|w| w as f32))
        }
    }

    #[test]
    fn a_linear_model_is_left_by_the_shortest_way() {
        let own =
            Linear { w: array![[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]], b: array![0.1, -0.3, 0.0] };
        let rows = array![[0.9_f32, 0.1], [0.2, 0.8], [-0.7, -0.5], [0.3, 0.2]];
        let got = distances(rows.view(), &own, 10).unwrap();
        for (row, got) in rows.rows().into_iter().zip(got) {
            let x = row.mapv(f64::from);
            let z = own.w.dot(&x) + &own.b;
            let from = argmax(&z);
            let far = |to: usize| {
                let w = &own.w.row(to) - &own.w.row(from);
                (z[from] - z[to]) / w.dot(&w).sqrt()
            };
            let want = (0..3).filter(|to| *to != from).map(far).fold(f64::INFINITY, f64::min);
            assert!((got - want).abs() < 1e-4 * (1.0 + want), "{got} instead of {want}");
        }
    }

    #[test]
    fn a_flat_model_has_no_boundary() {
        let own = Linear { w: Array2::zeros((2, 1)), b: array![1.0, 0.0] };
        assert_eq!(distances(array![[0.5_f32]].view(), &own, 5).unwrap(), [f64::INFINITY]);
    }
}
