//! Gradients of a model's answers: with respect to its inputs, for students that craft queries, and to
//! its last layer, for rules that compare what rows would teach.

use ndarray::{Array2, ArrayView2};

use super::{Model, loss};
use crate::error::{Error, Result, expect_shape};

impl Model {
    /// Gradient `[n, d]` of the logit of `class[i]` with respect to row i.
    pub fn input_grad(&self, inputs: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>> {
        self.check_classes(&inputs, class)?;
        self.pull(inputs, |row, _, grad| grad[class[row]] = 1.0)
    }

    /// Gradient `[n, d]` of the cross-entropy of row i to `class[i]` with respect to row i.
    pub fn loss_input_grad(
        &self,
        inputs: ArrayView2<'_, f32>,
        class: &[usize],
    ) -> Result<Array2<f32>> {
        self.check_classes(&inputs, class)?;
        self.pull(inputs, |row, logits, grad| grad.copy_from_slice(&slope(logits, class[row])))
    }

    /// Gradient `[n, classes * h]` of the cross-entropy of row i to `class[i]` with respect to the
    /// weights of the last layer, h weights of the first class first.
    pub fn last_layer_grad(
        &self,
        inputs: ArrayView2<'_, f32>,
        class: &[usize],
    ) -> Result<Array2<f32>> {
        self.check_classes(&inputs, class)?;
        let (features, logits) = (self.features(inputs)?, self.logits(inputs)?);
        let width = features.ncols();
        let mut out = Array2::zeros((features.nrows(), self.classes * width));
        for (i, mut row) in out.rows_mut().into_iter().enumerate() {
            let slope = slope(&logits.row(i).to_vec(), class[i]);
            for (j, value) in row.iter_mut().enumerate() {
                *value = slope[j / width] * features[[i, j % width]];
            }
        }
        Ok(out)
    }

    /// Gradient `[n, d]` of a scalar per row, whose gradient in the logits `f(row, logits, gradient)`
    /// fills in.
    fn pull(
        &self,
        inputs: ArrayView2<'_, f32>,
        mut f: impl FnMut(usize, &[f32], &mut [f32]),
    ) -> Result<Array2<f32>> {
        let (n, d, c) = (inputs.nrows(), self.shape.len(), self.classes);
        let mut out = Vec::with_capacity(n * d);
        let body = self.weighted()?;
        let mut executor = body.executor(self.device)?;
        for (start, rows, x) in self.pieces(inputs)? {
            let goal = |logits: &[f32], grad: &mut [f32]| {
                grad.fill(0.0);
                let rows = logits.chunks_exact(c).zip(grad.chunks_exact_mut(c));
                rows.enumerate().for_each(|(i, (z, g))| f(start + i, z, g));
            };
            let take = |dx: &[f32]| out.extend_from_slice(dx);
            executor.pull(&body.params, &x, rows, goal, take)?;
        }
        body.put_back(executor);
        Array2::from_shape_vec((n, d), out).map_err(|e| Error::Internal(e.to_string()))
    }

    fn check_classes(&self, inputs: &ArrayView2<'_, f32>, class: &[usize]) -> Result<()> {
        expect_shape("classes of rows", &[class.len()], &[inputs.nrows()])?;
        loss::hard_label::check(class, self.classes)
    }
}

/// Gradient of the cross-entropy to `class` with respect to the logits: softmax minus one at the
/// class.
fn slope(logits: &[f32], class: usize) -> Vec<f32> {
    let wide = Array2::from_shape_fn((1, logits.len()), |(_, j)| f64::from(logits[j]));
    let mut slope: Vec<f32> = loss::softmax(wide.view()).iter().map(|&p| p as f32).collect();
    slope[class] -= 1.0;
    slope
}
