//! Training that is not over when a lesson is: a model that takes a step on every lesson that comes, and keeps the
//! memory of its update rule in between. For students whose lessons depend on what the model has become.

use ndarray::{Array2, ArrayView2};

use super::fit::{Recipe, check_lesson};
use super::loss::{Goal, Loss};
use super::train::{Start, Trainer};
use super::{Lesson, Model};
use crate::error::{Error, Result, expect_shape};
use crate::seed::Seed;

/// See the module's head.
pub struct Learner {
    model: Model,
    trainer: Trainer,
    /// Floating-point operations of all steps.
    flops: f64,
}

impl Learner {
    /// Starts from `model`, a network. Of the recipe the update rule, the clip, the decay and the shards count.
    pub fn new(model: Model, recipe: &Recipe, seed: Seed) -> Result<Self> {
        recipe.check()?;
        let nothing = Array2::zeros((0, model.shape().len()));
        let start = Start {
            network: model.network()?,
            params: model.params()?,
            device: model.device(),
            inputs: nothing.view(),
            goal: &Goal::Hard(Vec::new()),
            moves: None,
        };
        let trainer = Trainer::new(&start, recipe, recipe.steps, seed)?;
        Ok(Self { model, trainer, flops: 0.0 })
    }

    /// The model as it is.
    pub fn model(&self) -> Result<Model> {
        self.model.with_params(self.trainer.params().to_vec())
    }

    /// Floating-point operations of all steps so far.
    pub const fn flops(&self) -> f64 {
        self.flops
    }

    /// A step on the whole lesson, at `factor` times the rate.
    pub fn step(&mut self, lesson: &Lesson, loss: Loss, factor: f64) -> Result<()> {
        let goal = check_lesson(&self.model, lesson, loss, 0..self.model.classes())?;
        self.take(lesson.inputs.view(), &goal, factor)
    }

    /// A step against `slopes` `[n, outputs]`, gradients of something that is to fall in the model's outputs for
    /// `inputs` `[n, d]`; mean over rows.
    pub fn against(
        &mut self,
        inputs: ArrayView2<'_, f32>,
        slopes: Array2<f64>,
        factor: f64,
    ) -> Result<()> {
        expect_shape("slopes of outputs", slopes.shape(), &[inputs.nrows(), self.model.classes()])?;
        if let Some(slope) = slopes.iter().find(|slope| !slope.is_finite()) {
            return Err(Error::input("slope of an output", slope, "a finite number"));
        }
        self.take(inputs, &Goal::Along(slopes), factor)
    }

    fn take(&mut self, inputs: ArrayView2<'_, f32>, goal: &Goal, factor: f64) -> Result<()> {
        let inputs = inputs.as_standard_layout();
        let start = Start {
            network: self.model.network()?,
            params: self.model.params()?,
            device: self.model.device(),
            inputs: inputs.view(),
            goal,
            moves: None,
        };
        let rows: Vec<usize> = (0..inputs.nrows()).collect();
        self.trainer.step(&start, &rows, factor)?;
        self.trainer.check_weights()?;
        self.flops += 6.0 * self.model.multiply_adds() as f64 * rows.len() as f64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arch, Device, InputShape, Optimizer, Targets, fit};
    use ndarray::array;

    fn model() -> Model {
        let arch = Arch::Mlp { hidden: vec![4] };
        Model::init(&arch, InputShape::Flat(2), 3, Device::Cpu, Seed::new(1)).unwrap()
    }

    #[test]
    fn steps_with_a_memory_are_those_of_a_training() {
        let lesson = Lesson {
            inputs: array![[0.1_f32, 0.9], [0.8, 0.2], [0.5, 0.4]],
            targets: Targets::Labels(vec![0, 1, 2]),
        };
        let schedule = crate::model::Schedule::Constant;
        let recipe = Recipe { steps: 5, batch: 3, schedule, validation: 0.0, ..Recipe::default() };
        let mut learner = Learner::new(model(), &recipe, Seed::new(2)).unwrap();
        (0..5).for_each(|_| learner.step(&lesson, Loss::HardLabel, 1.0).unwrap());
        let fitted = fit(model(), &lesson, Loss::HardLabel, &recipe, Seed::new(2)).unwrap();
        // A training takes the same rows in another order, so sums may differ in their last digits.
        for (a, b) in
            learner.model().unwrap().weights().unwrap().iter().zip(fitted.last.weights().unwrap())
        {
            assert!(a.2.iter().zip(&b.2).all(|(a, b)| (a - b).abs() < 1e-4), "{} {:?}", a.0, b.2);
        }
        assert_eq!(learner.flops(), fitted.flops);
    }

    #[test]
    fn a_step_against_a_slope_makes_outputs_follow_it_down() {
        let optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.0, weight_decay: 0.0 };
        let recipe = Recipe { optimizer, ..Recipe::default() };
        let mut learner = Learner::new(model(), &recipe, Seed::new(2)).unwrap();
        let x = array![[0.3_f32, 0.7]];
        let before = learner.model().unwrap().logits(x.view()).unwrap();
        learner.against(x.view(), array![[1.0, 0.0, -1.0]], 1.0).unwrap();
        let after = learner.model().unwrap().logits(x.view()).unwrap();
        assert!(after[[0, 0]] < before[[0, 0]] && after[[0, 2]] > before[[0, 2]]);
        assert!(learner.against(x.view(), array![[f64::NAN, 0.0, 0.0]], 1.0).is_err());
    }
}
