//! The 1,797 digits of 8x8 pixels that need no download (Alpaydin and Kaynak 1998, the writers
//! of the UCI test part). Rows run top to bottom, pixels left to right, ink is bright.

use ndarray::Array2;

use super::{Dataset, InputShape};
use crate::error::{Error, Result};

/// Rows of the set.
pub(super) const ROWS: usize = 1797;
/// Pixels of a row.
const PIXELS: usize = 64;
/// Ink levels run from 0 to this.
pub(super) const FULL: f32 = 16.0;

/// The embedded digits: `[1797, 64]` in [0, 1], ten classes.
pub fn digits() -> Result<Dataset> {
    let raw = smartcore::dataset::digits::load_dataset();
    let found = [raw.num_samples, raw.num_features];
    crate::error::expect_shape("embedded digits", &found, &[ROWS, PIXELS])?;
    let inputs = Array2::from_shape_vec((ROWS, PIXELS), raw.data)
        .map_err(|why| Error::Internal(format!("embedded digits: {why}")))?
        .mapv_into(|v| v / FULL);
    let labels = raw.target.iter().enumerate().map(|(row, &l)| class(row, l));
    let labels = labels.collect::<Result<Vec<usize>>>()?;
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    Dataset::new("digits", inputs, labels, 10, shape, (0.0, 1.0))
}

/// The label as a class number: whole, 0 to 9.
fn class(row: usize, label: f32) -> Result<usize> {
    if (0.0..10.0).contains(&label) && label.fract() == 0.0 {
        return Ok(label as usize);
    }
    let place = format!("label of row {row}");
    Err(Error::data("digits", place, label.to_string(), "a whole number from 0 to 9"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_1797_images_in_the_unit_range_with_ten_classes() {
        let set = digits().unwrap();
        assert_eq!(set.inputs.dim(), (1797, 64));
        assert_eq!(super::super::observed_range(&set.inputs), (0.0, 1.0));
        let mut counts = [0; 10];
        set.labels.iter().for_each(|&l| counts[l] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert!(set.inputs.iter().all(|v| (v * 16.0).fract() == 0.0));
    }

    #[test]
    fn a_label_between_classes_is_refused() {
        assert_eq!(class(0, 9.0).unwrap(), 9);
        assert!(class(0, 9.5).is_err() && class(0, 10.0).is_err() && class(0, -1.0).is_err());
    }
}
