//! Questions anywhere in the feature space, for teachers that answer with a label only (Tramer et al. 2016, section 6):
//! points drawn evenly, points on the way between two that differ, points near the boundary of a copy.

mod adaptive;
mod line_search;
mod uniform;

use ndarray::{Array2, ArrayView1};

pub(super) use adaptive::Adaptive;
pub(super) use line_search::LineSearch;
pub(super) use uniform::Uniform;

use crate::seed::{Seed, below, uniform as draw};

/// Rows of one ask: large enough that batches pay, small enough that limits are met row by row.
const BATCH: usize = 256;

/// Rows `[n, d]` drawn evenly from the valid range of every feature.
fn points(n: usize, d: usize, range: (f32, f32), seed: Seed) -> Array2<f32> {
    let (low, high) = (f64::from(range.0), f64::from(range.1));
    let mut rng = seed.rng();
    Array2::from_shape_fn((n, d), |_| {
        ((low + (high - low) * draw(&mut rng)) as f32).clamp(range.0, range.1)
    })
}

/// Two rows of different classes, by chance; none if all are of one.
fn pair(classes: &[usize], rng: &mut impl rand::Rng) -> Option<(usize, usize)> {
    let first = classes.first()?;
    if classes.iter().all(|class| class == first) {
        return None;
    }
    let a = below(rng, classes.len());
    let others: Vec<usize> = (0..classes.len()).filter(|&b| classes[b] != classes[a]).collect();
    Some((a, others[below(rng, others.len())]))
}

/// L2 distance.
fn distance(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    libm::sqrt(a.iter().zip(b).map(square).sum())
}

/// The point between.
fn middle(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + (b - a) / 2.0).collect()
}
