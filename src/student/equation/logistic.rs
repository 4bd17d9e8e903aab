//! Logistic regressions from their probabilities: linear equations, exact where probabilities are (Tramer et al.
//! 2016, section 4.1). Rounded ones leave an error that falls with the number of questions.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, concatenate, s};

use crate::error::{Error, Result, expect_shape};
use crate::student::linear::least_squares;

/// A regression of two classes: log(p / (1 - p)) = w x + b.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// `[d]`
    pub weights: Array1<f64>,
    pub bias: f64,
    /// Rows whose answer was 0 or 1 and says nothing.
    pub dropped: Vec<usize>,
}

/// A regression of several classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    /// `[classes, d]`
    pub weights: Array2<f64>,
    /// `[classes]`
    pub bias: Array1<f64>,
    /// Rows with an answer of 0 or 1, which say nothing.
    pub dropped: Vec<usize>,
}

/// Two classes from rows `[n, d]` and the probabilities `[n]` of class 1: exact from d + 1 rows in general
/// position, the least squares of log-odds from more.
pub fn binary(rows: ArrayView2<'_, f64>, p: ArrayView1<'_, f64>) -> Result<Logistic> {
    let p = p.insert_axis(Axis(1));
    let (rows, p, dropped) = usable(rows, p, rows.ncols() + 1)?;
    let odds = p.mapv(|p| libm::log(p) - libm::log1p(-p));
    let solved = least_squares(with_one(rows.view()).view(), odds.view())?; // [d + 1, 1]
    let d = rows.ncols();
    let weights = solved.slice(s![..d, 0]).to_owned();
    Ok(Logistic { weights, bias: solved[[d, 0]], dropped })
}

/// Softmax over several classes from rows `[n, d]` and probabilities `[n, classes]`. Only differences between
/// classes can be known: class 0 gets zeros. Each row is an equation for every other class, so d + 1 rows do; the
/// paper counts c (d + 1) unknowns and asks up to as many.
pub fn softmax(rows: ArrayView2<'_, f64>, p: ArrayView2<'_, f64>) -> Result<Classes> {
    classes(rows, p, rows.ncols() + 1)
}

/// As [`softmax`], from one usable row on: of all solutions, or of all that are wrong by least, the one of least norm.
pub fn least_norm(rows: ArrayView2<'_, f64>, p: ArrayView2<'_, f64>) -> Result<Classes> {
    classes(rows, p, 1)
}

fn classes(rows: ArrayView2<'_, f64>, p: ArrayView2<'_, f64>, needed: usize) -> Result<Classes> {
    let (rows, p, dropped) = usable(rows, p, needed)?;
    let ratios = log_ratios(&p);
    let solved = least_squares(with_one(rows.view()).view(), ratios.view())?; // [d + 1, classes]
    let d = rows.ncols();
    let weights = solved.slice(s![..d, ..]).t().to_owned();
    Ok(Classes { weights, bias: solved.row(d).to_owned(), dropped })
}

/// log p_k - log p_0 `[n, classes]`.
pub(super) fn log_ratios(p: &Array2<f64>) -> Array2<f64> {
    let logs = p.mapv(libm::log);
    &logs - &logs.slice(s![.., ..1])
}

/// Rows `[n, d]` with a 1 after each: `[n, d + 1]`.
pub(super) fn with_one(rows: ArrayView2<'_, f64>) -> Array2<f64> {
    let ones = Array2::ones((rows.nrows(), 1));
    concatenate(Axis(1), &[rows, ones.view()]).expect("as many ones as rows")
}

/// Rows and answers without those that are 0 or 1 in a class, and which these were; at least `needed` are left.
pub(super) fn usable(
    rows: ArrayView2<'_, f64>,
    p: ArrayView2<'_, f64>,
    needed: usize,
) -> Result<(Array2<f64>, Array2<f64>, Vec<usize>)> {
    expect_shape("answers to rows", p.shape(), &[rows.nrows(), p.ncols()])?;
    if let Some(((row, class), p)) = p.indexed_iter().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
        let what = format!("probability of row {row}, column {class}");
        return Err(Error::input(what, p, "0 to 1"));
    }
    let open = |i: &usize| p.row(*i).iter().all(|&p| p > 0.0 && p < 1.0);
    let (kept, dropped): (Vec<usize>, Vec<usize>) = (0..rows.nrows()).partition(open);
    if kept.len() < needed {
        let expected = format!("{needed} or more");
        return Err(Error::input("answers strictly between 0 and 1", kept.len(), expected));
    }
    Ok((rows.select(Axis(0), &kept), p.select(Axis(0), &kept), dropped))
}
