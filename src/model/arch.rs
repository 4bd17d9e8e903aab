//! From a model's plan to its layers: which weights there are, their shapes and their order.
//!
//! The small convolutional network follows LeCun et al. 1998 in outline: convolution, pooling,
//! convolution, pooling, a hidden layer. This file knows sizes only, never values. A decision tree has no layers: its
//! plan bounds what `tree` grows.

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
/// Deepest decision tree that is grown.
const DEEPEST_TREE: usize = 64;
/// Most rows that a leaf may be asked to have.
const FULLEST_LEAF: usize = 1_000_000;

/// A model's plan, as configs write it.
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
    /// Convolutions with ReLU, one after another, then fully connected ReLU layers. Images only.
    Cnn {
        /// The convolutions, 1 to 8.
        conv: Vec<ConvPlan>,
        /// Units of each hidden layer, 0 to 8 layers.
        hidden: Vec<usize>,
    },
    /// A decision tree, grown split by split (CART, Breiman et al. 1984). It has no gradient, and of the training
    /// settings none counts.
    #[serde(rename_all = "kebab-case")]
    Tree {
        /// Most splits between the root and a leaf, 1 to 64.
        #[serde(default = "eight")]
        depth: usize,
        /// Fewest training rows of a leaf, 1 to 1000000.
        #[serde(default = "five")]
        leaf_rows: usize,
        /// Whether a leaf of n rows and k classes answers (n_c + 1) / (n + k) in place of n_c / n (Laplace's rule), so
        /// that pure leaves of different sizes answer differently.
        #[serde(default, skip_serializing_if = "super::is_default")]
        laplace: bool,
    },
    /// A logistic regression a class, each learnt against the rest; answers are the regressions' probabilities over their
    /// sum. It has no gradient; the training settings hold for each regression.
    OneVsRest {},
}

/// A convolution with bias and ReLU, and max pooling over 2x2 if asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConvPlan {
    /// Filters.
    pub filters: usize,
    /// Height and width of a patch: 1, 3, 5 or 7.
    #[serde(default = "three")]
    pub kernel: usize,
    /// Zeros around the image, 0 to half of the kernel's size less one.
    #[serde(default)]
    pub pad: usize,
    /// Whether the largest of each 2x2 sums is kept alone.
    #[serde(default)]
    pub pool: bool,
}

const fn three() -> usize {
    3
}

const fn five() -> usize {
    5
}

const fn eight() -> usize {
    8
}

impl Arch {
    /// Its `kind` in a config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Logistic {} => "logistic",
            Self::Mlp { .. } => "mlp",
            Self::Lenet { .. } => "lenet",
            Self::Cnn { .. } => "cnn",
            Self::Tree { .. } => "tree",
            Self::OneVsRest {} => "one-vs-rest",
        }
    }

    /// True for networks: they learn by gradients, and have features and gradients to be asked for.
    pub const fn has_gradients(&self) -> bool {
        !matches!(self, Self::Tree { .. } | Self::OneVsRest {})
    }

    /// One small value of each kind.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::Logistic {},
            Self::Mlp { hidden: vec![64, 64] },
            Self::Lenet { filters: [8, 16], hidden: 64 },
            Self::Cnn {
                conv: vec![
                    ConvPlan { filters: 8, kernel: 5, pad: 2, pool: true },
                    ConvPlan { filters: 12, kernel: 3, pad: 0, pool: false },
                ],
                hidden: vec![48],
            },
            Self::Tree { depth: eight(), leaf_rows: five(), laplace: false },
            Self::OneVsRest {},
        ]
    }

    /// Refuses a plan that cannot be built for rows of this shape and this many classes.
    pub fn check(&self, shape: InputShape, classes: usize) -> Result<()> {
        check_rows(shape, classes)?;
        match *self {
            Self::Tree { depth, leaf_rows, .. } => {
                check_within("model.depth", depth, DEEPEST_TREE)?;
                check_within("model.leaf-rows", leaf_rows, FULLEST_LEAF)
            }
            _ => self.layers(shape, classes).map(|_| ()),
        }
    }

    /// The network, input to output; a tree is none. That of one-vs-rest has the weights of the regressions, which answer
    /// in their own way.
    pub(super) fn network(&self, shape: InputShape, classes: usize) -> Result<Network> {
        self.layers(shape, classes).map(Network::new)
    }

    fn layers(&self, shape: InputShape, classes: usize) -> Result<Vec<Layer>> {
        check_rows(shape, classes)?;
        match self {
            Self::Logistic {} | Self::OneVsRest {} => Ok(dense_stack(&[], shape.len(), classes, 0)),
            Self::Mlp { hidden } => {
                check_depth(hidden.len())?;
                for &width in hidden {
                    check_width("model.hidden", width)?;
                }
                Ok(dense_stack(hidden, shape.len(), classes, 0))
            }
            Self::Lenet { filters, hidden } => lenet(*filters, *hidden, shape, classes),
            Self::Cnn { conv, hidden } => cnn(conv, hidden, shape, classes),
            Self::Tree { .. } => Err(Error::input("layers of a model", "a tree", "a network")),
        }
    }
}

fn check_rows(shape: InputShape, classes: usize) -> Result<()> {
    if classes < 2 {
        return Err(Error::input("classes of a model", classes, "2 or more"));
    }
    if shape.is_empty() {
        return Err(Error::input("features of a model's rows", 0, "1 or more"));
    }
    Ok(())
}

/// Fully connected layers with ReLU on all but the last, their parameters from `at` on.
fn dense_stack(hidden: &[usize], inputs: usize, classes: usize, at: usize) -> Vec<Layer> {
    let (mut from, mut at) = (inputs, at);
    let names = (1..=hidden.len()).map(|i| format!("hidden{i}")).chain(["output".into()]);
    let widths = hidden.iter().copied().chain([classes]);
    let stack = names.zip(widths).enumerate().map(|(i, (name, to))| {
        let activation = if i < hidden.len() { Activation::Relu } else { Activation::None };
        let draw = Draw::Fans { into: from, out: to };
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
    let conv = filters.map(|filters| ConvPlan { filters, kernel: 3, pad: 1, pool: true });
    Ok(convolutional(&conv, &[hidden], (c, h, w), classes))
}

fn cnn(
    conv: &[ConvPlan],
    hidden: &[usize],
    shape: InputShape,
    classes: usize,
) -> Result<Vec<Layer>> {
    let InputShape::Image { c, h, w } = shape else {
        let found = format!("rows of {} features", shape.len());
        return Err(Error::config("model.kind", found, "images for `cnn`"));
    };
    if !(1..=DEEPEST).contains(&conv.len()) {
        let expected = format!("1 to {DEEPEST} convolutions");
        return Err(Error::config("model.conv", format!("{} of them", conv.len()), expected));
    }
    if hidden.len() > DEEPEST {
        let expected = format!("0 to {DEEPEST} hidden layers");
        return Err(Error::config("model.hidden", format!("{} layers", hidden.len()), expected));
    }
    hidden.iter().try_for_each(|&width| check_width("model.hidden", width))?;
    let (mut high, mut wide) = (h, w);
    for (i, plan) in conv.iter().enumerate() {
        let at = |key: &str| format!("model.conv[{i}].{key}");
        check_width(&at("filters"), plan.filters)?;
        if ![1, 3, 5, 7].contains(&plan.kernel) {
            return Err(Error::config(at("kernel"), plan.kernel.to_string(), "1, 3, 5 or 7"));
        }
        let most = (plan.kernel - 1) / 2;
        if plan.pad > most {
            let expected = format!("0 to {most} for a kernel of {}", plan.kernel);
            return Err(Error::config(at("pad"), plan.pad.to_string(), expected));
        }
        let after = |n: usize| {
            let sums = (n + 2 * plan.pad + 1).checked_sub(plan.kernel);
            sums.map(|n| if plan.pool { n / 2 } else { n }).filter(|n| *n > 0)
        };
        let (Some(h), Some(w)) = (after(high), after(wide)) else {
            let expected = "images that a convolution leaves something of";
            return Err(Error::config(at("kernel"), format!("images of {high}x{wide}"), expected));
        };
        (high, wide) = (h, w);
    }
    Ok(convolutional(conv, hidden, (c, h, w), classes))
}

/// Convolutions over an image (channels, height, width), then fully connected layers.
fn convolutional(
    conv: &[ConvPlan],
    hidden: &[usize],
    (mut c, mut h, mut w): (usize, usize, usize),
    classes: usize,
) -> Vec<Layer> {
    let (mut layers, mut at) = (Vec::new(), 0);
    for (i, &ConvPlan { filters, kernel, pad, pool }) in conv.iter().enumerate() {
        let layer =
            Conv { name: format!("conv{}", i + 1), c, h, w, filters, kernel, pad, pool, at };
        at += (kernel * kernel * c + 1) * filters;
        (h, w) = layer.out();
        c = filters;
        layers.push(Layer::Conv(layer));
    }
    layers.extend(dense_stack(hidden, c * h * w, classes, at));
    layers
}

fn check_depth(layers: usize) -> Result<()> {
    if (1..=DEEPEST).contains(&layers) {
        return Ok(());
    }
    let expected = format!("1 to {DEEPEST} hidden layers");
    Err(Error::config("model.hidden", format!("{layers} layers"), expected))
}

fn check_width(key: &str, width: usize) -> Result<()> {
    check_within(key, width, WIDEST)
}

fn check_within(key: &str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::config(key, value.to_string(), format!("1 to {most}")))
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

    /// Two convolutions: one that leaves 6x6 of the digits, and one to be tried there.
    fn cnn(kernel: usize, pad: usize) -> Arch {
        let first = ConvPlan { filters: 2, kernel: 3, pad: 0, pool: false };
        let conv = vec![first, ConvPlan { kernel, pad, ..first }];
        Arch::Cnn { conv, hidden: vec![] }
    }

    fn tree(depth: usize, leaf_rows: usize) -> Arch {
        Arch::Tree { depth, leaf_rows, laplace: false }
    }

    #[test]
    fn a_network_of_convolutions_has_the_sizes_that_arithmetic_gives() {
        let network = cnn(5, 1).network(DIGITS, 10).unwrap();
        let shapes: Vec<_> = network.slots().iter().map(|slot| slot.shape.clone()).collect();
        // 8x8, 6x6 of two filters, 4x4 of two filters.
        let expected = [vec![9, 2], vec![2], vec![50, 2], vec![2], vec![2 * 4 * 4, 10], vec![10]];
        assert_eq!(shapes, expected);
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
            (cnn(5, 3).check(DIGITS, 10), "model.conv[1].pad: found 3, expected 0 to 2"),
            (cnn(2, 0).check(DIGITS, 10), "model.conv[1].kernel: found 2, expected 1, 3, 5 or 7"),
            (cnn(7, 0).check(DIGITS, 10), "model.conv[1].kernel: found images of 6x6"),
            (tree(0, 5).check(DIGITS, 10), "model.depth: found 0, expected 1 to 64"),
            (tree(65, 5).check(DIGITS, 10), "model.depth: found 65"),
            (tree(8, 0).check(DIGITS, 10), "model.leaf-rows: found 0, expected 1 to"),
            (tree(8, 5).check(DIGITS, 1), "classes of a model: found 1"),
        ];
        for (result, expected) in cases {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
