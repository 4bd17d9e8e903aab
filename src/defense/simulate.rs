//! What a student puts beside a made-up clean row when it simulates a defense that also looks at the
//! input: answers of a model of its own to rows that it may ask.

use ndarray::{Array2, ArrayView2, s};

use super::Known;
use crate::seed::{Seed, below};

/// Rows of the student's pool that are looked at.
const ROWS: usize = 1000;

/// Rows of numbers, one of which goes with each clean row.
pub struct Bank {
    rows: Array2<f64>,
    seed: Seed,
}

impl Bank {
    /// The inputs that a student's own model is asked about `[m, d]`.
    pub fn inputs<'a>(known: &Known<'a>) -> ArrayView2<'a, f32> {
        known.pool.slice(s![..known.pool.nrows().min(ROWS), ..])
    }

    /// A bank of `rows` `[m, k]`; none without rows.
    pub fn of(rows: Array2<f64>, seed: Seed) -> Option<Self> {
        (rows.nrows() > 0).then_some(Self { rows: rows.as_standard_layout().into_owned(), seed })
    }

    /// The row that goes with `clean`: always the same.
    pub fn beside(&self, clean: &[f64]) -> &[f64] {
        let bytes: Vec<u8> = clean.iter().flat_map(|p| p.to_le_bytes()).collect();
        let i = below(&mut self.seed.keyed(&bytes).rng(), self.rows.nrows());
        self.rows.row(i).to_slice().expect("rows of a standard layout are contiguous")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_row_keeps_its_row_and_all_are_used() {
        let seed = Seed::new(1);
        assert!(Bank::of(Array2::zeros((0, 2)), seed).is_none());
        let bank = Bank::of(Array2::from_shape_fn((10, 2), |(i, j)| (2 * i + j) as f64), seed);
        let bank = bank.unwrap();
        let mut met: Vec<u8> =
            (0..200).map(|i| bank.beside(&[0.5, f64::from(i)])[1] as u8).collect();
        assert_eq!(bank.beside(&[0.5, 7.0])[1] as u8, met[7]);
        met.sort_unstable();
        met.dedup();
        assert_eq!(met, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    }
}
