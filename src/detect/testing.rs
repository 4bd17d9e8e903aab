//! Reading the reference vectors of the detectors.

use ndarray::Array2;
use serde_json::Value;

/// The cases of one method; there are `count` of them.
pub fn cases(method: &str, count: usize) -> Vec<Value> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/detectors.json"));
    let file: Value = serde_json::from_str(text).unwrap();
    let all = file["cases"].as_array().unwrap();
    let of_method: Vec<Value> = all.iter().filter(|c| c["method"] == method).cloned().collect();
    assert_eq!(of_method.len(), count, "{method}");
    of_method
}

pub fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("a number, not {v}"))
}

pub fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(number).collect()
}

/// Rows of equal length.
pub fn matrix(v: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = v.as_array().unwrap().iter().map(numbers).collect();
    let shape = (rows.len(), rows[0].len());
    Array2::from_shape_vec(shape, rows.concat()).unwrap()
}

/// Holds a number to the case's own tolerance.
pub fn close(case: &Value, got: f64, expected: &Value) {
    let (abs, rel) = (number(&case["tolerance"]["abs"]), number(&case["tolerance"]["rel"]));
    let expected = number(expected);
    assert!(
        (got - expected).abs() <= abs + rel * expected.abs(),
        "{}: got {got}, expected {expected}",
        case["id"]
    );
}
