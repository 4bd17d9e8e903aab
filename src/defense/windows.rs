//! Windows of vectors that stand for an account's queries, each compared with a reference of the defender's rows by
//! maximum mean discrepancy (Gretton et al. 2012, `detect::mmd`): what `feature-distance` and `var-detect` share.
//!
//! The threshold is the one that a share of honest windows exceed: windows of rows that the maker of the vectors has
//! not learned from, against references of rows that it has. A window beyond it flags the account's rows until its
//! next window passes. Windows do not overlap, so an account holds less than one.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis};

use super::respond::{Flags, Response, Watch};
use super::{Defense, Next, rows};
use crate::detect::Threshold;
use crate::detect::mmd::{MULTIPLIERS, median_bandwidth, mmd2_u};
use crate::error::{Error, Result};
use crate::oracle::{Batch, Reply};
use crate::seed::{Seed, permutation};

/// Honest windows drawn for the threshold.
const DRAWS: usize = 200;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Queries of a window, 10 to 500.
    pub window: usize,
    /// Rows of the reference, 10 to 1000.
    pub reference: usize,
    /// Share of honest windows that are flagged, above 0 and at most 0.5.
    pub false_rate: f64,
}

/// A reference and how far from it honest windows are.
pub struct Judge {
    /// `[reference, h]`
    reference: Array2<f64>,
    bandwidth: f64,
    threshold: f64,
}

/// An account's current window.
#[derive(Clone, Debug, Default)]
struct Window {
    /// `[queries, h]`, one after the other.
    vectors: Vec<f64>,
    far: bool,
}

/// Vectors `[n, h]` that stand for rows `[n, d]`.
pub type See = Box<dyn Fn(ArrayView2<'_, f32>) -> Result<Array2<f64>> + Send>;

/// The layer, with whom it has flagged.
pub struct Windows {
    name: &'static str,
    see: See,
    judge: Arc<Judge>,
    window: usize,
    watch: Watch<Window>,
}

/// Usual queries of a window.
pub const fn usual_window() -> usize {
    50
}

/// Usual rows of a reference.
pub const fn usual_reference() -> usize {
    100
}

/// Usual share of honest windows that are flagged.
pub const fn usual_rate() -> f64 {
    0.01
}

impl Sizes {
    /// Refuses settings out of their ranges.
    pub fn check(&self) -> Result<()> {
        if !(10..=500).contains(&self.window) {
            return Err(Error::config("window", self.window.to_string(), "10 to 500 queries"));
        }
        if !(10..=1000).contains(&self.reference) {
            return Err(Error::config("reference", self.reference.to_string(), "10 to 1000 rows"));
        }
        rows::check_rate("false-rate", self.false_rate)
    }

    /// Refuses more than half of a defender's rows: the other half calibrates.
    pub fn fits(&self, rows: usize) -> Result<()> {
        let half = rows / 2;
        for (key, rows) in [("window", self.window), ("reference", self.reference)] {
            if rows > half {
                let expected = format!("at most {half}: half of the teacher's rows calibrate it");
                return Err(Error::config(key, rows.to_string(), expected));
            }
        }
        Ok(())
    }
}

impl Judge {
    /// From vectors `[n, h]` of rows that their maker has learned from and of rows that it has not; the reference is
    /// drawn from those of `all`.
    pub fn calibrated(
        sizes: Sizes,
        seen: &Array2<f64>,
        unseen: &Array2<f64>,
        all: &Array2<f64>,
        seed: Seed,
    ) -> Result<Self> {
        let mut rng = seed.rng();
        let mut draw = |from: &Array2<f64>, count: usize| {
            let order = permutation(&mut rng, from.nrows());
            from.select(Axis(0), &order[..count])
        };
        let mut scores = Vec::with_capacity(DRAWS);
        for _ in 0..DRAWS {
            let (honest, reference) = (draw(unseen, sizes.window), draw(seen, sizes.reference));
            scores.push(distance(honest.view(), reference.view(), bandwidth(reference.view())));
        }
        let threshold = Threshold::above(&scores, sizes.false_rate)
            .ok_or_else(|| Error::Internal("a threshold of no windows".into()))?;
        let reference = draw(all, sizes.reference);
        let bandwidth = bandwidth(reference.view());
        Ok(Self { reference, bandwidth, threshold: threshold.value })
    }

    /// True if a full window `[window, h]` is further away than honest ones.
    fn far(&self, vectors: &[f64]) -> Result<bool> {
        let h = self.reference.ncols();
        let window = ArrayView2::from_shape((vectors.len() / h.max(1), h), vectors)
            .map_err(|e| Error::Internal(e.to_string()))?;
        Ok(distance(window, self.reference.view(), self.bandwidth) > self.threshold)
    }
}

/// The width of the kernels; any where all rows are equal.
fn bandwidth(reference: ArrayView2<'_, f64>) -> f64 {
    median_bandwidth(reference, false).unwrap_or(1.0)
}

fn distance(window: ArrayView2<'_, f64>, reference: ArrayView2<'_, f64>, bandwidth: f64) -> f64 {
    mmd2_u(window, reference, bandwidth, &MULTIPLIERS)
}

impl Window {
    /// Takes one query's vector `[h]`; a full window is judged and forgotten. True while the last one was far.
    fn take(
        &mut self,
        vector: impl ExactSizeIterator<Item = f64>,
        window: usize,
        far: impl FnOnce(&[f64]) -> Result<bool>,
    ) -> Result<bool> {
        let full = window * vector.len();
        self.vectors.extend(vector);
        if self.vectors.len() >= full {
            self.far = far(&self.vectors)?;
            self.vectors.clear();
        }
        Ok(self.far)
    }
}

impl Windows {
    /// Nobody has asked yet. The judge is of vectors as `see` makes them.
    pub fn new(
        name: &'static str,
        see: See,
        judge: Arc<Judge>,
        window: usize,
        response: Response,
        key: Seed,
    ) -> Self {
        Self { name, see, judge, window, watch: Watch::new(response, key) }
    }
}

impl Defense for Windows {
    fn name(&self) -> &'static str {
        self.name
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let reply = next.run(batch)?;
        let Self { name, see, judge, window, watch } = self;
        let vectors = see(batch.inputs.view())?;
        watch.judge(name, batch, reply, |state, row, _| {
            state.take(vectors.row(row).iter().copied(), *window, |vectors| judge.far(vectors))
        })
    }

    fn flags(&self) -> Option<&Flags> {
        Some(self.watch.flags())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_judged_when_it_is_full_and_never_holds_more() {
        let (mut window, mut judged) = (Window::default(), Vec::new());
        for i in 0..1000 {
            let vector = [f64::from(i), 0.5].into_iter();
            let far = window.take(vector, 10, |vectors| {
                judged.push((vectors.len(), vectors[0]));
                Ok(vectors[0] == 20.0)
            });
            assert!(window.vectors.len() < 20 && window.vectors.capacity() <= 64);
            // From the last query of the third window to the one before the last of the fourth.
            assert_eq!(far.unwrap(), (29..39).contains(&i), "{i}");
        }
        assert_eq!((judged.len(), judged[3]), (100, (20, 30.0)));
    }

    #[test]
    fn sizes_out_of_range_are_refused_by_key() {
        let sizes = Sizes { window: 50, reference: 100, false_rate: 0.01 };
        assert!(sizes.check().is_ok() && sizes.fits(200).is_ok());
        let told = |result: Result<()>| result.unwrap_err().to_string();
        assert!(told(sizes.fits(199)).contains("reference: found 100, expected at most 99"));
        assert!(told(Sizes { window: 9, ..sizes }.check()).contains("window: found 9"));
        assert!(told(Sizes { false_rate: 0.6, ..sizes }.check()).contains("false-rate"));
    }
}
