//! Decoupled distillation: how sure the teacher is of the right class, and how it ranks the others, weighed apart
//! (Zhao et al. 2022, arXiv:2203.08679, equation 7). The warm-up of its released code is left to the caller.

use ndarray::{Array2, ArrayView2};

use super::bucket::log_sum;
use super::divergence::check_temperature;
use super::{by_row, hard_label};
use crate::error::{Result, expect_shape};

/// Weights of the two parts, and the temperature of both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Of the right class against all others.
    pub alpha: f64,
    /// Of the others among themselves.
    pub beta: f64,
    pub temperature: f64,
}

/// T^2 times the batch mean of alpha KL(b_v || b_z) + beta KL(p_v || p_z), and its gradient, for logits `[n, c]` of
/// student and teacher and right classes `[n]`. b is (right class, rest), p the softmax without the right class.
pub fn loss(
    logits: ArrayView2<'_, f64>,
    teacher: ArrayView2<'_, f64>,
    right: &[usize],
    weights: Weights,
) -> Result<(f64, Array2<f64>)> {
    let Weights { alpha, beta, temperature: t } = weights;
    expect_shape("teacher logits", teacher.shape(), logits.shape())?;
    expect_shape("right classes", &[right.len()], &[logits.nrows()])?;
    hard_label::check(right, logits.ncols())?;
    check_temperature(t)?;
    let tempered = logits.mapv(|z| z / t);
    let (loss, grad) = by_row(tempered.view(), |row, z, _| {
        let right = right[row];
        let mut v: Vec<f64> = teacher.row(row).iter().map(|v| v / t).collect();
        super::log_softmax(&mut v);
        let (log_p, log_q) = (v[right], z[right]);
        v[right] = f64::NEG_INFINITY;
        z[right] = f64::NEG_INFINITY;
        let (rest_p, rest_q) = (log_sum(v.iter().copied()), log_sum(z.iter().copied()));
        let sure = libm::exp(log_p) * (log_p - log_q) + libm::exp(rest_p) * (rest_p - rest_q);
        let slope = libm::exp(log_q) - libm::exp(log_p);
        let mut others = 0.0;
        for (class, (z, v)) in z.iter_mut().zip(v).enumerate() {
            if class == right {
                *z = alpha * slope;
                continue;
            }
            let (log_p, log_q) = (v - rest_p, *z - rest_q);
            let (p, q) = (libm::exp(log_p), libm::exp(log_q));
            others += p * (log_p - log_q);
            *z = beta * (q - p) - alpha * slope * q;
        }
        alpha * sure + beta * others
    });
    Ok((loss * t * t, grad * t))
}
