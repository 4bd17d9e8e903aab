//! Bends between layers.

use crate::model::cpu::{Real, vectors};

/// What happens to the sums of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Activation {
    None,
    /// max(z, 0); NaN stays NaN.
    Relu,
    /// The tanh form of Hendrycks and Gimpel 2016, as GPT-2 has it.
    Gelu,
    /// z times its sigmoid (Hendrycks and Gimpel 2016; Elfwing et al. 2018).
    Silu,
}

impl Activation {
    /// True if the slope cannot be read off the output.
    pub(super) const fn needs_sums(self) -> bool {
        matches!(self, Self::Gelu | Self::Silu)
    }

    /// y = f(z), for those that keep their sums.
    pub(super) fn apply<T: Real>(self, z: &[T], y: &mut [T]) {
        vectors(
            #[inline(always)]
            || match self {
                Self::None => y.copy_from_slice(z),
                Self::Relu => y.iter_mut().zip(z).for_each(|(y, &z)| *y = relu(z)),
                Self::Gelu => y.iter_mut().zip(z).for_each(|(y, &z)| *y = z * gelu_gate(z)),
                Self::Silu => y.iter_mut().zip(z).for_each(|(y, &z)| *y = z * sigmoid(z)),
            },
        );
    }

    /// y = f(y), for those that do not.
    pub(super) fn apply_in_place<T: Real>(self, y: &mut [T]) {
        debug_assert!(!self.needs_sums());
        if self == Self::Relu {
            vectors(
                #[inline(always)]
                || y.iter_mut().for_each(|y| *y = relu(*y)),
            );
        }
    }

    /// dy times the slope; `kept` is the sums where they are needed, the outputs elsewhere.
    pub(super) fn pull<T: Real>(self, kept: &[T], dy: &mut [T]) {
        vectors(
            #[inline(always)]
            || match self {
                Self::None => {}
                Self::Relu => dy.iter_mut().zip(kept).for_each(|(dy, &y)| {
                    *dy = if y <= T::zero() { T::zero() } else { *dy };
                }),
                Self::Gelu => dy.iter_mut().zip(kept).for_each(|(dy, &z)| *dy *= gelu_slope(z)),
                Self::Silu => dy.iter_mut().zip(kept).for_each(|(dy, &z)| {
                    let s = sigmoid(z);
                    *dy *= s + z * s * (T::one() - s);
                }),
            },
        );
    }
}

/// `<=` is false for NaN, which therefore stays.
#[inline(always)]
pub(super) fn relu<T: Real>(z: T) -> T {
    if z <= T::zero() { T::zero() } else { z }
}

#[inline(always)]
pub(super) fn sigmoid<T: Real>(z: T) -> T {
    T::one() / (T::one() + (-z).fast_exp())
}

/// sqrt(2 / pi)
const ROOT: f64 = 0.797_884_560_802_865_4;
const CUBE: f64 = 0.044_715;

/// (1 + tanh u) / 2 = sigmoid(2 u), u = sqrt(2 / pi) (z + 0.044715 z^3).
#[inline(always)]
fn gelu_gate<T: Real>(z: T) -> T {
    let u = T::of(2.0 * ROOT) * (z + T::of(CUBE) * z * z * z);
    sigmoid(u)
}

#[inline(always)]
fn gelu_slope<T: Real>(z: T) -> T {
    let s = gelu_gate(z);
    let inner = T::of(2.0 * ROOT) * (T::one() + T::of(3.0 * CUBE) * z * z);
    s + z * s * (T::one() - s) * inner
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torch 2.15: `gelu(x, approximate="tanh")`, `silu(x)` at -3, -0.5, 0, 0.5, 3, in float64.
    #[test]
    fn activations_agree_with_torch() {
        let z = [-3.0_f64, -0.5, 0.0, 0.5, 3.0];
        let gelu =
            [-0.003637392081773, -0.154285990174856, 0.0, 0.345714009825144, 2.996362607918227];
        let silu = [-0.1422776195327, -0.188770334399073, 0.0, 0.311229665600927, 2.8577223804673];
        for (activation, expected) in [(Activation::Gelu, gelu), (Activation::Silu, silu)] {
            let mut y = [0.0_f64; 5];
            activation.apply(&z, &mut y);
            for (y, e) in y.iter().zip(expected) {
                assert!((y - e).abs() < 1e-12, "{activation:?}: {y}, expected {e}");
            }
        }
    }

    #[test]
    fn relu_is_zero_at_and_below_zero_and_lets_nan_through() {
        let mut y = [-1.0, 0.0, 2.0, f32::NAN];
        Activation::Relu.apply_in_place(&mut y);
        assert_eq!(y[..3], [0.0, 0.0, 2.0]);
        assert!(y[3].is_nan());
    }
}
