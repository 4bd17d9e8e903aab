//! Steps towards a class: projected gradient descent on the loss of that class, within a box around the start
//! (Madry et al. 2018, arXiv:1706.06083, section 2.1, with a target).

use ndarray::{Array2, Zip};

use super::signed_step;
use crate::error::Result;
use crate::student::strategy::Own;

/// How far and how fast.
#[derive(Clone, Copy, Debug)]
pub(in crate::student::strategy) struct Pgd {
    /// Largest change of a feature.
    pub eps: f64,
    /// Change of a feature in one step.
    pub alpha: f64,
    /// Steps.
    pub iterations: usize,
}

impl Pgd {
    /// Rows `[n, d]` moved towards `target[i]` each, clipped to the box and to the valid range.
    pub(super) fn towards(
        &self,
        rows: &Array2<f32>,
        target: &[usize],
        own: &dyn Own,
        range: (f32, f32),
    ) -> Result<Array2<f32>> {
        let eps = self.eps as f32;
        let mut x = rows.clone();
        for _ in 0..self.iterations {
            let gradient = own.loss_input_grad(x.view(), target)?;
            x = signed_step(&x, &gradient, -self.alpha, range);
            Zip::from(&mut x).and(rows).for_each(|x, &start| {
                *x = x.clamp(start - eps, start + eps).clamp(range.0, range.1);
            });
        }
        Ok(x)
    }
}

/// `copies` of each row `[n, d]` side by side.
pub(super) fn repeated(rows: &Array2<f32>, copies: usize) -> Array2<f32> {
    let index: Vec<usize> = (0..rows.nrows() * copies).map(|i| i / copies).collect();
    rows.select(ndarray::Axis(0), &index)
}
