//! Measures a model against the truth of its seed. Never charged, never on rows a student has seen,
//! always against the undefended teacher.

use ndarray::Array2;

use super::spec::Spec;
use super::world::Ground;
use crate::error::Result;
use crate::metric::{self, Score};
use crate::model::Model;
use crate::oracle::top1;

/// A model's answers on the test inputs beside the truth.
pub struct Judged<'a> {
    ground: &'a Ground,
    probs: Array2<f64>,
    top1: Vec<usize>,
    extra: Vec<Score>,
}

impl<'a> Judged<'a> {
    /// The teacher itself.
    pub fn teacher(ground: &'a Ground) -> Self {
        let mut extra = vec![
            Score::of("floor_accuracy", Some(ground.truth.floor)),
            Score::of("floor_agreement", Some(ground.truth.floor_agreement)),
        ];
        extra.extend(ground.workshop.teacher.iter().flat_map(|teacher| size(teacher)));
        Self { ground, probs: ground.truth.probs.clone(), top1: ground.truth.top1.clone(), extra }
    }

    /// Accuracy, agreement and the other basic scores of a model.
    pub fn model_basic(model: &Model, ground: &'a Ground) -> Result<Self> {
        Ok(Self::probs(model.probs(ground.truth.inputs.view())?, ground))
    }

    /// A model's scores, those on uniform, boundary and adversarial inputs included.
    pub fn model(model: &Model, ground: &'a Ground, spec: &Spec) -> Result<Self> {
        let mut judged = Self::model_basic(model, ground)?;
        let on = |inputs: &(Array2<f32>, Vec<usize>)| -> Result<Option<f64>> {
            if inputs.1.is_empty() {
                return Ok(None);
            }
            Ok(Some(metric::agreement(&top1(&model.probs(inputs.0.view())?), &inputs.1)))
        };
        judged.extra.push(Score::of("agreement_uniform", on(&ground.truth.uniform)?));
        judged.extra.push(Score::of("agreement_boundary", on(&ground.truth.boundary)?));
        judged.extra.push(Score::of("transfer_asr", transfer(model, ground, spec)?));
        judged.extra.extend(size(model));
        Ok(judged)
    }

    /// Predictions `[n, classes]` made elsewhere on the test inputs.
    pub fn probs(probs: Array2<f64>, ground: &'a Ground) -> Self {
        Self { top1: top1(&probs), probs, ground, extra: Vec::new() }
    }

    /// Share of right classes.
    pub fn accuracy(&self) -> f64 {
        metric::accuracy(&self.top1, &self.ground.truth.labels)
    }

    /// Share of classes equal to the teacher's.
    pub fn agreement(&self) -> f64 {
        metric::agreement(&self.top1, &self.ground.truth.top1)
    }

    /// All scores, in fixed order.
    pub fn scores(&self) -> Vec<Score> {
        let truth = &self.ground.truth;
        let mut scores = vec![
            Score::of("accuracy", Some(self.accuracy())),
            Score::of("agreement", Some(self.agreement())),
            Score::of(
                "agreement_on_errors",
                metric::agreement_on_errors(&self.top1, &truth.top1, &truth.labels),
            ),
            Score::of(
                "kl_teacher_student",
                Some(metric::kl_teacher_student(&truth.probs, &self.probs)),
            ),
            Score::of("ece", Some(metric::ece_of(&self.probs, &truth.labels))),
        ];
        scores.extend(self.extra.iter().cloned());
        scores
    }

    /// `1` where right, `0` where not, per test item.
    pub fn right(&self) -> String {
        self.top1
            .iter()
            .zip(&self.ground.truth.labels)
            .map(|(a, b)| if a == b { '1' } else { '0' })
            .collect()
    }
}

/// Leaves of a decision tree, and how many of them answer differently; nothing of a network.
fn size(model: &Model) -> Vec<Score> {
    let Some(tree) = model.tree() else { return Vec::new() };
    vec![
        Score::of("leaves", Some(tree.leaves() as f64)),
        Score::of("distinct_answers", Some(tree.distinct_answers() as f64)),
    ]
}

/// What a diverged cell records: where it went wrong, and no accuracy.
pub fn diverged(step: usize, last_loss: Option<f64>) -> Vec<Score> {
    vec![Score::of("diverged_at_step", Some(step as f64)), Score::of("last_finite_loss", last_loss)]
}

/// Adversarial transfer: one signed-gradient step of size eps up the student's own loss (FGSM,
/// Goodfellow et al. 2015, section 4) on test rows that the teacher gets right; the share whose
/// class by the teacher changes.
fn transfer(model: &Model, ground: &Ground, spec: &Spec) -> Result<Option<f64>> {
    let truth = &ground.truth;
    if truth.uniform.1.is_empty() || !model.arch().has_gradients() {
        return Ok(None); // a table of answers knows no other inputs, and not every model has a gradient
    }
    let right: Vec<usize> =
        (0..truth.labels.len()).filter(|&i| truth.top1[i] == truth.labels[i]).collect();
    if right.is_empty() {
        return Ok(None);
    }
    let inputs = truth.inputs.select(ndarray::Axis(0), &right);
    let labels: Vec<usize> = right.iter().map(|&i| truth.labels[i]).collect();
    let gradient = model.loss_input_grad(inputs.view(), &labels)?;
    let eps = spec.measure.transfer_eps as f32;
    let (low, high) = ground.range;
    let mut moved = inputs;
    moved.zip_mut_with(&gradient, |x, &g| {
        let sign = if g > 0.0 {
            1.0
        } else if g < 0.0 {
            -1.0
        } else {
            0.0
        };
        *x = (*x + eps * sign).clamp(low, high);
    });
    let after = ground.clean_top1(&moved)?;
    let fooled = after.iter().zip(&labels).filter(|(a, b)| a != b).count();
    Ok(Some(fooled as f64 / labels.len() as f64))
}
