//! Distillation of relations: correlations within a row and within a class's column instead of equal numbers
//! (Huang et al. 2022, arXiv:2205.10536, equations 8 to 10). Its columns tie the rows of a batch together.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use super::divergence::check_temperature;
use super::softmax;
use crate::error::{Result, expect_shape};

/// In the denominator of a correlation, as in the released code.
const EPS: f64 = 1e-8;

/// Weights of the two relations, and the temperature of both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Of the classes of a row.
    pub beta: f64,
    /// Of the rows of a class.
    pub gamma: f64,
    pub temperature: f64,
}

/// beta T^2 (1 - mean correlation of rows) + gamma T^2 (1 - mean correlation of columns) and its gradient, for
/// logits `[n, c]` of student and teacher. What is constant correlates with nothing.
pub fn loss(
    logits: ArrayView2<'_, f64>,
    teacher: ArrayView2<'_, f64>,
    weights: Weights,
) -> Result<(f64, Array2<f64>)> {
    expect_shape("teacher logits", teacher.shape(), logits.shape())?;
    check_temperature(weights.temperature)?;
    let t = weights.temperature;
    let q = softmax(logits.mapv(|z| z / t).view());
    let p = softmax(teacher.mapv(|z| z / t).view());
    let mut slopes = Array2::zeros(q.dim());
    let mut loss = 0.0;
    for (axis, weight) in [(Axis(0), weights.beta), (Axis(1), weights.gamma)] {
        let each = weight * t * t / q.len_of(axis).max(1) as f64;
        let pairs = q.axis_iter(axis).zip(p.axis_iter(axis));
        for ((q, p), mut slopes) in pairs.zip(slopes.axis_iter_mut(axis)) {
            let (correlation, slope) = pearson(q, p);
            loss += each * (1.0 - correlation);
            slopes.iter_mut().zip(slope).for_each(|(sum, s)| *sum -= each * s);
        }
    }
    for (mut slopes, q) in slopes.rows_mut().into_iter().zip(q.rows()) {
        let mean = slopes.dot(&q);
        slopes.zip_mut_with(&q, |slope, q| *slope = q * (*slope - mean) / t);
    }
    Ok((loss, slopes))
}

/// Correlation of two columns of numbers, and its slope in the first.
fn pearson(q: ArrayView1<'_, f64>, p: ArrayView1<'_, f64>) -> (f64, Vec<f64>) {
    let centred = |v: ArrayView1<'_, f64>| {
        let mean = v.sum() / v.len() as f64;
        v.iter().map(|x| x - mean).collect::<Vec<f64>>()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (a, b) = (centred(q), centred(p));
    let (long, other) = (libm::sqrt(dot(&a, &a)), libm::sqrt(dot(&b, &b)));
    // What rounding leaves of a constant has no direction.
    if long < 1e-12 || other < 1e-12 {
        return (0.0, vec![0.0; a.len()]);
    }
    let (product, size) = (dot(&a, &b), long * other + EPS);
    let shrink = product * other / (long * size * size);
    let slope = a.iter().zip(&b).map(|(a, b)| b / size - shrink * a).collect();
    (product / size, slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn what_is_constant_correlates_with_nothing() {
        let (flat, steep) = (array![0.25, 0.25, 0.25, 0.25], array![0.1, 0.2, 0.3, 0.4]);
        for (q, p) in [(&flat, &steep), (&steep, &flat), (&flat, &flat)] {
            assert_eq!(pearson(q.view(), p.view()), (0.0, vec![0.0; 4]));
        }
    }

    /// Two columns of length 1e-4 have a product of 1e-8, half of what is divided by.
    #[test]
    fn what_is_nearly_constant_correlates_less() {
        let step = 1e-4 / libm::sqrt(2.0);
        let column = array![0.5 + step, 0.5 - step];
        let (correlation, _) = pearson(column.view(), column.view());
        assert!((correlation - 0.5).abs() < 1e-9, "{correlation}");
    }
}
