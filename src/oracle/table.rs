//! Fixed answers for known inputs: a teacher that was asked once, elsewhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;

use super::{AnswerKind, Answers, Batch, Card, Oracle, Reply};
use crate::data::npy;
use crate::error::{Error, Result};

/// Answers by the bytes of the input row.
#[derive(Clone)]
pub struct Table {
    inputs: usize,
    rows: Arc<BTreeMap<Vec<u8>, usize>>,
    probs: Arc<Array2<f64>>,
}

impl Table {
    /// `probs` `[n, classes]`, row i for row i of `inputs` `[n, d]`.
    pub fn new(inputs: &Array2<f32>, probs: Array2<f64>) -> Self {
        let rows = inputs.rows().into_iter().enumerate().map(|(i, r)| (key(r), i)).collect();
        Self { inputs: inputs.ncols(), rows: Arc::new(rows), probs: Arc::new(probs) }
    }

    /// Reads an NPY file of `[n, classes]` probabilities, one row for each row of `inputs`.
    pub fn read(path: &Path, inputs: &Array2<f32>, classes: usize) -> Result<Self> {
        let file = npy::read(path)?;
        let expected = vec![inputs.nrows(), classes];
        if file.shape != expected {
            return Err(Error::data(
                path,
                "shape",
                format!("{:?}", file.shape),
                format!("{expected:?}, one row for each row of the data set"),
            ));
        }
        let probs = Array2::from_shape_vec((inputs.nrows(), classes), file.data)
            .map_err(|e| Error::Internal(e.to_string()))?;
        for (i, row) in probs.rows().into_iter().enumerate() {
            let sum: f64 = row.iter().sum();
            if !row.iter().all(|p| (0.0..=1.0).contains(p)) || (sum - 1.0).abs() > 1e-3 {
                return Err(Error::data(
                    path,
                    format!("row {i}"),
                    format!("a row of sum {sum}"),
                    "probabilities that sum to 1",
                ));
            }
        }
        Ok(Self::new(inputs, probs))
    }
}

fn key(row: ndarray::ArrayView1<'_, f32>) -> Vec<u8> {
    row.iter().flat_map(|x| x.to_le_bytes()).collect()
}

impl Oracle for Table {
    fn card(&self) -> Card {
        Card { inputs: self.inputs, classes: self.probs.ncols(), answers: AnswerKind::Probs }
    }

    fn answer(&mut self, batch: &Batch) -> Result<Reply> {
        let mut index = Vec::with_capacity(batch.len());
        for (i, row) in batch.inputs.rows().into_iter().enumerate() {
            let found = self.rows.get(&key(row)).ok_or_else(|| {
                Error::input(
                    format!("row {i}"),
                    "an input that is not in the table",
                    "a row of the data set: a table of answers knows no other",
                )
            })?;
            index.push(*found);
        }
        Ok(Reply::all(Answers::Probs(self.probs.select(ndarray::Axis(0), &index))))
    }
}
