//! Images moved a little each time they are learnt from.

use crate::seed::{Seed, below};

/// How far images may be moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moves {
    /// Planes of an image, all moved alike.
    pub planes: usize,
    pub h: usize,
    pub w: usize,
    /// Most pixels, in each direction.
    pub pixels: usize,
    /// What comes in at the borders.
    pub empty: f32,
}

impl Moves {
    /// Moves every image of x `[n, planes, h, w]` by its own numbers of lines and columns.
    pub fn apply(&self, x: &mut [f32], seed: Seed) {
        let Self { planes, h, w, pixels, .. } = *self;
        let mut rng = seed.child("jitter").rng();
        let mut from = vec![0.0; h * w];
        for image in x.chunks_exact_mut(planes * h * w) {
            let mut draw = || below(&mut rng, 2 * pixels + 1) as isize - pixels as isize;
            let (down, right) = (draw(), draw());
            for plane in image.chunks_exact_mut(h * w) {
                from.copy_from_slice(plane);
                self.shift(&from, plane, down, right);
            }
        }
    }

    fn shift(&self, from: &[f32], to: &mut [f32], down: isize, right: isize) {
        let (h, w) = (self.h as isize, self.w as isize);
        for (y, line) in (0..h).zip(to.chunks_exact_mut(self.w)) {
            for (x, pixel) in (0..w).zip(line) {
                let (y, x) = (y - down, x - right);
                let inside = (0..h).contains(&y) && (0..w).contains(&x);
                *pixel = if inside { from[(y * w + x) as usize] } else { self.empty };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_moved_whole_and_what_comes_in_is_empty() {
        let moves = Moves { planes: 1, h: 2, w: 3, pixels: 1, empty: -1.0 };
        let from = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut to = [0.0; 6];
        moves.shift(&from, &mut to, 1, -1);
        assert_eq!(to, [-1.0, -1.0, -1.0, 2.0, 3.0, -1.0]);
        moves.shift(&from, &mut to, 0, 0);
        assert_eq!(to, from);
    }

    #[test]
    fn planes_of_an_image_move_alike_and_images_on_their_own() {
        let moves = Moves { planes: 2, h: 5, w: 5, pixels: 2, empty: 0.0 };
        let mut one = [0.0; 25];
        one[12] = 1.0;
        let mut x: Vec<f32> = (0..80).flat_map(|_| one.iter().copied()).collect();
        moves.apply(&mut x, Seed::new(1));
        let place = |plane: &[f32]| plane.iter().position(|v| *v == 1.0).unwrap();
        let places: Vec<usize> = x.chunks_exact(25).map(place).collect();
        assert!(places.chunks_exact(2).all(|pair| pair[0] == pair[1]));
        // 40 draws of 25 places: all in the square, most of it met.
        let mut met = places;
        met.sort_unstable();
        met.dedup();
        assert!((15..=25).contains(&met.len()), "{}", met.len());
    }
}
