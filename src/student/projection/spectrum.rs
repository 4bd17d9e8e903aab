//! Width and last layer from answers side by side (Carlini et al. 2024, sections 4.1 and 4.2).

use ndarray::{Array2, Axis, s};

use crate::error::{Error, Result};
use crate::student::linear::{NEGLIGIBLE, Svd, singular_values, svd};

/// Answers side by side, with what is known to say nothing taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// `[prompts, tokens]`
    rows: Array2<f64>,
    /// Most dimensions that they can have: each that was taken out is one less.
    most: usize,
}

impl Answers {
    /// As they were read, `[prompts, tokens]`.
    pub fn new(rows: Array2<f64>) -> Self {
        let most = rows.nrows().min(rows.ncols());
        Self { rows, most }
    }

    /// Less the mean of each row, so that log-probabilities say what logits say.
    pub fn centred(mut self) -> Self {
        for mut row in self.rows.rows_mut() {
            let mean = row.sum() / row.len() as f64;
            row -= mean;
        }
        self.most = self.most.min(self.rows.ncols().saturating_sub(1));
        self
    }

    /// Less the mean answer: without what all have in common, such as an output bias.
    pub fn without_constant(mut self) -> Self {
        let mean = self.rows.sum_axis(Axis(0)) / self.rows.nrows() as f64;
        self.rows -= &mean;
        self.most = self.most.min(self.rows.nrows().saturating_sub(1));
        self
    }

    /// `[prompts, tokens]`
    pub const fn rows(&self) -> &Array2<f64> {
        &self.rows
    }

    /// Their singular values, without those that are zero because something was taken out.
    pub fn spectrum(&self) -> Result<Spectrum> {
        let mut values = singular_values(self.rows.view())?;
        values.truncate(self.most);
        Ok(Spectrum { values })
    }

    /// The last layer `[tokens, width]`, up to an invertible matrix `[width, width]` on its right: V S of the singular
    /// value decomposition.
    pub fn last_layer(&self, width: usize) -> Result<Array2<f64>> {
        if !(1..=self.most).contains(&width) {
            let expected = format!("1 to {}", self.most);
            return Err(Error::input("width of a last layer", width, expected));
        }
        let Svd { values, right, .. } = svd(self.rows.view())?;
        let mut layer = right.slice(s![.., ..width]).to_owned();
        for (mut column, value) in layer.columns_mut().into_iter().zip(values) {
            column *= value;
        }
        Ok(layer)
    }
}

/// Singular values of answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    values: Vec<f64>,
}

/// Where singular values fall off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Width {
    /// Values before the fall.
    pub numbers: usize,
    /// Logarithm of the value before the fall over the one after it.
    pub log_gap: f64,
}

impl Width {
    /// Whether the fall is tenfold at least (a rule of ours; the paper looks at the plot). Without such a fall
    /// answers fill their space, and the width is not to be seen in them.
    pub fn is_clear(&self) -> bool {
        self.log_gap >= std::f64::consts::LN_10
    }
}

impl Spectrum {
    /// One for each dimension that answers can have, falling.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    fn largest(&self) -> f64 {
        self.values.first().copied().unwrap_or(0.0)
    }

    /// Values above 1e-12 of the largest.
    pub fn rank(&self) -> usize {
        let least = NEGLIGIBLE * self.largest();
        self.values.iter().filter(|&&value| value > least).count()
    }

    /// The largest fall from one value to the next, in logarithms; the first of equal ones. Values below 1e-12 of
    /// the largest count as that.
    pub fn width(&self) -> Result<Width> {
        let first = self.largest();
        if self.values.len() < 2 || first == 0.0 {
            let found = format!("{} of them, the largest {first}", self.values.len());
            return Err(Error::input("singular values", found, "two or more, not all zero"));
        }
        let logs: Vec<f64> =
            self.values.iter().map(|&v| libm::log(v.max(NEGLIGIBLE * first))).collect();
        let mut found = Width { numbers: 0, log_gap: f64::NEG_INFINITY };
        for (at, pair) in logs.windows(2).enumerate() {
            let gap = pair[0] - pair[1];
            if gap > found.log_gap {
                found = Width { numbers: at + 1, log_gap: gap };
            }
        }
        Ok(found)
    }
}
