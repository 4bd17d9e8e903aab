//! Gradients of bounded length (Pascanu, Mikolov and Bengio 2013, algorithm 1), as torch's
//! `clip_grad_norm_` bounds them, and weights of bounded length (Srivastava et al. 2014, section 5.1).

use super::cpu::{fold, vectors};
use super::layer::Slot;

/// Added to the norm that a limit is divided by.
const EPS: f64 = 1e-6;

/// Scales a gradient longer than `most` down to that; 0 is no limit.
pub(super) fn clip(grad: &mut [f32], most: f64) {
    if most == 0.0 {
        return;
    }
    let scale = most / (norm(grad) + EPS);
    if scale < 1.0 {
        let scale = scale as f32;
        vectors(
            #[inline(always)]
            || grad.iter_mut().for_each(|g| *g *= scale),
        );
    }
}

/// Euclidean norm, summed in 64 bits and always in the same order.
pub(super) fn norm(grad: &[f32]) -> f64 {
    let square = |g: f32| f64::from(g) * f64::from(g);
    let sum = vectors(
        #[inline(always)]
        || fold(grad, 0.0, square, |a, b| a + b),
    );
    libm::sqrt(sum)
}

/// Scales the incoming weights of each unit, a column of a matrix, down to the norm `most`.
pub(super) fn shorten_columns(slots: &[Slot], params: &mut [f32], most: f64) {
    for slot in slots.iter().filter(|slot| slot.shape.len() == 2) {
        let columns = slot.shape[1];
        let matrix = &mut params[slot.at..][..slot.len()];
        let mut scales = vec![0.0f64; columns];
        for row in matrix.chunks_exact(columns) {
            scales.iter_mut().zip(row).for_each(|(sum, &w)| *sum += f64::from(w) * f64::from(w));
        }
        scales.iter_mut().for_each(|sum| *sum = (most / libm::sqrt(*sum)).min(1.0));
        for row in matrix.chunks_exact_mut(columns) {
            row.iter_mut().zip(&scales).for_each(|(w, &scale)| *w = (f64::from(*w) * scale) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::init::Draw;

    #[test]
    fn a_units_long_weights_are_shortened_and_biases_stay() {
        let slot = |shape: Vec<usize>, at| {
            let (name, draw) = (String::new(), Draw::Constant(0.0));
            Slot { name, shape, at, draw }
        };
        let slots = [slot(vec![2, 3], 0), slot(vec![3], 6)];
        let mut params = [3.0, 0.3, 0.0, 4.0, 0.4, 0.0, 9.0, 9.0, 9.0];
        shorten_columns(&slots, &mut params, 1.0);
        let expected = [0.6, 0.3, 0.0, 0.8, 0.4, 0.0, 9.0, 9.0, 9.0];
        assert_eq!(params, expected);
    }

    fn clipped(grad: [f32; 2], most: f64) -> [f32; 2] {
        let mut grad = grad;
        clip(&mut grad, most);
        grad
    }

    #[test]
    fn a_long_gradient_is_scaled_to_the_limit_and_a_short_one_stays() {
        assert_eq!(clipped([3.0, 4.0], 0.0), [3.0, 4.0]);
        assert_eq!(clipped([3.0, 4.0], 6.0), [3.0, 4.0]);
        // 2.5 / (5 + 1e-6) = .4999999
        let [a, b] = clipped([3.0, 4.0], 2.5);
        assert!((a - 1.499_999_7).abs() < 2e-7 && (b - 1.999_999_6).abs() < 2e-7, "{a} {b}");
    }

    #[test]
    fn a_gradient_whose_squares_leave_32_bits_is_clipped_too() {
        let [a, b] = clipped([3e30, 4e30], 1.0);
        assert!((a - 0.6).abs() < 1e-6 && (b - 0.8).abs() < 1e-6, "{a} {b}");
        assert_eq!(clipped([3e-30, 0.0], 1.0), [3e-30, 0.0]);
    }

    #[test]
    fn a_gradient_that_is_not_finite_stays_so() {
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(clipped([1.0, bad], 1.0)[1].is_nan());
        }
    }
}
