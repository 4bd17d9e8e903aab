//! Regressions: reference vectors, and models that answer exactly or rounded. Trees have a file of their own.

mod trees;

use ndarray::{Array1, Array2, array};
use serde_json::Value;

use super::*;
use crate::seed::normal;

fn cases(method: &str) -> Vec<Value> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/extraction.json"));
    let all: Value = serde_json::from_str(text).unwrap();
    let cases = all["cases"].as_array().unwrap().iter();
    cases.filter(|case| case["method"] == method).cloned().collect()
}

fn vector(value: &Value) -> Array1<f64> {
    serde_json::from_value::<Vec<f64>>(value.clone()).unwrap().into()
}

fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

/// Largest difference of the entries of two arrays.
fn apart<D: ndarray::Dimension>(a: &ndarray::Array<f64, D>, b: &ndarray::Array<f64, D>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    (a - b).iter().fold(0.0, |most: f64, d| most.max(d.abs()))
}

fn within(case: &Value, found: f64, expected: f64) {
    let of = |key: &str| case["tolerance"][key].as_f64().unwrap();
    let off = (found - expected).abs();
    assert!(off <= of("abs") + of("rel") * expected.abs(), "{}: {found}, {expected}", case["id"]);
}

#[test]
fn binary_regressions_match_the_reference_vectors() {
    let all = cases("lr_equation_solving");
    assert_eq!(all.len(), 5);
    for case in all {
        let (input, expected) = (&case["input"], &case["expected"]);
        let found = binary(matrix(&input["X"]).view(), vector(&input["p"]).view()).unwrap();
        let weights = vector(&expected["w"]);
        assert_eq!(found.weights.len(), weights.len());
        found.weights.iter().zip(&weights).for_each(|(&f, &e)| within(&case, f, e));
        within(&case, found.bias, expected["b"].as_f64().unwrap());
        let dropped: Vec<usize> = serde_json::from_value(expected["dropped"].clone()).unwrap();
        assert_eq!(found.dropped, dropped);
    }
}

#[test]
fn rounded_binary_regressions_match_the_reference_vectors() {
    let all = cases("lr_rounded");
    assert_eq!(all.len(), 6);
    for case in all {
        let (input, expected) = (&case["input"], &case["expected"]);
        let found = binary(matrix(&input["X"]).view(), vector(&input["p"]).view()).unwrap();
        let weights = vector(&expected["w_hat"]);
        found.weights.iter().zip(&weights).for_each(|(&f, &e)| within(&case, f, e));
        within(&case, found.bias, expected["b_hat"].as_f64().unwrap());
        let off = apart(&found.weights, &vector(&input["w_true"]));
        let off = off.max((found.bias - input["b_true"].as_f64().unwrap()).abs());
        within(&case, off, expected["max_err"].as_f64().unwrap());
    }
}

#[test]
fn softmax_regressions_match_the_reference_vectors() {
    let all = cases("softmax_lr_shift");
    assert_eq!(all.len(), 2);
    for case in all {
        let (input, expected) = (&case["input"], &case["expected"]);
        let found = softmax(matrix(&input["X"]).view(), matrix(&input["P"]).view()).unwrap();
        let weights = matrix(&expected["W_minus_W0"]);
        found.weights.iter().zip(&weights).for_each(|(&f, &e)| within(&case, f, e));
        let bias = vector(&expected["b_minus_b0"]);
        found.bias.iter().zip(&bias).for_each(|(&f, &e)| within(&case, f, e));
    }
}

fn logistic(z: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-z))
}

fn rounded(p: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (p * scale).round() / scale
}

/// Weights `[classes, d]` and biases, drawn from a normal distribution.
fn drawn(classes: usize, d: usize, seed: u64) -> (Array2<f64>, Array1<f64>) {
    let mut rng = Seed::new(seed).rng();
    let weights = Array2::from_shape_simple_fn((classes, d), || normal(&mut rng));
    (weights, Array1::from_shape_simple_fn(classes, || normal(&mut rng)))
}

/// Values of the classes at a row.
fn values(weights: &Array2<f64>, bias: &Array1<f64>, row: &[f64]) -> Array1<f64> {
    weights.dot(&Array1::from(row.to_vec())) + bias
}

fn over_sum(of: Array1<f64>) -> Vec<f64> {
    let sum = of.sum();
    of.iter().map(|x| x / sum).collect()
}

#[test]
fn a_question_for_each_unknown_is_enough_and_no_fewer() {
    let (weights, bias) = drawn(1, 30, 1);
    let ranges = [(-1.0, 1.0); 30];
    let mut ask = |row: &[f64]| Ok(vec![logistic(values(&weights, &bias, row)[0])]);
    let mut oracle = Oracle::new(&mut ask);
    let rows = points(31, &ranges, Seed::new(2));
    let p = oracle.answers(&rows).unwrap();
    assert_eq!(oracle.queries(), 31);
    let found = binary(rows.view(), p.column(0)).unwrap();
    assert!(apart(&found.weights, &weights.row(0).to_owned()) < 1e-8);
    assert!((found.bias - bias[0]).abs() < 1e-8);
    let few = rows.slice(ndarray::s![..30, ..]);
    let error = binary(few, p.slice(ndarray::s![..30, 0])).unwrap_err().to_string();
    assert!(error.contains("found 30, expected 31 or more"), "{error}");
}

#[test]
fn rounding_costs_questions_and_hides_nothing() {
    let (weights, bias) = drawn(1, 5, 3);
    let off = |n: usize| {
        let mut ask = |row: &[f64]| Ok(vec![rounded(logistic(values(&weights, &bias, row)[0]), 2)]);
        let mut oracle = Oracle::new(&mut ask);
        let rows = points(n, &[(-1.0, 1.0); 5], Seed::new(4));
        let p = oracle.answers(&rows).unwrap();
        assert_eq!(oracle.queries(), n as u64);
        let found = binary(rows.view(), p.column(0)).unwrap();
        apart(&found.weights, &weights.row(0).to_owned()).max((found.bias - bias[0]).abs())
    };
    // An answer is off by .003 and its log-odds by five times that; of n answers a weight keeps its
    // share over the square root of n / 3.
    let (few, many) = (off(6), off(6_000));
    assert!(many < 0.005 && few > 4.0 * many, "{few}, {many}");
}

#[test]
fn softmax_needs_as_many_questions_as_two_classes() {
    let (weights, bias) = drawn(5, 12, 5);
    let mut ask = |row: &[f64]| Ok(over_sum(values(&weights, &bias, row).mapv(libm::exp)));
    let mut oracle = Oracle::new(&mut ask);
    let rows = points(13, &[(-1.0, 1.0); 12], Seed::new(6));
    let p = oracle.answers(&rows).unwrap();
    assert_eq!(oracle.queries(), 13);
    let found = softmax(rows.view(), p.view()).unwrap();
    assert!(apart(&found.weights, &(&weights - &weights.row(0))) < 1e-8);
    assert!(apart(&found.bias, &(&bias - bias[0])) < 1e-8);
}

#[test]
fn regressions_against_the_rest_are_solved_from_sums_of_one() {
    for (classes, d, seed) in [(3, 2, 7), (5, 8, 8), (10, 4, 9), (2, 3, 10)] {
        let (weights, bias) = drawn(classes, d, seed);
        let ask = |row: &[f64]| over_sum(values(&weights, &bias, row).mapv(logistic));
        let mut answer = |row: &[f64]| Ok(ask(row));
        let mut oracle = Oracle::new(&mut answer);
        // As many as the paper: a question for each unknown.
        let n = classes * (d + 1);
        let rows = points(n, &vec![(-1.0, 1.0); d], Seed::new(seed));
        let p = oracle.answers(&rows).unwrap();
        assert_eq!(oracle.queries(), n as u64);
        let found = one_vs_rest(rows.view(), p.view()).unwrap();
        assert!(apart(&found.weights, &weights) < 1e-5, "{classes} classes, {d} features");
        assert!(apart(&found.bias, &bias) < 1e-5, "{classes} classes, {d} features");
        for row in points(100, &vec![(-1.0, 1.0); d], Seed::new(99)).rows() {
            let row = row.to_vec();
            let copy = over_sum(values(&found.weights, &found.bias, &row).mapv(logistic));
            let off = copy.iter().zip(ask(&row)).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f64::max) < 1e-6);
        }
    }
}

#[test]
fn answers_that_are_no_probabilities_are_refused() {
    let rows = array![[0.0], [1.0]];
    let error = binary(rows.view(), array![0.5, 1.5].view()).unwrap_err().to_string();
    assert!(error.contains("probability of row 1, column 0: found 1.5"), "{error}");
    assert!(binary(rows.view(), array![0.5].view()).is_err());
    assert!(binary(rows.view(), array![0.5, f64::NAN].view()).is_err());
    assert!(softmax(rows.view(), array![[0.5, 0.5], [1.0, 0.0]].view()).is_err());
    assert!(one_vs_rest(rows.view(), array![[1.0], [1.0]].view()).is_err());
    // Two classes of two unknowns each want four answers.
    let half = array![[0.5, 0.5], [0.5, 0.5]];
    let error = one_vs_rest(rows.view(), half.view()).unwrap_err().to_string();
    assert!(error.contains("found 2, expected 4 or more"), "{error}");
    let error = near_zero(array![[0.0], [f64::NAN]].view(), half.view()).unwrap_err().to_string();
    assert!(error.contains("rows of equations, row 1, column 0: found NaN"), "{error}");
    assert_eq!(near_zero(rows.view(), half.view()).unwrap().weights, array![[0.0], [0.0]]);
    let mut uneven = |row: &[f64]| Ok(vec![0.5; 1 + row[0] as usize]);
    assert!(Oracle::new(&mut uneven).answers(&rows).is_err());
}
