//! What models minimise, one loss per file: (logits `[n, c]`, targets) -> (loss, gradient `[n, c]`),
//! batch mean, in 64 bits whatever the network computes in.
//!
//! A loss sums over classes and averages over rows, never over elements.

pub mod bucket;
pub mod hard_label;
pub mod soft_label;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use crate::error::{Error, Result, expect_shape};
use crate::oracle::TopK;

/// Targets of training rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// `[n]` class numbers: cross-entropy.
    Labels(Vec<usize>),
    /// `[n, classes]` probabilities, used as given (rows should sum to 1): soft labels.
    Probs(Array2<f64>),
    /// The k known probabilities of each row and one bucket for the rest: k + 1 outcomes.
    Bucket(TopK),
}

/// The objective that turns logits and targets into a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Cross-entropy to class labels.
    HardLabel,
    /// T^2 KL(p_T || q_T), both tempered (Hinton, Vinyals and Dean 2015, section 2).
    /// Zero probabilities are raised to `eps` before the logarithm. Targets become
    /// softmax(log(max(p, eps)) / T), so rows that do not sum to 1 are scaled to do so.
    SoftLabel { temperature: f64, eps: f64 },
    /// KL over the k known classes and one bucket for the rest, at temperature 1.
    Bucket,
}

impl Targets {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Labels(labels) => labels.len(),
            Self::Probs(probs) => probs.nrows(),
            Self::Bucket(top) => top.ids.nrows(),
        }
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A loss with targets that fit it, checked once.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    Hard(Vec<usize>),
    Soft(soft_label::Tempered),
    Bucket(TopK),
}

impl Goal {
    /// Refuses targets of another kind, or outside their ranges, for `classes` classes.
    pub(super) fn new(targets: &Targets, loss: Loss, classes: usize) -> Result<Self> {
        match (targets, loss) {
            (Targets::Labels(labels), Loss::HardLabel) => {
                hard_label::check(labels, classes)?;
                Ok(Self::Hard(labels.clone()))
            }
            (Targets::Probs(probs), Loss::SoftLabel { temperature, eps }) => {
                expect_shape("target probabilities", probs.shape(), &[probs.nrows(), classes])?;
                Ok(Self::Soft(soft_label::Tempered::new(probs.view(), temperature, eps)?))
            }
            (Targets::Bucket(top), Loss::Bucket) => {
                bucket::check(top, classes)?;
                Ok(Self::Bucket(top.clone()))
            }
            (Targets::Labels(_), _) => Err(mismatch("labels", "the loss `HardLabel`")),
            (Targets::Probs(_), _) => Err(mismatch("probabilities", "the loss `SoftLabel`")),
            (Targets::Bucket(_), _) => Err(mismatch("top-k probabilities", "the loss `Bucket`")),
        }
    }

    /// The rows at `index`, in that order.
    pub(super) fn select(&self, index: &[usize]) -> Self {
        match self {
            Self::Hard(labels) => Self::Hard(index.iter().map(|&i| labels[i]).collect()),
            Self::Soft(tempered) => Self::Soft(tempered.select(index)),
            Self::Bucket(top) => Self::Bucket(TopK {
                classes: top.classes,
                ids: top.ids.select(Axis(0), index),
                probs: top.probs.select(Axis(0), index),
            }),
        }
    }

    /// Loss and gradient; one row of logits per target.
    pub(super) fn loss(&self, logits: ArrayView2<'_, f64>) -> (f64, Array2<f64>) {
        match self {
            Self::Hard(labels) => hard_label::loss(logits, labels),
            Self::Soft(tempered) => tempered.loss(logits),
            Self::Bucket(top) => bucket::loss(logits, top),
        }
    }
}

fn mismatch(found: &str, expected_by: &str) -> Error {
    Error::input(
        "targets of a lesson",
        found,
        format!("targets that fit; {found} go with {expected_by}"),
    )
}

/// Mean over rows of -sum_k p_k log softmax(z)_k, targets p `[n, c]` used exactly as given, and its
/// gradient. A row that sums to s weighs s times as much.
pub fn cross_entropy(
    logits: ArrayView2<'_, f64>,
    targets: ArrayView2<'_, f64>,
) -> (f64, Array2<f64>) {
    rowwise(logits, |row, z, grad| {
        let p = targets.row(row);
        let mass = p.sum();
        let mut loss = 0.0;
        log_softmax(z, grad);
        for (g, &p) in grad.iter_mut().zip(p) {
            loss -= if p == 0.0 { 0.0 } else { p * *g };
            *g = mass * libm::exp(*g) - p;
        }
        loss
    })
}

/// Softmax of each row.
pub fn softmax(logits: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut probs = logits.as_standard_layout().into_owned();
    for mut row in probs.rows_mut() {
        let largest = row.fold(f64::NEG_INFINITY, |a: f64, &b| a.max(b));
        row.mapv_inplace(|z| libm::exp(z - largest));
        let sum = row.sum();
        row /= sum;
    }
    probs
}

/// Mean over rows of `f(row number, logits, gradient to fill)`, which gives the loss of a row; the
/// gradient is that of the mean.
fn rowwise(
    logits: ArrayView2<'_, f64>,
    mut f: impl FnMut(usize, ArrayView1<'_, f64>, &mut [f64]) -> f64,
) -> (f64, Array2<f64>) {
    let (n, c) = logits.dim();
    let mut grad = vec![0.0; n * c];
    let mut sum = 0.0;
    for (i, (z, grad)) in logits.rows().into_iter().zip(grad.chunks_exact_mut(c)).enumerate() {
        sum += f(i, z, grad);
        grad.iter_mut().for_each(|g| *g /= n as f64);
    }
    let grad = Array2::from_shape_vec((n, c), grad).expect("one gradient per logit");
    (sum / n as f64, grad)
}

/// log softmax of a row into `out`. NaN and infinite logits give NaN, never a panic.
fn log_softmax<'a>(z: impl IntoIterator<Item = &'a f64>, out: &mut [f64]) {
    out.iter_mut().zip(z).for_each(|(o, &z)| *o = z);
    let largest = out.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    let sum: f64 = out.iter().map(|z| libm::exp(z - largest)).sum();
    let shift = largest + libm::log(sum);
    out.iter_mut().for_each(|z| *z -= shift);
}

#[cfg(test)]
mod tests;
