//! D-DAE: a network that is trained to undo the known defense, on made-up clean rows and what the defense makes of them
//! (Chen et al. 2023; in the form of Tang et al. 2024, ModelGuard). Clean rows are the answers of shadow models
//! (D-DAE), or are drawn around the answers received (D-DAE+).
//!
//! The authors' network has batch normalisation and leaky rectifiers, and takes some 200,000 steps of plain descent.
//! Ours is the K-128-64-K of the model room with rectifiers and a softmax, learns by AdamW in a hundredth of the steps,
//! and reads log-probabilities: what a defense leaves of a small probability is a matter of its order. The loss is
//! theirs, summed over classes where they take the mean.

use ndarray::Array2;

use super::simulated::Pairs;
use crate::error::{Error, Result};
use crate::model::{
    Arch, Device, InputShape, Lesson, Loss, Model, Optimizer, Recipe, Schedule, Targets, fit,
};
use crate::seed::Seed;

/// Units of the two hidden layers.
const HIDDEN: [usize; 2] = [128, 64];
/// Pairs of a step.
const BATCH: usize = 128;
/// Smallest probability whose logarithm counts.
const LEAST: f64 = 1e-6;

/// A network from defended to clean rows.
pub(super) struct Restorer {
    model: Model,
    /// Floating-point operations of its training.
    pub flops: f64,
}

impl Restorer {
    /// Learns from the pairs, over `steps` steps.
    pub(super) fn train(pairs: &Pairs, steps: usize, seed: Seed) -> Result<Self> {
        let (inputs, clean) = (matrix(&pairs.defended)?, matrix(&pairs.clean)?);
        let classes = clean.ncols();
        let arch = Arch::Mlp { hidden: HIDDEN.to_vec() };
        let shape = InputShape::Flat(classes);
        let model = Model::init(&arch, shape, classes, Device::Cpu, seed.child("init"))?;
        let recipe = Recipe {
            optimizer: Optimizer::adamw(3e-3, 1e-4),
            schedule: Schedule::Cosine,
            batch: BATCH,
            steps,
            validation: 0.0,
            ..Recipe::default()
        };
        let lesson = Lesson { inputs: logs(&inputs), targets: Targets::Probs(clean) };
        let fitted = fit(model, &lesson, Loss::L1, &recipe, seed.child("fit"))?;
        Ok(Self { model: fitted.last, flops: fitted.flops })
    }

    /// Rows `[n, classes]` as they may have been.
    pub(super) fn restored(&self, answers: &Array2<f64>) -> Result<Array2<f64>> {
        self.model.probs(logs(answers).view())
    }
}

/// log max(p, 1e-6) of rows that may not sum to 1.
fn logs(rows: &Array2<f64>) -> Array2<f32> {
    rows.mapv(|p| if p > LEAST { libm::log(p) as f32 } else { libm::log(LEAST) as f32 })
}

fn matrix(rows: &[Vec<f64>]) -> Result<Array2<f64>> {
    let wide = rows.first().map_or(0, Vec::len);
    Array2::from_shape_vec((rows.len(), wide), rows.concat())
        .map_err(|e| Error::Internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::Simulator;
    use super::super::simulated::around;
    use super::*;
    use crate::student::objective::normalised;
    use std::sync::Arc;

    #[test]
    fn flattened_rows_come_nearer_to_the_truth() {
        let flatten: Simulator = Arc::new(|clean, out| {
            let sum: f64 = clean.iter().map(|p| p.sqrt()).sum();
            out.iter_mut().zip(clean).for_each(|(o, p)| *o = p.sqrt() / sum);
        });
        let clean = normalised(&Array2::from_shape_fn((200, 3), |(i, k)| {
            libm::exp(((i * (k + 2) * 7) % 23) as f64 / 4.0)
        }));
        let rows = clean.rows().into_iter().map(|row| row.to_vec()).collect();
        let shown = matrix(&Pairs::of(rows, &flatten).defended).unwrap();
        let pairs = Pairs::of(around(&shown, 3000, 8.0, Seed::new(1)), &flatten);
        assert!(pairs.keep_top1());
        let restorer = Restorer::train(&pairs, 400, Seed::new(2)).unwrap();
        let off = |rows: &Array2<f64>| (rows - &clean).mapv(f64::abs).sum() / 200.0;
        let (plain, restored) = (off(&shown), off(&restorer.restored(&shown).unwrap()));
        assert!(restored < 0.6 * plain, "{restored} against {plain}");
    }
}
