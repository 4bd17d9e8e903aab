//! How a model's answers move when all of its weights and biases grow alike.

use ndarray::{Array2, ArrayView2};

use super::{Model, cpu};
use crate::error::{Error, Result};

/// Step of the central difference. In 64 bits, rounding and curvature both stay below a millionth of the
/// derivative; a unit that switches on or off within the step gives half of its part.
const STEP: f64 = 1e-7;

impl Model {
    /// Derivative `[n, classes]` of the logits of inputs `[n, d]` along the direction of all ones in the
    /// space of weights and biases: d z(w + t 1) / dt at t = 0. By a central difference in 64 bits on the
    /// processor, whatever the model's device: two forward passes for all classes at once.
    pub fn logits_along_ones(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        let (n, c) = (inputs.nrows(), self.classes);
        let (network, params) = (self.network()?, self.params()?);
        let layers = network.layers().len();
        let moved = |by: f64| params.iter().map(|&w| f64::from(w) + by).collect::<Vec<_>>();
        let (up, down) = (moved(STEP), moved(-STEP));
        let mut runners = [cpu::Runner::<f64>::of_fixed(network), cpu::Runner::of_fixed(network)];
        let mut out = Vec::with_capacity(n * c);
        for (_, rows, x) in self.pieces(inputs)? {
            let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
            let [above, below] = &mut runners;
            let above = above.answer(&up, &x, rows, layers);
            let below = below.answer(&down, &x, rows, layers);
            out.extend(above.iter().zip(below).map(|(a, b)| (a - b) / (2.0 * STEP)));
        }
        Array2::from_shape_vec((n, c), out).map_err(|e| Error::Internal(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::executor::Executor;
    use super::super::layer::Pass;
    use super::super::{Arch, Device, InputShape};
    use super::*;
    use crate::seed::{Seed, uniform};

    /// The same by back-propagation: the sum of a logit's gradient over all parameters.
    fn summed(model: &Model, row: &[f32], class: usize) -> f64 {
        let params = model.params().unwrap();
        let mut executor = Executor::new(model.network().unwrap(), Device::Cpu, params).unwrap();
        let mut grads = vec![0.0; params.len()];
        let goal = |_: &[f32], grad: &mut [f32]| {
            grad.fill(0.0);
            grad[class] = 1.0;
        };
        executor.learn(params, row, 1, Pass::Trace, goal, &mut grads).unwrap();
        grads.iter().map(|&g| f64::from(g)).sum()
    }

    #[test]
    fn it_is_the_sum_of_the_gradient_over_all_parameters() {
        let shape = InputShape::Image { c: 1, h: 8, w: 8 };
        for arch in Arch::examples().into_iter().filter(Arch::has_gradients) {
            let model = Model::init(&arch, shape, 3, Device::Cpu, Seed::new(5)).unwrap();
            let mut rng = Seed::new(6).rng();
            let inputs = Array2::from_shape_fn((4, 64), |_| uniform(&mut rng) as f32);
            let got = model.logits_along_ones(inputs.view()).unwrap();
            for ((row, class), got) in got.indexed_iter() {
                let want = summed(&model, &inputs.row(row).to_vec(), class);
                assert!((got - want).abs() < 1e-3 * want.abs().max(1.0), "{arch:?}: {got}, {want}");
            }
        }
    }

    #[test]
    fn a_linear_model_moves_by_the_sum_of_its_inputs_and_one() {
        let model =
            Model::init(&Arch::Logistic {}, InputShape::Flat(3), 2, Device::Cpu, Seed::new(1))
                .unwrap();
        let inputs = ndarray::arr2(&[[0.5_f32, 2.0, -1.0]]);
        for got in model.logits_along_ones(inputs.view()).unwrap() {
            assert!((got - 2.5).abs() < 1e-6, "{got}");
        }
    }
}
