//! A 3x3 convolution as a matrix product: every pixel's padded neighbourhood becomes a row.
//!
//! The engine's own convolution gradient is several times slower, and images leave here with
//! channels last, so no later step has to turn them.

use candle_core::{DType, Tensor, WithDType};

use super::arch::Image;
use super::kernel::{tensor, with_slice};
use crate::error::Result;

/// Images `[n, c*h*w]` to patches `[n*h*w, 9*c]`: columns run over row, column, channel of the
/// neighbourhood; outside the image is 0.
pub(super) fn unfold(images: &Tensor, image: Image) -> Result<Tensor> {
    match images.dtype() {
        DType::F64 => unfold_host::<f64>(images, image),
        _ => unfold_host::<f32>(images, image),
    }
}

/// Gradient of patches `[n*h*w, 9*c]` to that of images `[n, c*h*w]`: each pixel gets the sum over
/// the patches it was part of.
pub(super) fn fold(patches: &Tensor, image: Image) -> Result<Tensor> {
    match patches.dtype() {
        DType::F64 => fold_host::<f64>(patches, image),
        _ => fold_host::<f32>(patches, image),
    }
}

impl Image {
    const fn len(self) -> usize {
        self.c * self.h * self.w
    }

    /// Distances in memory of (channels, pixels).
    const fn strides(self) -> (usize, usize) {
        if self.channels_first { (self.h * self.w, 1) } else { (1, self.c) }
    }

    /// Calls `f(place in the patches, pixel)` for each part of each neighbourhood inside the image.
    fn neighbours(self, mut f: impl FnMut(usize, usize)) {
        let (h, w, c) = (self.h, self.w, self.c);
        for y in 0..h {
            for x in 0..w {
                for (k, (dy, dx)) in OFFSETS.into_iter().enumerate() {
                    let (ny, nx) = (y + dy, x + dx);
                    if (1..=h).contains(&ny) && (1..=w).contains(&nx) {
                        f(((y * w + x) * 9 + k) * c, (ny - 1) * w + nx - 1);
                    }
                }
            }
        }
    }
}

/// The neighbourhood, shifted by one so that it is never negative.
const OFFSETS: [(usize, usize); 9] =
    [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)];

fn unfold_host<T: WithDType>(images: &Tensor, image: Image) -> Result<Tensor> {
    let (pixels, c) = (image.h * image.w, image.c);
    let (channel, pixel) = image.strides();
    let patches = with_slice::<T, _>(images, |images| {
        let mut patches = vec![T::zero(); images.len() * 9];
        for (from, to) in
            images.chunks_exact(image.len()).zip(patches.chunks_exact_mut(9 * image.len()))
        {
            image.neighbours(|place, at| {
                for (i, value) in to[place..place + c].iter_mut().enumerate() {
                    *value = from[at * pixel + i * channel];
                }
            });
        }
        patches
    })?;
    let rows = patches.len() / (9 * c);
    debug_assert_eq!(rows % pixels, 0);
    tensor(patches, &[rows, 9 * c], images.device())
}

fn fold_host<T: WithDType>(patches: &Tensor, image: Image) -> Result<Tensor> {
    let c = image.c;
    let (channel, pixel) = image.strides();
    let images = with_slice::<T, _>(patches, |patches| {
        let mut images = vec![T::zero(); patches.len() / 9];
        for (to, from) in
            images.chunks_exact_mut(image.len()).zip(patches.chunks_exact(9 * image.len()))
        {
            image.neighbours(|place, at| {
                for (i, &value) in from[place..place + c].iter().enumerate() {
                    to[at * pixel + i * channel] += value;
                }
            });
        }
        images
    })?;
    let rows = images.len() / image.len();
    tensor(images, &[rows, image.len()], patches.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn image(c: usize, channels_first: bool) -> Image {
        Image { c, h: 2, w: 3, channels_first }
    }

    fn numbers(t: &Tensor) -> Vec<f64> {
        with_slice(t, <[f64]>::to_vec).unwrap()
    }

    #[test]
    fn the_patch_of_a_corner_is_padded_with_zeros() {
        let images = tensor((1..=6).map(f64::from).collect(), &[1, 6], &Device::Cpu).unwrap();
        let patches = unfold(&images, image(1, true)).unwrap();
        assert_eq!(patches.dims(), [6, 9]);
        assert_eq!(numbers(&patches)[..9], [0., 0., 0., 0., 1., 2., 0., 4., 5.]);
    }

    #[test]
    fn both_layouts_of_channels_give_the_same_patches() {
        let first: Vec<f64> = (0..12).map(f64::from).collect(); // [2, 2, 3]
        let last: Vec<f64> = (0..6).flat_map(|p| [f64::from(p), f64::from(p + 6)]).collect();
        let [first, last] = [first, last].map(|v| tensor(v, &[1, 12], &Device::Cpu).unwrap());
        let a = unfold(&first, image(2, true)).unwrap();
        let b = unfold(&last, image(2, false)).unwrap();
        assert_eq!(numbers(&a), numbers(&b));
    }

    #[test]
    fn folding_is_the_transpose_of_unfolding() {
        for image in [image(2, true), image(2, false)] {
            let x: Vec<f64> = (0..24).map(|i| f64::from(i * i % 11)).collect();
            let p: Vec<f64> = (0..216).map(|i| f64::from(i * 7 % 13)).collect();
            let images = tensor(x.clone(), &[2, 12], &Device::Cpu).unwrap();
            let patches = tensor(p.clone(), &[12, 18], &Device::Cpu).unwrap();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let left = dot(&numbers(&unfold(&images, image).unwrap()), &p);
            let right = dot(&x, &numbers(&fold(&patches, image).unwrap()));
            assert_eq!(left, right);
        }
    }
}
