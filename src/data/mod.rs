//! What may be asked and what counts as right: data sets, splits, loaders.
//!
//! The room knows files and rows. It does not know models, oracles or students.

use ndarray::Array2;

pub use crate::model::InputShape;

/// Labelled rows and where they came from.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Registry name or file stem.
    pub name: String,
    /// `[n, d]` features, scaled to `range`.
    pub inputs: Array2<f32>,
    /// `[n]` class numbers, below `classes`.
    pub labels: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
    /// How a row is laid out.
    pub shape: InputShape,
    /// Smallest and largest valid feature value: inputs made by a student are clipped to it.
    pub range: (f32, f32),
    /// blake3 of inputs and labels, in hex.
    pub hash: String,
}

/// Row numbers of a data set, each used for one purpose only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// What the teacher learns from.
    pub teacher: Vec<usize>,
    /// What students may ask.
    pub pool: Vec<usize>,
    /// Rows with true labels that everyone has: seeds, and the `public` reference.
    pub public: Vec<usize>,
    /// What honest users ask.
    pub traffic: Vec<usize>,
    /// What everyone is measured on.
    pub test: Vec<usize>,
}
