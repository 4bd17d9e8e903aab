//! Fresh weights, each parameter from the stream of its own name.

use serde::{Deserialize, Serialize};

use super::layer::Slot;
use crate::seed::{Seed, normal, uniform};

/// The rule by which a classifier's fresh weights are drawn from the inputs and outputs of their layer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// Uniform within 1 / sqrt(fan in), biases too: how torch draws `nn.Linear` and `nn.Conv2d` (He et al. 2015 with
    /// a = sqrt 5).
    #[default]
    HeUniform,
    /// Uniform within sqrt(6 / (fan in + fan out)), biases zero: how Keras draws `Dense` and `Conv2D` (Glorot and Bengio
    /// 2010, equation 16).
    GlorotUniform,
    /// Normal with a deviation of 1 / sqrt(fan in), so that a sum over a layer's inputs has a deviation of 1; biases zero
    /// (LeCun et al. 1998, "Efficient BackProp", section 4.6).
    LecunNormal,
}

/// How a parameter's numbers are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Draw {
    /// By the classifier's rule, from the inputs of a sum and the sums that an input enters.
    Fans {
        into: usize,
        out: usize,
    },
    /// Normal with this deviation, and zero for biases, as GPT-2 has it (Radford et al. 2019).
    Normal {
        deviation: f64,
    },
    Constant(f32),
}

impl Draw {
    /// How the bias beside such weights is drawn.
    pub(super) const fn of_bias(self) -> Self {
        match self {
            Self::Normal { .. } => Self::Constant(0.0),
            other => other,
        }
    }
}

/// Where a parameter's numbers come from, once the rule is known.
enum Law {
    Uniform(f64),
    Normal(f64),
    Constant(f32),
}

impl Law {
    fn of(slot: &Slot, init: Init) -> Self {
        let (into, out) = match slot.draw {
            Draw::Fans { into, out } => (into as f64, out as f64),
            Draw::Normal { deviation } => return Self::Normal(deviation),
            Draw::Constant(value) => return Self::Constant(value),
        };
        match (init, slot.shape.len()) {
            (Init::HeUniform, _) => Self::Uniform(1.0 / libm::sqrt(into)),
            (_, 1) => Self::Constant(0.0),
            (Init::GlorotUniform, _) => Self::Uniform(libm::sqrt(6.0 / (into + out))),
            (Init::LecunNormal, _) => Self::Normal(1.0 / libm::sqrt(into)),
        }
    }
}

/// Values of a parameter.
pub(super) fn draw(slot: &Slot, init: Init, seed: Seed) -> impl Iterator<Item = f32> + use<> {
    let (mut rng, law) = (seed.child(&slot.name).rng(), Law::of(slot, init));
    (0..slot.len()).map(move |_| match law {
        Law::Uniform(bound) => ((2.0 * uniform(&mut rng) - 1.0) * bound) as f32,
        Law::Normal(deviation) => (normal(&mut rng) * deviation) as f32,
        Law::Constant(value) => value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENSE: Draw = Draw::Fans { into: 100, out: 200 };

    fn slot(name: &str, shape: &[usize], draw: Draw) -> Slot {
        Slot { name: name.into(), shape: shape.to_vec(), at: 0, draw }
    }

    /// Largest size and mean square of 20,000 weights.
    fn spread(init: Init) -> (f32, f64) {
        let slot = slot("hidden1.weight", &[100, 200], DENSE);
        let values: Vec<f32> = draw(&slot, init, Seed::new(1)).collect();
        let mean_square = values.iter().map(|v| f64::from(v * v)).sum::<f64>() / 20_000.0;
        (values.iter().fold(0.0, |most, v| most.max(v.abs())), mean_square)
    }

    #[test]
    fn weights_have_the_width_that_their_rule_says() {
        let (most, mean_square) = spread(Init::HeUniform);
        assert!(most <= 0.1, "{most}");
        assert!((mean_square - 0.01 / 3.0).abs() < 1e-4, "{mean_square}");
        // 6 / 300 is the square of the bound.
        let (most, mean_square) = spread(Init::GlorotUniform);
        assert!(most <= 0.141_422, "{most}");
        assert!((mean_square - 0.02 / 3.0).abs() < 2e-4, "{mean_square}");
        let (_, mean_square) = spread(Init::LecunNormal);
        assert!((mean_square - 0.01).abs() < 4e-4, "{mean_square}");
    }

    #[test]
    fn only_torch_draws_biases() {
        let values = |init| {
            draw(&slot("hidden1.bias", &[200], DENSE), init, Seed::new(1)).collect::<Vec<_>>()
        };
        assert!(values(Init::HeUniform).iter().any(|v| *v != 0.0));
        assert!(values(Init::GlorotUniform).iter().all(|v| *v == 0.0));
        assert!(values(Init::LecunNormal).iter().all(|v| *v == 0.0));
    }

    #[test]
    fn a_parameter_keeps_its_stream_when_it_grows() {
        let values = |n| {
            let slot = slot("hidden1.bias", &[n], Draw::Normal { deviation: 0.02 });
            draw(&slot, Init::HeUniform, Seed::new(2)).collect::<Vec<_>>()
        };
        assert_eq!(values(3)[..], values(5)[..3]);
    }
}
