//! One-vs-rest regressions: a logistic regression a class, z = W x + b, learnt against all other classes, whose
//! probabilities are brought to a sum of one: p_k = s(z_k) / sum_j s(z_j), s the logistic function (as attacked by Tramer
//! et al. 2016, section 4.1).
//!
//! Answers are computed in 64 bits, as a softmax of log s(z): where all s are too small for a number, their ratios are not.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use super::network::Network;
use super::{Arch, Fitted, Lesson, Loss, Model, Recipe, Targets, fit, loss};
use crate::error::{Error, Result};
use crate::seed::Seed;

/// The regressions of all classes.
pub(super) struct OneVsRest {
    /// Says how the numbers lie.
    network: Network,
    /// Weights `[d, classes]`, then biases `[classes]`.
    params: Vec<f32>,
}

impl OneVsRest {
    /// The regressions of these numbers, as many as the network has.
    pub(super) const fn new(network: Network, params: Vec<f32>) -> Self {
        Self { network, params }
    }

    pub(super) const fn network(&self) -> &Network {
        &self.network
    }

    pub(super) fn params(&self) -> &[f32] {
        &self.params
    }

    /// log s(z) `[n, classes]` of inputs `[n, d]`.
    pub(super) fn logs(&self, inputs: ArrayView2<'_, f32>) -> Array2<f64> {
        let d = inputs.ncols();
        let (weights, bias) = self.params.split_at(self.params.len() / (d + 1) * d);
        let mut logs = Array2::zeros((inputs.nrows(), bias.len()));
        for (input, mut z) in inputs.rows().into_iter().zip(logs.rows_mut()) {
            z.iter_mut().zip(bias).for_each(|(z, &b)| *z = f64::from(b));
            for (&x, weights) in input.iter().zip(weights.chunks_exact(bias.len())) {
                let add = |(z, &w): (&mut f64, &f32)| *z += f64::from(x) * f64::from(w);
                z.iter_mut().zip(weights).for_each(add);
            }
        }
        logs.mapv_inplace(log_logistic);
        logs
    }

    /// Probabilities `[n, classes]` of inputs `[n, d]`; rows sum to 1.
    pub(super) fn probs(&self, inputs: ArrayView2<'_, f32>) -> Array2<f64> {
        loss::softmax(self.logs(inputs).view())
    }
}

/// log s(z) = -log(1 + e^-z), without overflow.
fn log_logistic(z: f64) -> f64 {
    z.min(0.0) - libm::log1p(libm::exp(-z.abs()))
}

/// Trains each class's regression from where it is, by the recipe and in a stream of its own, on class labels or on
/// probabilities at temperature 1: then the class's own against what is left.
pub(super) fn learn(
    model: &Model,
    lesson: &Lesson,
    loss: Loss,
    outputs: Range<usize>,
    recipe: &Recipe,
    seed: Seed,
) -> Result<Fitted> {
    let whole = outputs == (0..model.classes());
    fit::check_lesson(model, lesson, loss, outputs)?;
    let refused = || {
        let expected = "class labels, or probabilities at temperature 1, of all classes";
        Error::input("what one-vs-rest regressions learn from", format!("{loss:?}"), expected)
    };
    let (mut last, mut selected) = (Vec::new(), Vec::new());
    let (mut steps, mut flops) = (0, 0.0);
    for class in 0..model.classes() {
        let targets = against_rest(&lesson.targets, loss, class).filter(|_| whole);
        let targets = targets.ok_or_else(refused)?;
        let lesson = Lesson { inputs: lesson.inputs.clone(), targets };
        let seed = seed.nth("one-vs-rest", class as u64);
        let fitted = fit(regression(model, class)?, &lesson, loss, recipe, seed)?;
        last.push(fitted.last);
        selected.push(fitted.selected);
        steps += fitted.steps;
        flops += fitted.flops;
    }
    Ok(Fitted { last: joined(model, &last)?, selected: joined(model, &selected)?, steps, flops })
}

/// The rest is class 0, `class` is class 1; none if two classes cannot be made of the targets.
fn against_rest(targets: &Targets, loss: Loss, class: usize) -> Option<Targets> {
    match (targets, loss) {
        (Targets::Labels(labels), Loss::HardLabel) => {
            let own = labels.iter().map(|&label| usize::from(label == class));
            Some(Targets::Labels(own.collect()))
        }
        (Targets::Probs(probs), Loss::SoftLabel { temperature: 1.0, .. }) => {
            let own = probs.column(class);
            let side = |(i, side)| if side == 1 { own[i] } else { (1.0 - own[i]).max(0.0) };
            Some(Targets::Probs(Array2::from_shape_fn((own.len(), 2), side)))
        }
        _ => None,
    }
}

/// The regression of a class as a network of two outputs, the first of them 0.
fn regression(model: &Model, class: usize) -> Result<Model> {
    let mut tensors = model.weights()?;
    for (_, shape, values) in &mut tensors {
        let own = values.iter().skip(class).step_by(model.classes());
        *values = own.flat_map(|&value| [0.0, value]).collect();
        shape.last_mut().into_iter().for_each(|outputs| *outputs = 2);
    }
    Model::from_tensors(&Arch::Logistic {}, model.shape(), 2, model.device(), tensors)
}

/// The model of the classes' regressions: z is what the second output has more than the first.
fn joined(model: &Model, regressions: &[Model]) -> Result<Model> {
    let mut tensors = model.weights()?;
    for (class, regression) in regressions.iter().enumerate() {
        for ((_, _, all), (_, _, two)) in tensors.iter_mut().zip(regression.weights()?) {
            let own = all.iter_mut().skip(class).step_by(regressions.len());
            own.zip(two.chunks_exact(2)).for_each(|(z, pair)| *z = pair[1] - pair[0]);
        }
    }
    Model::from_tensors(model.arch(), model.shape(), model.classes(), model.device(), tensors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Device, InputShape, Optimizer, Parameter, Schedule};
    use ndarray::{Array1, array};

    /// A model of weights `[d, classes]` and biases `[classes]`.
    fn made(weights: &Array2<f32>, bias: &Array1<f32>) -> Result<Model> {
        let (d, classes) = weights.dim();
        let tensors: Vec<Parameter> = vec![
            ("output.weight".into(), vec![d, classes], weights.iter().copied().collect()),
            ("output.bias".into(), vec![classes], bias.to_vec()),
        ];
        Model::from_tensors(&Arch::OneVsRest {}, InputShape::Flat(d), classes, Device::Cpu, tensors)
    }

    /// z = (0, log 3, -log 3) at x = 1, where s is 1/2, 3/4 and 1/4.
    fn thirds() -> Model {
        let log = 3.0_f32.ln();
        made(&array![[1.0, log - 1.0, 0.5 - log]], &array![-1.0, 1.0, -0.5]).unwrap()
    }

    #[test]
    fn answers_are_those_computed_by_hand() {
        let answers = thirds().probs(array![[1.0_f32]].view()).unwrap();
        let off = answers - array![[1.0 / 3.0, 1.0 / 2.0, 1.0 / 6.0]];
        assert!(off.iter().all(|d: &f64| d.abs() < 1e-7), "{off}");
        let logits = thirds().logits(array![[1.0_f32]].view()).unwrap();
        let off = logits.mapv(f32::exp) - array![[0.5, 0.75, 0.25]];
        assert!(off.iter().all(|d: &f32| d.abs() < 1e-6), "{off}");
        assert_eq!((thirds().parameters(), thirds().multiply_adds()), (6, 6));
    }

    #[test]
    fn regressions_that_all_say_no_still_answer() {
        // s is below the smallest 64-bit number for both; of one to the other it is e.
        let model = made(&array![[0.0, 0.0]], &array![-2000.0, -2001.0]).unwrap();
        let answers = model.probs(array![[0.0_f32]].view()).unwrap();
        assert!((answers[[0, 0]] - 0.731_058_578_630_004_9).abs() < 1e-12, "{answers}");
        let most = made(&array![[f32::MAX, -f32::MAX]], &array![0.0, 0.0]).unwrap();
        let asked = array![[f32::MAX], [-1.0]];
        assert_eq!(most.probs(asked.view()).unwrap(), array![[1.0, 0.0], [0.0, 1.0]]);
        assert!(most.logits(asked.view()).unwrap().iter().all(|z| z.is_finite()));
    }

    fn recipe(lr: f64) -> Recipe {
        Recipe {
            optimizer: Optimizer::Sgd { lr, momentum: 0.0, weight_decay: 0.0 },
            schedule: Schedule::Constant,
            steps: 400,
            validation: 0.0,
            ..Recipe::default()
        }
    }

    fn learnt(targets: Targets, loss: Loss) -> Fitted {
        let lesson = Lesson { inputs: array![[1.0_f32], [1.0], [-1.0], [-1.0]], targets };
        fit(thirds(), &lesson, loss, &recipe(0.5), Seed::new(2)).unwrap()
    }

    #[test]
    fn each_regression_learns_how_often_its_class_comes() {
        // As many parameters as kinds of rows: s(z) becomes the share of the class, here and there.
        let shares = array![[0.5, 0.5, 0.1], [0.5, 0.5, 0.1], [0.2, 0.3, 0.5], [0.2, 0.3, 0.5]];
        let soft = Loss::SoftLabel { temperature: 1.0, eps: 1e-9 };
        let fitted = learnt(Targets::Probs(shares.clone()), soft);
        let logits = fitted.last.logits(array![[1.0_f32], [-1.0]].view()).unwrap();
        let off = logits.mapv(|z| f64::from(z.exp())) - array![[0.5, 0.5, 0.1], [0.2, 0.3, 0.5]];
        assert!(off.iter().all(|d| d.abs() < 1e-3), "{off}");
        assert_eq!(fitted.steps, 3 * 400);
        assert_eq!(fitted.flops, 3.0 * 6.0 * 4.0 * 4.0 * 400.0);
        let fitted = learnt(Targets::Labels(vec![0, 1, 2, 1]), Loss::HardLabel);
        let logits = fitted.last.logits(array![[1.0_f32], [-1.0]].view()).unwrap();
        for (row, class, share) in [(0, 0, 0.5), (0, 1, 0.5), (1, 1, 0.5), (1, 2, 0.5)] {
            assert!((logits[[row, class]].exp() - share).abs() < 0.02, "{logits}");
        }
        assert!(logits[[0, 2]] < -3.0 && logits[[1, 0]] < -3.0, "{logits}");
    }

    #[test]
    fn learning_goes_on_from_where_a_model_is() {
        let lesson = Lesson { inputs: array![[1.0_f32]], targets: Targets::Labels(vec![0]) };
        let still = fit(thirds(), &lesson, Loss::HardLabel, &recipe(1e-30), Seed::new(2)).unwrap();
        assert_eq!(still.last.weights().unwrap(), thirds().weights().unwrap());
    }

    #[test]
    fn lessons_of_other_kinds_are_refused() {
        let refused = |targets, loss, outputs| {
            let lesson = Lesson { inputs: array![[1.0_f32]], targets };
            let result = learn(&thirds(), &lesson, loss, outputs, &recipe(0.1), Seed::new(1));
            result.unwrap_err().to_string()
        };
        let probs = || Targets::Probs(array![[0.2, 0.3, 0.5]]);
        let labels = || Targets::Labels(vec![0]);
        let known = Box::new(labels());
        let cases = [
            refused(probs(), Loss::SoftLabel { temperature: 2.0, eps: 1e-9 }, 0..3),
            refused(probs(), Loss::L1, 0..3),
            refused(labels(), Loss::Misinformation, 0..3),
            refused(labels(), Loss::HardLabel, 0..2),
            refused(Targets::Partly { known, unknown: 0, weight: 1.0 }, Loss::HardLabel, 0..3),
        ];
        for message in cases {
            assert!(message.contains("what one-vs-rest regressions learn from"), "{message}");
        }
        assert!(refused(labels(), Loss::L1, 0..3).contains("labels"));
    }

    #[test]
    fn numbers_that_cannot_be_weights_are_refused() {
        let refused = |weights: Array2<f32>, bias: Array1<f32>| {
            made(&weights, &bias).unwrap_err().to_string()
        };
        let message = refused(array![[0.0, f32::NAN]], array![0.0, 0.0]);
        assert!(message.contains("found NaN in `output.weight`"), "{message}");
        let message = refused(array![[0.0, 1.0]], array![f32::INFINITY, 0.0]);
        assert!(message.contains("found inf in `output.bias`"), "{message}");
        let message = refused(array![[0.0, 1.0]], array![0.0]);
        assert!(message.contains("output.bias"), "{message}");
    }
}
