//! Universal logit distillation: both distributions sorted, then compared place by place, so that vocabularies
//! need not agree (Boizard et al. 2024, arXiv:2402.12030, section 3).

use ndarray::{Array2, ArrayView2};

use super::by_row;
use crate::error::{Result, expect_shape};

/// Mean over rows of sum_i |p_(i) - q_(i)|, both in falling order, and its gradient, for the student's logits
/// `[n, c]` and the teacher's probabilities `[n, other c]`. The shorter row is filled up with zeros.
pub fn loss(
    logits: ArrayView2<'_, f64>,
    teacher: ArrayView2<'_, f64>,
) -> Result<(f64, Array2<f64>)> {
    expect_shape("teacher rows", &[teacher.nrows()], &[logits.nrows()])?;
    Ok(by_row(logits, |row, z, q| {
        let mut order: Vec<usize> = (0..q.len()).collect();
        order.sort_by(|&a, &b| q[b].total_cmp(&q[a]));
        let mut p = teacher.row(row).to_vec();
        p.sort_by(|a, b| b.total_cmp(a));
        p.resize(p.len().max(q.len()), 0.0);
        // Places where the student has no class; its own order gives slopes to the others.
        let mut sum: f64 = p.drain(q.len()..).sum();
        let mut mean = 0.0;
        for (&id, &p) in order.iter().zip(&p) {
            let gap = q[id] - p;
            sum += gap.abs();
            z[id] = if gap == 0.0 { 0.0 } else { 1.0_f64.copysign(gap) };
            mean += q[id] * z[id];
        }
        z.iter_mut().zip(q).for_each(|(z, &q)| *z = q * (*z - mean));
        sum
    }))
}
