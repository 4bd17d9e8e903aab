//! What may be asked and what counts as right: data sets, splits, loaders.
//!
//! The room knows files and rows. It does not know models, oracles or students.
//! A loader refuses a file that is not whole, and names the file, the place, what is there and what
//! should be.

pub mod csv;
mod digits;
pub mod idx;
pub mod npy;
mod registry;
mod spec;
mod split;
pub mod suite;
pub mod traffic;

use ndarray::Array2;

use crate::error::{Error, Result};
pub use crate::model::InputShape;
pub use digits::digits;
pub use registry::{Card, cards, check, load, load_csv, load_idx, load_npy};
pub use spec::{DatasetSpec, Files};
pub use split::{PoolPart, Split, SplitSpec, TestPart};

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
    /// The first row of the set's own test part, which reaches to the end; none where it has no such part.
    pub test_from: Option<usize>,
}

impl Dataset {
    /// A data set of `inputs` `[n, d]` and `labels` `[n]`, refused unless every value is finite,
    /// every label is below `classes` and `shape` has d features. `range` is (smallest, largest).
    pub fn new(
        name: impl Into<String>,
        inputs: Array2<f32>,
        labels: Vec<usize>,
        classes: usize,
        shape: InputShape,
        range: (f32, f32),
    ) -> Result<Self> {
        let name = name.into();
        if inputs.nrows() != labels.len() {
            let (found, expected) = (labels.len(), inputs.nrows());
            return Err(Error::data(
                name,
                "labels",
                format!("{found} labels"),
                format!("{expected}, one for each row of inputs"),
            ));
        }
        if inputs.ncols() != shape.len() || inputs.is_empty() {
            let found = format!("{} rows of {} features", inputs.nrows(), inputs.ncols());
            let expected = format!("rows of {} features, at least one", shape.len());
            return Err(Error::data(name, "inputs", found, expected));
        }
        if !(range.0.is_finite() && range.1.is_finite() && range.0 <= range.1) {
            let found = format!("{} to {}", range.0, range.1);
            return Err(Error::data(name, "range", found, "smallest and largest finite value"));
        }
        if let Some(((row, column), value)) = inputs.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let place = format!("row {row}, column {column}");
            return Err(Error::data(name, place, value.to_string(), "a finite number"));
        }
        if let Some((row, label)) = labels.iter().enumerate().find(|(_, l)| **l >= classes) {
            let expected = format!("a class below {classes}");
            return Err(Error::data(
                name,
                format!("label of row {row}"),
                label.to_string(),
                expected,
            ));
        }
        let hash = content_hash(&inputs, &labels);
        Ok(Self { name, inputs, labels, classes, shape, range, hash, test_from: None })
    }

    /// The same rows, of which those from `first` on are the set's own test part.
    fn with_test_part(self, first: usize) -> Self {
        Self { test_from: Some(first), ..self }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True for a data set of no rows; [`Dataset::new`] makes none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// blake3, in hex, of the shape, the inputs and the labels, all little-endian.
fn content_hash(inputs: &Array2<f32>, labels: &[usize]) -> String {
    let mut hasher = blake3::Hasher::new();
    for n in [inputs.nrows(), inputs.ncols()] {
        hasher.update(&(n as u64).to_le_bytes());
    }
    let mut bytes = Vec::with_capacity(inputs.ncols() * 4);
    for row in inputs.rows() {
        bytes.clear();
        bytes.extend(row.iter().flat_map(|v| v.to_le_bytes()));
        hasher.update(&bytes);
    }
    for &label in labels {
        hasher.update(&(label as u64).to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Smallest and largest value of `inputs`; (0, 0) without values.
pub(crate) fn observed_range(inputs: &Array2<f32>) -> (f32, f32) {
    if inputs.is_empty() {
        return (0.0, 0.0);
    }
    inputs
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ndarray::array;
    use std::path::PathBuf;

    /// A fresh folder for the files of one test.
    pub(crate) fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("retort-data-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn two(inputs: Array2<f32>, labels: Vec<usize>) -> Result<Dataset> {
        Dataset::new("two", inputs, labels, 2, InputShape::Flat(2), (0.0, 1.0))
    }

    #[test]
    fn the_hash_covers_values_labels_and_shape() {
        let a = two(array![[0.0, 1.0], [1.0, 0.0]], vec![0, 1]).unwrap();
        let b = two(array![[0.0, 1.0], [1.0, 0.0]], vec![1, 1]).unwrap();
        let c = two(array![[0.0, 1.0], [1.0, 0.5]], vec![0, 1]).unwrap();
        assert_eq!(a.hash.len(), 64);
        assert_eq!(a.hash, two(array![[0.0, 1.0], [1.0, 0.0]], vec![0, 1]).unwrap().hash);
        assert!(a.hash != b.hash && a.hash != c.hash);
    }

    #[test]
    fn a_value_that_is_not_finite_is_refused_with_its_place() {
        let message = two(array![[0.0, 1.0], [1.0, f32::NAN]], vec![0, 1]).unwrap_err().to_string();
        assert_eq!(message, "two: row 1, column 1: found NaN, expected a finite number");
    }

    #[test]
    fn labels_out_of_range_or_out_of_number_are_refused() {
        let message = two(array![[0.0, 1.0]], vec![2]).unwrap_err().to_string();
        assert_eq!(message, "two: label of row 0: found 2, expected a class below 2");
        assert!(two(array![[0.0, 1.0]], vec![0, 1]).is_err());
        assert!(two(array![[0.0]], vec![0]).is_err());
        assert!(two(Array2::zeros((0, 2)), vec![]).is_err());
    }
}
