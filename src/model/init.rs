//! Fresh weights, each parameter from the stream of its own name.
//!
//! Weight and bias are uniform within 1 / sqrt(fan in), as torch draws them for `nn.Linear` and
//! `nn.Conv2d` (He et al. 2015 with a = sqrt 5).

use super::arch::Layer;
use crate::seed::{Seed, uniform};

/// Values of the weight `[from, to]` and the bias `[to]` of a layer.
pub(super) fn draw(layer: &Layer, seed: Seed) -> [Vec<f32>; 2] {
    let bound = 1.0 / libm::sqrt(layer.matrix().0 as f64);
    layer.parameters().map(|(name, shape)| {
        let mut rng = seed.child(&name).rng();
        let count = shape.iter().product();
        (0..count).map(|_| ((2.0 * uniform(&mut rng) - 1.0) * bound) as f32).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::arch::LayerKind;

    fn layer(from: usize, to: usize) -> Layer {
        Layer { name: "hidden1".into(), kind: LayerKind::Dense { from, to, relu: true } }
    }

    #[test]
    fn draws_fill_the_torch_interval() {
        let [weight, bias] = draw(&layer(100, 200), Seed::new(1));
        assert!(weight.iter().chain(&bias).all(|v| v.abs() <= 0.1));
        let mean_square = weight.iter().map(|v| f64::from(v * v)).sum::<f64>() / 20_000.0;
        assert!((mean_square - 0.01 / 3.0).abs() < 1e-4, "{mean_square}");
    }

    #[test]
    fn a_parameter_keeps_its_stream_when_another_grows() {
        let [_, a] = draw(&layer(4, 3), Seed::new(2));
        let [_, b] = draw(&layer(4, 5), Seed::new(2));
        assert_eq!(a[..], b[..3]);
    }
}
