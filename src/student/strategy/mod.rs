//! What to ask: one file per strategy. A strategy returns rows; the loop asks them.

mod build;
mod copycat;
mod deep_fool;
mod dfal;
mod entropy;
mod free;
mod grow;
mod honest;
mod k_center;
mod knockoff;
mod random;
mod ranges;
mod rounds;
mod spec;
#[cfg(test)]
pub(crate) mod testing;

use ndarray::{Array2, ArrayView2};

use super::View;
use crate::error::Result;
use crate::model::{Model, loss};
use crate::oracle::Answers;

pub use entropy::Measure;
pub use knockoff::{Baseline, Grouping, Reward};
pub(super) use ranges::{count, small};
pub use spec::StrategySpec;

/// The student's own model, as a strategy may look at it.
pub trait Own {
    /// Logits `[n, classes]`.
    fn logits(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f32>>;

    /// Gradient `[n, d]` of the logit of `class[i]` with respect to row i.
    fn input_grad(&self, inputs: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>>;

    /// Probabilities `[n, classes]`.
    fn probs(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        Ok(loss::softmax(self.logits(inputs)?.mapv(f64::from).view()))
    }

    /// Gradient `[n, d]` of the cross-entropy of row i to `class[i]` with respect to row i.
    fn loss_input_grad(&self, inputs: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>> {
        let probs = self.probs(inputs)?;
        let mut sum = Array2::<f32>::zeros(inputs.dim());
        for k in 0..probs.ncols() {
            let slopes = self.input_grad(inputs, &vec![k; inputs.nrows()])?;
            for (i, (mut sum, slope)) in sum.rows_mut().into_iter().zip(slopes.rows()).enumerate() {
                let weight = probs[[i, k]] - f64::from(u8::from(class[i] == k));
                sum.scaled_add(weight as f32, &slope);
            }
        }
        Ok(sum)
    }
}

impl Own for Model {
    fn logits(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        Model::logits(self, inputs)
    }

    fn input_grad(&self, inputs: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>> {
        Model::input_grad(self, inputs, class)
    }

    fn probs(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        Model::probs(self, inputs)
    }

    fn loss_input_grad(&self, inputs: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>> {
        Model::loss_input_grad(self, inputs, class)
    }
}

/// What came back for the last pick: the rows that were answered, in order of asking.
pub struct Told<'a> {
    /// `[m]` their places among the rows picked, rising.
    pub places: &'a [usize],
    /// `[m, d]` the rows themselves.
    pub inputs: &'a Array2<f32>,
    /// m answers, recovered.
    pub answers: &'a Answers,
}

/// Chooses rows to ask.
pub trait Strategy: Send {
    /// The next rows `[n, d]`; none is the end. `rows` is what the student can still pay for in this
    /// strategy's terms: never more come back. `own` is its model trained so far, if
    /// [`Strategy::wants_model`] and anything was answered.
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>>;

    /// True if the next pick needs a model trained on what was told so far.
    fn wants_model(&self) -> bool {
        false
    }

    /// Once for every pick, also where nothing was answered.
    fn told(&mut self, told: &Told<'_>) -> Result<()> {
        let _ = told;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
