//! 2x2 max pooling, stride 2, with its gradient.
//!
//! The engine's own pooling scales the gradient by 1/4. Here the whole gradient goes to the first of
//! the largest values of a window, as torch has it. An odd last row or column is left out.

use candle_core::{DType, Tensor, WithDType};

use super::arch::Image;
use super::kernel::{tensor, with_slice};
use crate::error::Result;

/// Values `[n*h*w, f]` of images with channels last, to (`[n*(h/2)*(w/2), f]`, the winner of each
/// window, 0 to 3 row by row).
pub(super) fn max_pool(values: &Tensor, image: Image) -> Result<(Tensor, Vec<u8>)> {
    match values.dtype() {
        DType::F64 => max_pool_host::<f64>(values, image),
        _ => max_pool_host::<f32>(values, image),
    }
}

/// Gradient `[n*(h/2)*(w/2), f]` back to `[n*h*w, f]`.
pub(super) fn undo_max_pool(grad: &Tensor, winners: &[u8], image: Image) -> Result<Tensor> {
    match grad.dtype() {
        DType::F64 => undo_host::<f64>(grad, winners, image),
        _ => undo_host::<f32>(grad, winners, image),
    }
}

/// Starts of the windows of one image of f channels, in units of numbers.
fn windows(image: Image, f: usize) -> impl Iterator<Item = usize> {
    (0..image.h / 2).flat_map(move |y| (0..image.w / 2).map(move |x| (2 * y * image.w + 2 * x) * f))
}

/// Distances of the four pixels of a window from its start.
const fn corners(image: Image, f: usize) -> [usize; 4] {
    [0, f, image.w * f, image.w * f + f]
}

fn max_pool_host<T: WithDType>(values: &Tensor, image: Image) -> Result<(Tensor, Vec<u8>)> {
    let f = values.dim(1).map_err(super::kernel::engine)?;
    let (largest, winners) = with_slice::<T, _>(values, |values| {
        let (mut largest, mut winners) = (Vec::new(), Vec::new());
        largest.reserve(values.len() / 4);
        winners.reserve(values.len() / 4);
        for one in values.chunks_exact(image.h * image.w * f) {
            for start in windows(image, f) {
                let [a, b, c, d] = corners(image, f).map(|at| &one[start + at..start + at + f]);
                let quads =
                    || a.iter().zip(b).zip(c).zip(d).map(|(((a, b), c), d)| [*a, *b, *c, *d]);
                largest.extend(quads().map(|q| first_largest(q).0));
                winners.extend(quads().map(|q| first_largest(q).1));
            }
        }
        (largest, winners)
    })?;
    let rows = largest.len() / f;
    Ok((tensor(largest, &[rows, f], values.device())?, winners))
}

/// The largest value and its first place. NaN wins, so that it is not lost.
fn first_largest<T: WithDType>(window: [T; 4]) -> (T, u8) {
    let [a, b, c, d] = window;
    let left = if later_wins(a, b) { (b, 1) } else { (a, 0) };
    let right = if later_wins(c, d) { (d, 3) } else { (c, 2) };
    if later_wins(left.0, right.0) { right } else { left }
}

/// True if the later of two values is larger, or NaN.
fn later_wins<T: WithDType>(earlier: T, later: T) -> bool {
    #[allow(clippy::eq_op)] // NaN is the value that differs from itself
    let nan = later != later;
    later > earlier || nan
}

fn undo_host<T: WithDType>(grad: &Tensor, winners: &[u8], image: Image) -> Result<Tensor> {
    let f = grad.dim(1).map_err(super::kernel::engine)?;
    let corner = corners(image, f);
    let size = image.h * image.w * f;
    let pooled = (image.h / 2) * (image.w / 2) * f;
    let full = with_slice::<T, _>(grad, |grad| {
        let mut full = vec![T::zero(); grad.len() / pooled * size];
        let parts = grad.chunks_exact(pooled).zip(winners.chunks_exact(pooled));
        for (to, (grad, winners)) in full.chunks_exact_mut(size).zip(parts) {
            let mut next = grad.iter().zip(winners);
            for start in windows(image, f) {
                for (i, (&g, &winner)) in next.by_ref().take(f).enumerate() {
                    to[start + i + corner[usize::from(winner & 3)]] = g;
                }
            }
        }
        full
    })?;
    let rows = full.len() / f;
    tensor(full, &[rows, f], grad.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn pool(values: &[f64], h: usize, w: usize) -> (Vec<f64>, Vec<u8>) {
        let image = Image { c: 1, h, w, channels_first: false };
        let values = tensor(values.to_vec(), &[values.len(), 1], &Device::Cpu).unwrap();
        let (largest, winners) = max_pool(&values, image).unwrap();
        (with_slice(&largest, <[f64]>::to_vec).unwrap(), winners)
    }

    fn undo(grad: &[f64], winners: &[u8], h: usize, w: usize) -> Vec<f64> {
        let image = Image { c: 1, h, w, channels_first: false };
        let grad = tensor(grad.to_vec(), &[grad.len(), 1], &Device::Cpu).unwrap();
        with_slice(&undo_max_pool(&grad, winners, image).unwrap(), <[f64]>::to_vec).unwrap()
    }

    #[test]
    fn the_whole_gradient_goes_to_the_largest() {
        let (largest, winners) = pool(&[1., 2., 3., 4.], 2, 2);
        assert_eq!((largest, &winners), (vec![4.], &vec![3]));
        assert_eq!(undo(&[1.], &winners, 2, 2), [0., 0., 0., 1.]);
    }

    #[test]
    fn a_tie_goes_to_the_first_and_is_counted_once() {
        let (_, winners) = pool(&[5., 5., 5., 5.], 2, 2);
        assert_eq!(undo(&[2.], &winners, 2, 2), [2., 0., 0., 0.]);
    }

    #[test]
    fn an_odd_edge_is_left_out_and_gets_no_gradient() {
        let (largest, winners) = pool(&[1., 2., 9., 3., 4., 9., 9., 9., 9.], 3, 3);
        assert_eq!(largest, [4.]);
        assert_eq!(undo(&[1.], &winners, 3, 3), [0., 0., 0., 0., 1., 0., 0., 0., 0.]);
    }

    #[test]
    fn nan_is_not_lost() {
        assert!(pool(&[f64::NAN, 2., 3., 4.], 2, 2).0[0].is_nan());
        assert!(pool(&[1., f64::NAN, 3., 4.], 2, 2).0[0].is_nan());
    }
}
