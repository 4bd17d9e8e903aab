//! Distillation of standardised logits: what counts is the shape of a row of logits, not its size (Sun et al. 2024,
//! arXiv:2403.01427, section 3.3).

use ndarray::{Array2, ArrayView2};

use super::divergence::{Divergence, check_temperature};
use crate::error::{Result, expect_shape};

/// Added to a deviation, as in the released code.
const EPS: f64 = 1e-7;

/// Which deviation a row is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// With c - 1 below the sum of squares: the released code.
    Sample,
    /// With c below it: the z-score of the paper.
    Population,
}

/// T^2 KL(p || q), batch mean, and its gradient, for logits `[n, c]` of student and teacher; p and q are softmaxes
/// of (logits - mean) / deviation / T.
pub fn loss(
    logits: ArrayView2<'_, f64>,
    teacher: ArrayView2<'_, f64>,
    temperature: f64,
    deviation: Deviation,
) -> Result<(f64, Array2<f64>)> {
    expect_shape("teacher logits", teacher.shape(), logits.shape())?;
    check_temperature(temperature)?;
    let (n, c) = logits.dim();
    let below = match deviation {
        Deviation::Sample => c as f64 - 1.0,
        Deviation::Population => c as f64,
    };
    let centred = |rows: ArrayView2<'_, f64>| {
        let mut rows = rows.to_owned();
        let mut sizes = Vec::with_capacity(n);
        for mut row in rows.rows_mut() {
            let mean = row.sum() / c as f64;
            row -= mean;
            sizes.push(libm::sqrt(row.dot(&row) / below));
        }
        (rows, sizes)
    };
    let scaled = |rows: &Array2<f64>, sizes: &[f64]| {
        let mut rows = rows.clone();
        rows.rows_mut().into_iter().zip(sizes).for_each(|(mut row, size)| row /= size + EPS);
        rows
    };
    let (z, sizes) = centred(logits);
    let (v, teacher_sizes) = centred(teacher);
    let (student, teacher) = (scaled(&z, &sizes), scaled(&v, &teacher_sizes));
    let kl = Divergence::ForwardKl {};
    let (loss, mut grad) = kl.loss(student.view(), teacher.view(), &vec![true; n], temperature)?;
    for ((mut grad, z), size) in grad.rows_mut().into_iter().zip(z.rows()).zip(sizes) {
        let (mean, along, whole) = (grad.sum() / c as f64, grad.dot(&z), size + EPS);
        // A constant row has no deviation that could change.
        let bend = if size > 0.0 { along / (below * size * whole * whole) } else { 0.0 };
        grad.zip_mut_with(&z, |g, z| *g = (*g - mean) / whole - bend * z);
    }
    let square = temperature * temperature;
    Ok((loss * square, grad * square))
}
