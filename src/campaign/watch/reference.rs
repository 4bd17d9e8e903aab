//! Honest requests that windows are compared with.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::Seed;
use crate::campaign::content::Content;
use crate::campaign::detect::mmd::{Null, median_bandwidth};
use crate::campaign::detect::mmd_features::{FeatureSum, Features, MmdWindow};
use crate::error::{Error, Result};

/// Honest requests of a reference.
const REFERENCE: usize = 1_000;
/// Of them, those whose distances set the width of the kernels.
const WIDTH: usize = 500;
/// Honest windows behind a threshold, as in the benchmark (arXiv 2606.05725).
const DRAWS: usize = 1_000;

/// The window test. With a `share` its threshold is one that so many honest windows exceed, drawn from all
/// honest people's requests as the benchmark does; without one it is infinite.
pub(super) fn mmd(
    content: &Content,
    seed: u64,
    window: usize,
    frequencies: usize,
    share: Option<f64>,
) -> Result<MmdWindow> {
    let rows = if share.is_some() { REFERENCE + 3 * window } else { REFERENCE };
    let pool = honest(content, rows);
    let width = pool.slice(ndarray::s![..WIDTH, ..]);
    let bandwidth = median_bandwidth(width, false)
        .ok_or_else(|| Error::Internal("all honest requests are equal".into()))?;
    let seed = Seed::new(seed).child("mmd");
    let features =
        Features::draw(content.dimensions(), frequencies, bandwidth, seed.child("features"));
    let sum = |rows: ArrayView2<'_, f64>| {
        let mut sum = FeatureSum::default();
        rows.rows().into_iter().for_each(|row| features.add(&mut sum, row));
        sum
    };
    let threshold = match share {
        None => f64::INFINITY,
        Some(share) => {
            let each: Vec<FeatureSum> = pool.axis_chunks_iter(Axis(0), 1).map(&sum).collect();
            let joined = |rows: &[usize]| {
                let mut all = FeatureSum::default();
                rows.iter().for_each(|&i| all.merge(&each[i]));
                all
            };
            let null = Null { window, reference: REFERENCE, draws: DRAWS };
            let score = |w: &[usize], r: &[usize]| joined(w).mmd2_u(&joined(r)).unwrap_or(f64::NAN);
            let found = null.threshold(rows, share, seed.child("null"), score);
            found.map_or(f64::INFINITY, |threshold| threshold.value)
        }
    };
    let reference = sum(pool.slice(ndarray::s![..REFERENCE, ..]));
    Ok(MmdWindow { features, reference, threshold, window: window as u64 })
}

/// `[n, dimensions]`: requests of honest people, all topics alike.
fn honest(content: &Content, n: usize) -> Array2<f64> {
    let mut rows = Array2::zeros((n, content.dimensions()));
    let mut vector = Vec::new();
    for (nth, mut row) in (0..).zip(rows.rows_mut()) {
        content.honest_at(nth, &mut vector);
        row.assign(&Array1::from_iter(vector.iter().map(|&x| f64::from(x))));
    }
    rows
}
