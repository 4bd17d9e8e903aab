//! Forward and backward through the layers, written out instead of recorded: the engine multiplies
//! matrices, and every gradient here is checked against finite differences in 64 bits.
//!
//! Parameters are tensors in layer order, weight `[from, to]` then bias `[to]`.

use candle_core::Tensor;

use super::arch::{Layer, LayerKind};
use super::kernel::{add_bias, engine, undo_bias};
use super::patch::{fold, unfold};
use super::pool::{max_pool, undo_max_pool};
use crate::error::Result;

/// What a layer remembers for its gradient.
pub(super) struct Kept {
    /// The matrix that met the weights: rows `[n, from]` or patches.
    left: Tensor,
    /// What came out before any change of shape, `[rows, to]`.
    output: Tensor,
    /// Winners of the pooling windows.
    winners: Vec<u8>,
}

/// Gradients of a scalar that depends on the output.
pub(super) struct Grads {
    /// One per parameter, in order; empty if not wanted.
    pub params: Vec<Tensor>,
    /// `[n, d]`, if wanted.
    pub input: Option<Tensor>,
}

/// Which gradients to compute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Params,
    Input,
}

/// Output `[n, to]` of the layers for inputs `[n, d]`.
pub(super) fn forward(layers: &[Layer], params: &[Tensor], inputs: &Tensor) -> Result<Tensor> {
    let mut x = inputs.clone();
    for (layer, pair) in layers.iter().zip(params.chunks_exact(2)) {
        x = step(layer, pair, &x)?.0;
    }
    Ok(x)
}

/// As [`forward`], with what [`backward`] needs.
pub(super) fn trace(
    layers: &[Layer],
    params: &[Tensor],
    inputs: &Tensor,
) -> Result<(Tensor, Vec<Kept>)> {
    let mut x = inputs.clone();
    let mut kept = Vec::with_capacity(layers.len());
    for (layer, pair) in layers.iter().zip(params.chunks_exact(2)) {
        let (y, keep) = step(layer, pair, &x)?;
        kept.push(keep);
        x = y;
    }
    Ok((x, kept))
}

/// Gradients, given that of the output `[n, to]`.
pub(super) fn backward(
    layers: &[Layer],
    params: &[Tensor],
    kept: &[Kept],
    grad: Tensor,
    wanted: Wanted,
) -> Result<Grads> {
    let mut grad = grad;
    let mut found = Vec::with_capacity(params.len());
    for (i, layer) in layers.iter().enumerate().rev() {
        let keep = &kept[i];
        let (behind, bias) = behind_activation(layer, keep, grad)?;
        if wanted == Wanted::Params {
            let weight = keep.left.t().and_then(|left| left.matmul(&behind)).map_err(engine)?;
            found.push(bias);
            found.push(weight);
            if i == 0 {
                found.reverse();
                return Ok(Grads { params: found, input: None });
            }
        }
        let left = params[2 * i].t().and_then(|w| behind.matmul(&w)).map_err(engine)?;
        grad = match layer.kind {
            LayerKind::Dense { .. } => left,
            LayerKind::Conv { image, .. } => fold(&left, image)?,
        };
    }
    Ok(Grads { params: Vec::new(), input: Some(grad) })
}

/// One layer forward.
fn step(layer: &Layer, pair: &[Tensor], x: &Tensor) -> Result<(Tensor, Kept)> {
    let [weight, bias] = pair else {
        return Err(crate::Error::Internal("a layer has a weight and a bias".into()));
    };
    match layer.kind {
        LayerKind::Dense { relu, .. } => {
            let z = x.matmul(weight).map_err(engine)?; // [n, to]
            let y = add_bias(&z, bias, relu)?;
            let kept = Kept { left: x.clone(), output: y.clone(), winners: Vec::new() };
            Ok((y, kept))
        }
        LayerKind::Conv { image, filters } => {
            let patches = unfold(x, image)?; // [n*h*w, 9*c]
            let z = patches.matmul(weight).map_err(engine)?; // [n*h*w, f]
            // Bias and ReLU never change which value of a window is largest, so they come after.
            let (largest, winners) = max_pool(&z, image)?; // [n*(h/2)*(w/2), f]
            let output = add_bias(&largest, bias, true)?;
            let row = (image.h / 2) * (image.w / 2) * filters;
            let y = output.reshape(((), row)).map_err(engine)?; // [n, (h/2)*(w/2)*f]
            Ok((y, Kept { left: patches, output, winners }))
        }
    }
}

/// Gradient before pooling, ReLU and bias: of the matrix product, and of the bias.
fn behind_activation(layer: &Layer, keep: &Kept, grad: Tensor) -> Result<(Tensor, Tensor)> {
    match layer.kind {
        LayerKind::Dense { relu, .. } => undo_bias(&keep.output, grad, relu),
        LayerKind::Conv { image, .. } => {
            let grad = grad.reshape(keep.output.shape()).map_err(engine)?;
            let (grad, bias) = undo_bias(&keep.output, grad, true)?;
            Ok((undo_max_pool(&grad, &keep.winners, image)?, bias))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::model::InputShape;
    use crate::model::arch::Arch;
    use crate::model::init::draw;
    use crate::model::kernel::{tensor, with_slice};
    use crate::seed::normal;
    use candle_core::Device;

    /// A small network in 64 bits, a few rows, and random weights on its outputs.
    struct Probe {
        layers: Vec<Layer>,
        params: Vec<Vec<f64>>,
        inputs: Vec<f64>,
        out: Vec<f64>,
        rows: usize,
    }

    impl Probe {
        fn new(arch: &Arch, shape: InputShape) -> Self {
            let layers = arch.layers(shape, 3).unwrap();
            let drawn = layers.iter().flat_map(|l| draw(l, Seed::new(5)));
            let params = drawn.map(|p| p.into_iter().map(f64::from).collect()).collect();
            let mut rng = Seed::new(6).rng();
            let mut normals = |n: usize| (0..n).map(|_| normal(&mut rng)).collect::<Vec<_>>();
            let rows = 3;
            Self {
                layers,
                params,
                inputs: normals(rows * shape.len()),
                out: normals(rows * 3),
                rows,
            }
        }

        fn tensors(&self) -> (Vec<Tensor>, Tensor, Tensor) {
            let shapes = self.layers.iter().flat_map(Layer::parameters);
            let params = shapes.zip(&self.params);
            let params = params.map(|((_, s), v)| tensor(v.clone(), &s, &Device::Cpu).unwrap());
            let d = self.inputs.len() / self.rows;
            let inputs = tensor(self.inputs.clone(), &[self.rows, d], &Device::Cpu).unwrap();
            let out = tensor(self.out.clone(), &[self.rows, 3], &Device::Cpu).unwrap();
            (params.collect(), inputs, out)
        }

        /// The scalar whose gradients are checked: outputs times their weights, summed.
        fn value(&self) -> f64 {
            let (params, inputs, _) = self.tensors();
            let y = forward(&self.layers, &params, &inputs).unwrap();
            let y = with_slice(&y, <[f64]>::to_vec).unwrap();
            y.iter().zip(&self.out).map(|(y, w)| y * w).sum()
        }

        fn grads(&self, wanted: Wanted) -> Grads {
            let (params, inputs, out) = self.tensors();
            let (_, kept) = trace(&self.layers, &params, &inputs).unwrap();
            backward(&self.layers, &params, &kept, out, wanted).unwrap()
        }

        fn difference(&mut self, mut place: impl FnMut(&mut Self) -> &mut f64) -> f64 {
            let h = 1e-6;
            let old = *place(self);
            *place(self) = old + h;
            let up = self.value();
            *place(self) = old - h;
            let down = self.value();
            *place(self) = old;
            (up - down) / (2.0 * h)
        }
    }

    fn probes() -> Vec<Probe> {
        let lenet = Arch::Lenet { filters: [2, 3], hidden: 5 };
        vec![
            Probe::new(&Arch::Logistic {}, InputShape::Flat(4)),
            Probe::new(&Arch::Mlp { hidden: vec![6, 5] }, InputShape::Flat(4)),
            Probe::new(&lenet, InputShape::Image { c: 2, h: 9, w: 8 }),
        ]
    }

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-6 + 1e-6 * expected.abs()
    }

    #[test]
    fn parameter_gradients_agree_with_finite_differences() {
        for mut probe in probes() {
            let grads = probe.grads(Wanted::Params).params;
            assert_eq!(grads.len(), probe.params.len());
            for (p, grad) in grads.iter().enumerate() {
                for (i, g) in with_slice(grad, <[f64]>::to_vec).unwrap().into_iter().enumerate() {
                    let expected = probe.difference(|probe| &mut probe.params[p][i]);
                    assert!(close(g, expected), "parameter {p}, {i}: {g}, expected {expected}");
                }
            }
        }
    }

    #[test]
    fn input_gradients_agree_with_finite_differences() {
        for mut probe in probes() {
            let grad = probe.grads(Wanted::Input).input.unwrap();
            for (i, g) in with_slice(&grad, <[f64]>::to_vec).unwrap().into_iter().enumerate() {
                let expected = probe.difference(|probe| &mut probe.inputs[i]);
                assert!(close(g, expected), "input {i}: {g}, expected {expected}");
            }
        }
    }

    #[test]
    fn every_parameter_of_every_network_gets_a_gradient() {
        for probe in probes() {
            for (p, grad) in probe.grads(Wanted::Params).params.iter().enumerate() {
                let some = with_slice::<f64, _>(grad, |g| g.iter().any(|&v| v != 0.0)).unwrap();
                assert!(some, "parameter {p} of {:?} gets no gradient", probe.layers);
            }
        }
    }
}
