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

    /// Channels first and channels last differ only for several channels.
    const fn turned(self) -> bool {
        self.channels_first && self.c > 1
    }

    /// Calls `f(start in the patches, start in the image, length)` for each stretch that one row of
    /// one neighbourhood shares with an image of channels last.
    fn stretches(self, mut f: impl FnMut(usize, usize, usize)) {
        let Self { c, h, w, .. } = self;
        for y in 0..h {
            for x in 0..w {
                let (left, right) = (x.saturating_sub(1), (x + 2).min(w));
                let place = (y * w + x) * 9 + (left + 1 - x);
                for ny in y.saturating_sub(1)..(y + 2).min(h) {
                    let row = place + 3 * (ny + 1 - y);
                    f(row * c, (ny * w + left) * c, (right - left) * c);
                }
            }
        }
    }

    /// Turns images between `[c, pixels]` and `[pixels, c]`, given the (outer, inner) dimensions.
    fn turn<T: WithDType>(self, images: &[T], outer: usize, inner: usize) -> Vec<T> {
        let mut turned = Vec::with_capacity(images.len());
        for image in images.chunks_exact(self.len()) {
            for i in 0..inner {
                turned.extend((0..outer).map(|o| image[o * inner + i]));
            }
        }
        turned
    }
}

fn unfold_host<T: WithDType>(images: &Tensor, image: Image) -> Result<Tensor> {
    let one = image.len();
    let patches = with_slice::<T, _>(images, |images| {
        let turned = image.turned().then(|| image.turn(images, image.c, image.h * image.w));
        let images = turned.as_deref().unwrap_or(images);
        let mut patches = vec![T::zero(); images.len() * 9];
        for (from, to) in images.chunks_exact(one).zip(patches.chunks_exact_mut(9 * one)) {
            image.stretches(|at, start, length| {
                let part = &mut to[at..at + length];
                part.iter_mut().zip(&from[start..start + length]).for_each(|(t, &f)| *t = f);
            });
        }
        patches
    })?;
    let shape = [patches.len() / (9 * image.c), 9 * image.c];
    tensor(patches, &shape, images.device())
}

fn fold_host<T: WithDType>(patches: &Tensor, image: Image) -> Result<Tensor> {
    let one = image.len();
    let images = with_slice::<T, _>(patches, |patches| {
        let mut images = vec![T::zero(); patches.len() / 9];
        for (to, from) in images.chunks_exact_mut(one).zip(patches.chunks_exact(9 * one)) {
            image.stretches(|at, start, length| {
                let part = &mut to[start..start + length];
                part.iter_mut().zip(&from[at..at + length]).for_each(|(t, &f)| *t += f);
            });
        }
        if image.turned() { image.turn(&images, image.h * image.w, image.c) } else { images }
    })?;
    let shape = [images.len() / one, one];
    tensor(images, &shape, patches.device())
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
