//! Reference vectors, read for tests.

use ndarray::Array2;
use serde_json::Value;

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
