//! Fresh weights, each parameter from the stream of its own name.

use super::layer::Slot;
use crate::seed::{Seed, normal, uniform};

/// How a parameter's numbers are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Draw {
    /// Uniform within this bound. 1 / sqrt(fan in) is how torch draws `nn.Linear` and `nn.Conv2d`,
    /// weights and biases (He et al. 2015 with a = sqrt 5).
    Uniform {
        bound: f64,
    },
    /// Normal with this deviation, and zero for biases, as GPT-2 has it (Radford et al. 2019).
    Normal {
        deviation: f64,
    },
    Constant(f32),
}

impl Draw {
    /// As torch draws a layer of so many inputs.
    pub(super) fn uniform(fan_in: usize) -> Self {
        Self::Uniform { bound: 1.0 / libm::sqrt(fan_in as f64) }
    }

    /// Weights `[.., outputs]` such that a sum over a layer's inputs has a deviation of 1, and biases of zero
    /// (LeCun et al. 1998, "Efficient BackProp", section 4.6).
    pub(super) fn normal(shape: &[usize]) -> Self {
        match shape {
            [inputs @ .., _] if !inputs.is_empty() => {
                let fan_in: usize = inputs.iter().product();
                Self::Normal { deviation: 1.0 / libm::sqrt(fan_in as f64) }
            }
            _ => Self::Constant(0.0),
        }
    }

    /// How the bias beside such weights is drawn.
    pub(super) const fn of_bias(self) -> Self {
        match self {
            Self::Normal { .. } => Self::Constant(0.0),
            other => other,
        }
    }
}

/// Values of a parameter.
pub(super) fn draw(slot: &Slot, seed: Seed) -> impl Iterator<Item = f32> + use<> {
    let (mut rng, draw) = (seed.child(&slot.name).rng(), slot.draw);
    (0..slot.len()).map(move |_| match draw {
        Draw::Uniform { bound } => ((2.0 * uniform(&mut rng) - 1.0) * bound) as f32,
        Draw::Normal { deviation } => (normal(&mut rng) * deviation) as f32,
        Draw::Constant(value) => value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, shape: &[usize], draw: Draw) -> Slot {
        Slot { name: name.into(), shape: shape.to_vec(), at: 0, draw }
    }

    #[test]
    fn draws_fill_the_torch_interval() {
        let slot = slot("hidden1.weight", &[100, 200], Draw::uniform(100));
        let values: Vec<f32> = draw(&slot, Seed::new(1)).collect();
        assert!(values.iter().all(|v| v.abs() <= 0.1));
        let mean_square = values.iter().map(|v| f64::from(v * v)).sum::<f64>() / 20_000.0;
        assert!((mean_square - 0.01 / 3.0).abs() < 1e-4, "{mean_square}");
    }

    #[test]
    fn a_parameter_keeps_its_stream_when_it_grows() {
        let values = |n| {
            let slot = slot("hidden1.bias", &[n], Draw::Normal { deviation: 0.02 });
            draw(&slot, Seed::new(2)).collect::<Vec<_>>()
        };
        assert_eq!(values(3)[..], values(5)[..3]);
    }
}
