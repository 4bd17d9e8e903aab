//! From a network's plan to its layers: which weights there are, their shapes and their order.
//!
//! The small convolutional network follows LeCun et al. 1998 in outline: convolution, pooling,
//! convolution, pooling, a hidden layer. This file knows sizes only, never values.

use serde::{Deserialize, Serialize};

use super::InputShape;
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

/// One layer: a matrix product, and what happens around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    /// Stem of its parameter names.
    pub name: String,
    /// What is multiplied.
    pub kind: LayerKind,
}

/// What a layer multiplies its weights with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LayerKind {
    /// `[n, from]` -> `[n, to]`, with ReLU on every layer but the last.
    Dense { from: usize, to: usize, relu: bool },
    /// 3x3 patches of an image, ReLU, 2x2 max pooling: `[n, c*h*w]` -> `[n, (h/2)*(w/2)*filters]`.
    Conv { image: Image, filters: usize },
}

/// How a row holds an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub c: usize,
    pub h: usize,
    pub w: usize,
    /// `[c, h, w]` as data sets have it; otherwise `[h, w, c]`, as layers hand it on.
    pub channels_first: bool,
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

    /// The layers, input to output.
    pub(super) fn layers(&self, shape: InputShape, classes: usize) -> Result<Vec<Layer>> {
        if classes < 2 {
            return Err(Error::input("classes of a model", classes, "2 or more"));
        }
        if shape.is_empty() {
            return Err(Error::input("features of a model's rows", 0, "1 or more"));
        }
        match self {
            Self::Logistic {} => Ok(dense_stack(&[], shape.len(), classes)),
            Self::Mlp { hidden } => {
                check_depth(hidden.len())?;
                for &width in hidden {
                    check_width("model.hidden", width)?;
                }
                Ok(dense_stack(hidden, shape.len(), classes))
            }
            Self::Lenet { filters, hidden } => lenet(*filters, *hidden, shape, classes),
        }
    }
}

impl Layer {
    /// Names and shapes of its weight and its bias.
    pub(super) fn parameters(&self) -> [(String, Vec<usize>); 2] {
        let (from, to) = self.matrix();
        [
            (format!("{}.weight", self.name), vec![from, to]),
            (format!("{}.bias", self.name), vec![to]),
        ]
    }

    /// Rows and columns of its weights. The rows are also the fan in of its initialisation.
    pub(super) const fn matrix(&self) -> (usize, usize) {
        match self.kind {
            LayerKind::Dense { from, to, .. } => (from, to),
            LayerKind::Conv { image, filters } => (9 * image.c, filters),
        }
    }

    /// Multiply-adds of one row, the bias counted as one more input.
    pub(super) const fn multiply_adds(&self) -> usize {
        let (from, to) = self.matrix();
        match self.kind {
            LayerKind::Dense { .. } => (from + 1) * to,
            LayerKind::Conv { image, .. } => image.h * image.w * (from + 1) * to,
        }
    }

    /// Numbers that one row needs at its widest.
    pub(super) const fn width(&self) -> usize {
        let (from, to) = self.matrix();
        match self.kind {
            LayerKind::Dense { .. } => from + to,
            LayerKind::Conv { image, .. } => image.h * image.w * (from + to),
        }
    }
}

fn dense_stack(hidden: &[usize], inputs: usize, classes: usize) -> Vec<Layer> {
    let mut from = inputs;
    let mut layers = Vec::new();
    for (i, &to) in hidden.iter().enumerate() {
        let kind = LayerKind::Dense { from, to, relu: true };
        layers.push(Layer { name: format!("hidden{}", i + 1), kind });
        from = to;
    }
    let kind = LayerKind::Dense { from, to: classes, relu: false };
    layers.push(Layer { name: "output".into(), kind });
    layers
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
    let first = Image { c, h, w, channels_first: true };
    let second = Image { c: filters[0], h: h / 2, w: w / 2, channels_first: false };
    let flat = filters[1] * (h / 4) * (w / 4);
    let mut layers = vec![
        Layer { name: "conv1".into(), kind: LayerKind::Conv { image: first, filters: filters[0] } },
        Layer {
            name: "conv2".into(),
            kind: LayerKind::Conv { image: second, filters: filters[1] },
        },
    ];
    layers.extend(dense_stack(&[hidden], flat, classes));
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
        let layers = Arch::Mlp { hidden: vec![5, 4] }.layers(InputShape::Flat(3), 2).unwrap();
        let names: Vec<_> = layers.iter().flat_map(Layer::parameters).collect();
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
        let layers = Arch::Mlp { hidden: vec![64] }.layers(InputShape::Flat(64), 10).unwrap();
        let sum: usize = layers.iter().map(Layer::multiply_adds).sum();
        assert_eq!(sum, 64 * 64 + 64 + 64 * 10 + 10);
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
