//! From a network's plan to its layers: which weights there are, their shapes and their order.
//!
//! The small convolutional network follows LeCun et al. 1998 in outline: convolution, pooling,
//! convolution, pooling, a hidden layer. This file knows sizes only, never values.

use serde::{Deserialize, Serialize};

use super::InputShape;
use super::init::Draw;
use super::layer::{Activation, Conv, Dense, Layer};
use super::network::Network;
use crate::error::{Error, Result};

/// Widest layer and most filters accepted.
const WIDEST: usize = 8192;
/// Deepest stack of hidden layers accepted.
const DEEPEST: usize = 8;
/// Smallest height and width of an image that two poolings leave anything of.
const SMALLEST_IMAGE: usize = 8;

/// A network's plan, as configs write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Arch {
    /// Softmax regression.
    Logistic {},
    /// Fully connected ReLU layers of these widths.
    Mlp {
        /// Units of each hidden layer, 1 to 8 layers.
        hidden: Vec<usize>,
    },
    /// A small convolutional network: two 3x3 convolutions (zero-padded by 1) with ReLU and 2x2 max
    /// pooling, then a hidden layer. Images only, at least 8x8.
    Lenet {
        /// Filters of the two convolutions.
        filters: [usize; 2],
        /// Units of the hidden layer.
        hidden: usize,
    },
}

impl Arch {
    /// Its `kind` in a config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Logistic {} => "logistic",
            Self::Mlp { .. } => "mlp",
            Self::Lenet { .. } => "lenet",
        }
    }

    /// One small value of each kind.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::Logistic {},
            Self::Mlp { hidden: vec![64, 64] },
            Self::Lenet { filters: [8, 16], hidden: 64 },
        ]
    }

    /// Refuses a plan that cannot be built for rows of this shape and this many classes.
    pub fn check(&self, shape: InputShape, classes: usize) -> Result<()> {
        self.layers(shape, classes).map(|_| ())
    }

    /// The network, input to output.
    pub(super) fn network(&self, shape: InputShape, classes: usize) -> Result<Network> {
        self.layers(shape, classes).map(Network::new)
    }

    fn layers(&self, shape: InputShape, classes: usize) -> Result<Vec<Layer>> {
        if classes < 2 {
            return Err(Error::input("classes of a model", classes, "2 or more"));
        }
        if shape.is_empty() {
            return Err(Error::input("features of a model's rows", 0, "1 or more"));
        }
        match self {
            Self::Logistic {} => Ok(dense_stack(&[], shape.len(), classes, 0)),
            Self::Mlp { hidden } => {
                check_depth(hidden.len())?;
                for &width in hidden {
                    check_width("model.hidden", width)?;
                }
                Ok(dense_stack(hidden, shape.len(), classes, 0))
            }
            Self::Lenet { filters, hidden } => lenet(*filters, *hidden, shape, classes),
        }
    }
}

/// Fully connected layers with ReLU on all but the last, their parameters from `at` on.
fn dense_stack(hidden: &[usize], inputs: usize, classes: usize, at: usize) -> Vec<Layer> {
    let (mut from, mut at) = (inputs, at);
    let names = (1..=hidden.len()).map(|i| format!("hidden{i}")).chain(["output".into()]);
    let widths = hidden.iter().copied().chain([classes]);
    let stack = names.zip(widths).enumerate().map(|(i, (name, to))| {
        let activation = if i < hidden.len() { Activation::Relu } else { Activation::None };
        let draw = Draw::uniform(from);
        let layer = Dense { name, times: 1, from, to, activation, bias: true, draw, at };
        at += (from + 1) * to;
        from = to;
        Layer::Dense(layer)
    });
    stack.collect()
}

fn lenet(
    filters: [usize; 2],
    hidden: usize,
    shape: InputShape,
    classes: usize,
) -> Result<Vec<Layer>> {
    let expected = format!("images of at least {SMALLEST_IMAGE}x{SMALLEST_IMAGE} for `lenet`");
    let (c, h, w) = match shape {
        InputShape::Flat(d) => {
            return Err(Error::config("model.kind", format!("rows of {d} features"), expected));
        }
        InputShape::Image { h, w, .. } if h < SMALLEST_IMAGE || w < SMALLEST_IMAGE => {
            return Err(Error::config("model.kind", format!("images of {h}x{w}"), expected));
        }
        InputShape::Image { c, h, w } => (c, h, w),
    };
    filters.iter().try_for_each(|&f| check_width("model.filters", f))?;
    check_width("model.hidden", hidden)?;
    let [first, second] = filters;
    let second_at = (9 * c + 1) * first;
    let dense_at = second_at + (9 * first + 1) * second;
    let conv = |name: &str, c, h, w, filters, at| {
        Layer::Conv(Conv { name: name.into(), c, h, w, filters, at })
    };
    let mut layers = vec![
        conv("conv1", c, h, w, first, 0),
        conv("conv2", first, h / 2, w / 2, second, second_at),
    ];
    layers.extend(dense_stack(&[hidden], second * (h / 4) * (w / 4), classes, dense_at));
    Ok(layers)
}

fn check_depth(layers: usize) -> Result<()> {
    if (1..=DEEPEST).contains(&layers) {
        return Ok(());
    }
    let expected = format!("1 to {DEEPEST} hidden layers");
    Err(Error::config("model.hidden", format!("{layers} layers"), expected))
}

fn check_width(key: &str, width: usize) -> Result<()> {
    if (1..=WIDEST).contains(&width) {
        return Ok(());
    }
    Err(Error::config(key, width.to_string(), format!("1 to {WIDEST}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: InputShape = InputShape::Image { c: 1, h: 8, w: 8 };

    #[test]
    fn an_mlp_has_a_weight_and_a_bias_per_layer() {
        let network = Arch::Mlp { hidden: vec![5, 4] }.network(InputShape::Flat(3), 2).unwrap();
        let names: Vec<_> =
            network.slots().iter().map(|slot| (slot.name.clone(), slot.shape.clone())).collect();
        let expected = [
            ("hidden1.weight", vec![3, 5]),
            ("hidden1.bias", vec![5]),
            ("hidden2.weight", vec![5, 4]),
            ("hidden2.bias", vec![4]),
            ("output.weight", vec![4, 2]),
            ("output.bias", vec![2]),
        ];
        assert_eq!(names, expected.map(|(name, shape)| (name.to_string(), shape)));
    }

    #[test]
    fn dense_multiply_adds_are_the_parameters() {
        let network = Arch::Mlp { hidden: vec![64] }.network(InputShape::Flat(64), 10).unwrap();
        assert_eq!(network.multiply_adds(), 64 * 64 + 64 + 64 * 10 + 10);
        assert_eq!(network.parameters(), network.multiply_adds());
    }

    #[test]
    fn every_example_can_be_built_for_digits() {
        for arch in Arch::examples() {
            arch.check(DIGITS, 10).unwrap();
        }
    }

    #[test]
    fn a_plan_that_cannot_work_is_refused_with_its_key() {
        let lenet = Arch::Lenet { filters: [2, 3], hidden: 4 };
        let small = InputShape::Image { c: 1, h: 7, w: 28 };
        let cases = [
            (lenet.check(InputShape::Flat(64), 10), "model.kind: found rows of 64 features"),
            (lenet.check(small, 10), "model.kind: found images of 7x28"),
            (Arch::Mlp { hidden: vec![] }.check(DIGITS, 10), "model.hidden: found 0 layers"),
            (Arch::Mlp { hidden: vec![0] }.check(DIGITS, 10), "model.hidden: found 0, expected 1"),
            (Arch::Mlp { hidden: vec![9000] }.check(DIGITS, 10), "model.hidden: found 9000"),
            (Arch::Logistic {}.check(DIGITS, 1), "classes of a model: found 1"),
        ];
        for (result, expected) in cases {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
