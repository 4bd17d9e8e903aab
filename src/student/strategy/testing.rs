//! Reference vectors, read for tests, and a model and a view to test with.

use ndarray::{Array2, ArrayView2};
use serde_json::Value;

use super::{Own, Strategy, Told};
use crate::error::Result;
use crate::model::InputShape;
use crate::oracle::Answers;
use crate::student::View;

/// Cases of `method` in the vectors of students.
pub(crate) fn vectors(method: &str) -> Vec<Value> {
    vectors_of("attacks-classifier", method)
}

/// Cases of `method` in a file of vectors.
pub(crate) fn vectors_of(file: &str, method: &str) -> Vec<Value> {
    let text = match file {
        "losses" => {
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/losses.json"))
        }
        _ => include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/vectors/attacks-classifier.json"
        )),
    };
    let file: Value = serde_json::from_str(text).unwrap();
    let cases = file["cases"].as_array().unwrap().iter();
    cases.filter(|c| c["method"] == method).cloned().collect()
}

/// A matrix of numbers.
pub(crate) fn matrix(value: &Value) -> Array2<f64> {
    let rows = value.as_array().unwrap();
    let width = rows[0].as_array().unwrap().len();
    Array2::from_shape_fn((rows.len(), width), |(i, j)| rows[i][j].as_f64().unwrap())
}

/// A list of whole numbers.
pub(crate) fn whole(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

/// A model that knows a row by its first feature, which is also its probability of class 0 of 2: its boundary is at
/// 0.5, and logits rise along that feature alone.
pub(crate) struct Plain;

impl Own for Plain {
    fn logits(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        Ok(Array2::from_shape_fn((inputs.nrows(), 2), |(i, c)| {
            if c == 0 { inputs[[i, 0]] } else { 1.0 - inputs[[i, 0]] }
        }))
    }

    fn probs(&self, inputs: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        Ok(self.logits(inputs)?.mapv(f64::from))
    }

    fn input_grad(&self, inputs: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>> {
        let mut slope = Array2::zeros(inputs.dim());
        class.iter().enumerate().for_each(|(i, &c)| slope[[i, 0]] = [1.0, -1.0][c]);
        Ok(slope)
    }
}

/// What a student of two classes knows, features 0 to 1.
pub(crate) fn view_of<'a>(pool: &'a Array2<f32>, public: &'a Array2<f32>) -> View<'a> {
    View {
        pool,
        public,
        public_labels: None,
        left: 1000,
        budget: 1000,
        classes: 2,
        shape: InputShape::Flat(pool.ncols()),
        range: (0.0, 1.0),
    }
}

/// Tells a strategy that all rows of its last pick were answered.
pub(crate) fn tell(strategy: &mut dyn Strategy, inputs: &Array2<f32>, answers: &Answers) {
    let places: Vec<usize> = (0..inputs.nrows()).collect();
    strategy.told(&Told { places: &places, inputs, answers }).unwrap();
}
