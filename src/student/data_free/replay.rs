//! Rows that were answered, kept for later steps; the newest so many of them, whatever the budget.

use ndarray::{Array2, ArrayView1};

use crate::seed::{Seed, below};

/// A ring of rows and their answers.
pub(super) struct Replay {
    most: usize,
    rows: Vec<(Vec<f32>, Vec<f64>)>,
    /// Where the next row goes once the ring is full.
    next: usize,
}

impl Replay {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, rows: Vec::new(), next: 0 }
    }

    /// Keeps rows `[n, d]` with their answers `[n, classes]`.
    pub(super) fn keep(&mut self, inputs: &Array2<f32>, probs: &Array2<f64>) {
        for (x, p) in inputs.rows().into_iter().zip(probs.rows()) {
            let row = (x.to_vec(), p.to_vec());
            if self.rows.len() < self.most {
                self.rows.push(row);
            } else if self.most > 0 {
                self.rows[self.next] = row;
                self.next = (self.next + 1) % self.most;
            }
        }
    }

    /// `n` kept rows by chance, with their answers; none if none is kept.
    pub(super) fn draw(&self, n: usize, seed: Seed) -> Option<(Array2<f32>, Array2<f64>)> {
        let (x, p) = self.rows.first()?;
        let mut inputs = Array2::zeros((n, x.len()));
        let mut probs = Array2::zeros((n, p.len()));
        let mut rng = seed.rng();
        for (mut x, mut p) in inputs.rows_mut().into_iter().zip(probs.rows_mut()) {
            let row = &self.rows[below(&mut rng, self.rows.len())];
            x.assign(&ArrayView1::from(&row.0));
            p.assign(&ArrayView1::from(&row.1));
        }
        Some((inputs, probs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_rows_stay_and_keep_their_answers() {
        let mut replay = Replay::new(10);
        assert!(replay.draw(3, Seed::new(1)).is_none());
        for start in (0..40).step_by(4) {
            let x = Array2::from_shape_fn((4, 1), |(i, _)| (start + i) as f32);
            let p = x.mapv(|x| f64::from(x) / 100.0);
            replay.keep(&x, &p);
        }
        let (x, p) = replay.draw(200, Seed::new(1)).unwrap();
        assert!(x.iter().all(|x| *x >= 30.0) && x.iter().any(|x| *x == 39.0));
        assert!(x.iter().zip(&p).all(|(x, p)| (f64::from(*x) / 100.0 - p).abs() < 1e-12));
        let mut none = Replay::new(0);
        none.keep(&x, &p);
        assert!(none.draw(1, Seed::new(1)).is_none());
    }
}
