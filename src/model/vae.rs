//! A variational autoencoder (Kingma and Welling 2014) of two dense networks. What is kept of it is the encoder: a
//! model whose outputs are the means of a row's code and the logarithms of its variances.

use ndarray::{Array2, ArrayView2};

use super::fit::Recipe;
use super::init::{Draw, Init};
use super::layer::{Activation, Beside, Dense, Layer, Sample};
use super::loss::{Goal, elbo::Elbo};
use super::network::Network;
use super::train::{Start, train};
use super::{Arch, Device, InputShape, Model};
use crate::error::{Error, Result};
use crate::seed::Seed;

/// Variance of the decoder's noise, as a part of the rows' mean variance of a feature: what it need not explain.
const NOISE: f64 = 0.1;

/// Sizes of an autoencoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vae {
    /// ReLU units of the encoder's hidden layer, and of the decoder's.
    pub hidden: usize,
    /// Numbers of a code, 1 or more.
    pub code: usize,
}

impl Vae {
    /// The encoder of an autoencoder that was trained on rows `[n, d]`. Of the recipe the dropout and moved images do
    /// not count.
    pub fn encoder(
        &self,
        rows: ArrayView2<'_, f32>,
        shape: InputShape,
        device: Device,
        recipe: &Recipe,
        seed: Seed,
    ) -> Result<Model> {
        recipe.check()?;
        let d = shape.len();
        crate::error::expect_shape("rows of an autoencoder", rows.shape(), &[rows.nrows(), d])?;
        if rows.is_empty() || self.code == 0 {
            let found = format!("{} rows, codes of {}", rows.nrows(), self.code);
            return Err(Error::input(
                "rows and codes of an autoencoder",
                found,
                "1 or more of each",
            ));
        }
        let network = self.network(d);
        let rows = rows.as_standard_layout();
        let spread = rows.mapv(f64::from).var_axis(ndarray::Axis(0), 0.0).mean().unwrap_or(0.0);
        // Rows that are all alike are given back by a constant.
        let noise = if spread > 0.0 { NOISE * spread } else { 1.0 };
        let goal = Goal::Elbo(Elbo { rows: rows.to_owned(), code: self.code, noise });
        let start = Start {
            network: &network,
            params: &network.draw(Init::HeUniform, seed.child("init")),
            device,
            inputs: rows.view(),
            goal: &goal,
            moves: None,
        };
        let trained = train(&start, recipe, seed.child("fit"))?;
        let mut params = trained.selected.unwrap_or(trained.last);
        let arch = Arch::Mlp { hidden: vec![self.hidden] };
        params.truncate(arch.network(shape, 2 * self.code)?.parameters());
        Model::assemble(&arch, shape, 2 * self.code, device, params)
    }

    /// [d] to [means, logarithms of variances, what a draw is decoded to].
    pub(super) fn network(&self, d: usize) -> Network {
        let mut at = 0;
        let mut dense = |name: &str, from: usize, to: usize, activation: Activation| {
            let (name, draw) = (name.to_string(), Draw::Fans { into: from, out: to });
            let layer = Dense { name, times: 1, from, to, activation, bias: true, draw, at };
            at += (from + 1) * to;
            Layer::Dense(layer)
        };
        let Self { hidden, code } = *self;
        let encoder = [
            dense("hidden1", d, hidden, Activation::Relu),
            dense("output", hidden, 2 * code, Activation::None),
        ];
        let inner = vec![
            Layer::Sample(Sample { name: "code".into(), len: code }),
            dense("decoder1", code, hidden, Activation::Relu),
            dense("decoded", hidden, d, Activation::None),
        ];
        Network::new(encoder.into_iter().chain([Layer::Beside(Beside { inner })]).collect())
    }
}

impl Model {
    /// Codes `[n, k]` of inputs `[n, d]` for an encoder: the means.
    pub fn codes(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        let told = self.logits(inputs)?;
        Ok(told.slice(ndarray::s![.., ..self.classes / 2]).mapv(f64::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cpu::Runner;
    use crate::model::layer::Pass;
    use crate::model::loss::Room;
    use crate::seed::normal;

    const VAE: Vae = Vae { hidden: 5, code: 2 };

    /// Rows on a curve of one number, in three features.
    fn rows(n: usize, seed: u64) -> (Vec<f64>, Array2<f32>) {
        let mut rng = Seed::new(seed).rng();
        let along: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
        let rows = Array2::from_shape_fn((n, 3), |(i, j)| match j {
            0 => along[i] as f32,
            1 => (0.5 * along[i] * along[i]) as f32,
            _ => -along[i] as f32,
        });
        (along, rows)
    }

    #[test]
    fn the_gradient_through_a_draw_is_the_slope_of_the_bound() {
        let network = VAE.network(3);
        let (_, rows) = rows(4, 1);
        let x: Vec<f64> = rows.iter().map(|&v| f64::from(v)).collect();
        let goal = Goal::Elbo(Elbo { rows, code: 2, noise: 0.3 });
        let mut rng = Seed::new(2).rng();
        let params: Vec<f64> = (0..network.parameters()).map(|_| 0.5 * normal(&mut rng)).collect();
        let (pass, index) = (Pass::Learn(Seed::new(3)), [0, 1, 2, 3]);
        let of = |params: &[f64]| {
            let mut grads = vec![0.0; params.len()];
            let measure = |y: &[f64], dy: &mut [f64]| {
                dy.copy_from_slice(y);
                goal.loss(&index, &[], 4, dy, 4.0, &mut Room::default())
            };
            let mut runner = Runner::new(&network);
            (runner.learn(params, &x, 4, pass, measure, &mut grads), grads)
        };
        let (_, grads) = of(&params);
        for (k, found) in grads.iter().enumerate() {
            let at = |h: f64| {
                let mut moved = params.clone();
                moved[k] += h;
                of(&moved).0
            };
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((slope - found).abs() < 2e-6 * (1.0 + found.abs()), "{k}: {slope}, {found}");
        }
        assert!(grads.iter().filter(|g| **g != 0.0).count() > grads.len() / 2);
    }

    #[test]
    fn a_code_follows_the_curve_that_rows_lie_on_and_is_spread_like_a_standard_normal() {
        let (along, rows) = rows(300, 4);
        let recipe = Recipe { steps: 600, ..Recipe::default() };
        let shape = InputShape::Flat(3);
        let vae = Vae { hidden: 16, code: 2 };
        let encoder = vae.encoder(rows.view(), shape, Device::Cpu, &recipe, Seed::new(5)).unwrap();
        let codes = encoder.codes(rows.view()).unwrap();
        assert_eq!(codes.dim(), (300, 2));
        let correlation = |j: usize| {
            let code = codes.column(j);
            let of = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| -> f64 {
                (0..300).map(|i| a(i) * b(i)).sum()
            };
            let mean = code.mean().unwrap();
            let (c, t) = (|i: usize| code[i] - mean, |i: usize| along[i]);
            of(&c, &t) / libm::sqrt(of(&c, &c) * of(&t, &t))
        };
        let best = f64::max(correlation(0).abs(), correlation(1).abs());
        assert!(best > 0.7, "{best}");
        // Codes of all rows together are about standard normal: that is what the divergence asks for.
        let spread = codes.iter().map(|c| c * c).sum::<f64>() / 300.0;
        assert!((0.3..3.0).contains(&spread), "{spread}");
    }

    #[test]
    fn nothing_to_learn_from_is_refused() {
        let none = Array2::zeros((0, 3));
        let recipe = Recipe::default();
        let made =
            VAE.encoder(none.view(), InputShape::Flat(3), Device::Cpu, &recipe, Seed::new(1));
        assert!(made.is_err());
    }
}
