//! Gradients of bounded length (Pascanu, Mikolov and Bengio 2013, algorithm 1), as torch's
//! `clip_grad_norm_` bounds them.

use super::cpu::{fold, vectors};

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

#[cfg(test)]
mod tests {
    use super::*;

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
