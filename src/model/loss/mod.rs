//! What models minimise, one loss per file: (logits `[n, c]`, targets) -> (loss, gradient `[n, c]`),
//! batch mean, in 64 bits whatever the network computes in.
//!
//! A loss sums over classes and averages over rows, never over elements.

mod akl;
pub mod bucket;
pub mod dist;
mod divergence;
pub mod dkd;
pub(super) mod elbo;
pub(super) mod entangled;
pub mod hard_label;
pub mod l1;
pub mod logit_std;
mod misinformation;
mod nasty;
pub(super) mod part;
mod partly;
mod random_sampling;
mod retemper;
pub mod soft_label;
mod soft_tokens;
mod tail;
mod token_targets;
pub(super) mod tokens;
pub mod uld;
pub(super) mod whole;

use ndarray::{Array2, ArrayView2};

pub use divergence::Divergence;
pub use retemper::{Leftover, retemper};
pub use soft_tokens::Soft;
pub use tail::Tail;
pub use token_targets::{Tell, TokenTargets};
pub use tokens::Weights;

use super::cpu::{exp64, vectors};
use super::layer::texts::Stretch;
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
    /// `[n]` class numbers to be right about, and probabilities `[n, classes]` to be away from.
    Away { labels: Vec<usize>, from: Array2<f64> },
    /// Targets of the first rows, and rows after them that have none: `weight` times their entropy joins the
    /// loss, little at first and all of it at the end of the training.
    Partly { known: Box<Targets>, unknown: usize, weight: f64 },
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
    /// -log(1 - q_label): to give the label no probability.
    Misinformation,
    /// Cross-entropy to labels less `weight` T^2 KL(p_T || q_T), p what to be away from.
    Nasty { temperature: f64, weight: f64 },
    /// `ce` times the cross-entropy to the teacher's most likely class, plus decoupled distillation, whose share
    /// grows from 0 to 1 over the first `warm_up` of the training. Like the two below it takes log(max(p, eps))
    /// for the teacher's logits.
    Dkd { weights: dkd::Weights, ce: f64, warm_up: f64, eps: f64 },
    /// Distillation of relations. Rows of a batch are tied together: a batch is not cut into shards.
    Dist { weights: dist::Weights, eps: f64 },
    /// Sum of absolute differences between probabilities.
    L1,
    /// T^2 KL between standardised logits, each row divided by its sample deviation as in the released code.
    LogitStandardised { temperature: f64, eps: f64 },
}

impl Targets {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Labels(labels) => labels.len(),
            Self::Probs(probs) => probs.nrows(),
            Self::Bucket(top) => top.ids.nrows(),
            Self::Away { labels, .. } => labels.len(),
            Self::Partly { known, unknown, .. } => known.len() + unknown,
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
    Wrong(Vec<usize>),
    Nasty(nasty::Nasty),
    Tokens(tokens::Texts),
    Part(part::Part),
    Whole(whole::Whole),
    Absolute(Array2<f64>),
    Partly(partly::Partly),
    /// Rows of a network that tells its hidden layers.
    Entangled(entangled::Entangled),
    /// Rows of a variational autoencoder.
    Elbo(elbo::Elbo),
    /// Slopes of the outputs, given.
    Along(Array2<f64>),
}

impl Goal {
    /// Refuses targets of another kind, or outside their ranges, for `classes` classes.
    pub(super) fn new(targets: &Targets, loss: Loss, classes: usize) -> Result<Self> {
        match (targets, loss) {
            (Targets::Partly { known, unknown, weight }, _) => {
                if known.is_empty() || !(*weight >= 0.0 && weight.is_finite()) {
                    let found = format!("{} rows with a target, weight {weight}", known.len());
                    let expected = "a row with a target at least, and a weight of 0 or more";
                    return Err(Error::input("targets of a lesson", found, expected));
                }
                let goal = Box::new(Self::new(known, loss, classes)?);
                let (rows, weight) = ((known.len(), *unknown), *weight);
                Ok(Self::Partly(partly::Partly { goal, rows, weight }))
            }
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
            (Targets::Labels(labels), Loss::Misinformation) => {
                hard_label::check(labels, classes)?;
                Ok(Self::Wrong(labels.clone()))
            }
            (Targets::Away { labels, from }, Loss::Nasty { temperature, weight }) => {
                hard_label::check(labels, classes)?;
                expect_shape("normal probabilities", from.shape(), &[labels.len(), classes])?;
                let normal = soft_label::Tempered::new(from.view(), temperature, 1e-6)?;
                Ok(Self::Nasty(nasty::Nasty { labels: labels.clone(), normal, weight }))
            }
            (Targets::Away { .. }, _) => {
                Err(mismatch("a model to be away from", "the loss `Nasty`"))
            }
            (Targets::Labels(_), _) => Err(mismatch("labels", "the loss `HardLabel`")),
            (Targets::Probs(probs), Loss::L1) => {
                expect_shape("target probabilities", probs.shape(), &[probs.nrows(), classes])?;
                l1::check(probs.view())?;
                Ok(Self::Absolute(probs.clone()))
            }
            (Targets::Probs(probs), other) => {
                expect_shape("target probabilities", probs.shape(), &[probs.nrows(), classes])?;
                let expected = "a loss of whole rows, such as `SoftLabel`";
                let whole = whole::Whole::new(probs.view(), other)?;
                whole.map(Self::Whole).ok_or_else(|| mismatch("probabilities", expected))
            }
            (Targets::Bucket(_), _) => Err(mismatch("top-k probabilities", "the loss `Bucket`")),
        }
    }

    /// Loss of the examples at `index`, and the gradient in place of their logits: one row per target, or
    /// one per token of n examples in which the texts lie at `lying` (one in each where that is empty). Both are
    /// divided by `weight`, the examples' own or that of a larger batch of which they are a part.
    pub(super) fn loss(
        &self,
        index: &[usize],
        lying: &[Stretch],
        n: usize,
        z: &mut [f64],
        weight: f64,
        room: &mut Room,
    ) -> f64 {
        let rows = match self {
            Self::Tokens(texts) => n * texts.positions(),
            _ => n,
        };
        let c = (z.len() / rows.max(1)).max(1);
        let scale = 1.0 / weight;
        match self {
            Self::Hard(labels) => rowwise(z, c, scale, &mut room.probs, |i, z, q| {
                hard_label::row(z, q, labels[index[i]])
            }),
            Self::Soft(tempered) => tempered.rows(index, z, c, scale, room),
            Self::Bucket(top) => {
                rowwise(z, c, scale, &mut room.probs, |i, z, q| bucket::row(z, q, top, index[i]))
            }
            Self::Wrong(labels) => rowwise(z, c, scale, &mut room.probs, |i, z, q| {
                misinformation::row(z, q, labels[index[i]])
            }),
            Self::Nasty(nasty) => nasty.rows(index, z, c, scale, room),
            Self::Tokens(texts) => {
                let mut places = texts.places(index, lying);
                let Room { probs, desk, .. } = room;
                rowwise(z, c, scale, probs, |_, z, q| texts.row(z, q, places.next(), desk))
            }
            Self::Part(part) => part.loss(index, z, weight, room),
            Self::Whole(whole) => whole.loss(index, z, c, weight, room.progress),
            Self::Absolute(probs) => rowwise(z, c, scale, &mut room.probs, |i, z, q| {
                l1::row(z, q, probs.row(index[i]).iter().copied())
            }),
            Self::Partly(partly) => partly.loss(index, z, c, weight, room),
            Self::Entangled(entangled) => entangled.loss(index, z, c, weight, room),
            Self::Elbo(elbo) => elbo.loss(index, z, c, scale),
            Self::Along(slopes) => {
                let mut sum = 0.0;
                for (z, &row) in z.chunks_exact_mut(c).zip(index) {
                    for (z, slope) in z.iter_mut().zip(slopes.row(row)) {
                        sum += *z * slope;
                        *z = slope * scale;
                    }
                }
                sum * scale
            }
        }
    }

    /// True if a row's loss depends on the rows beside it, so that a batch must be taken whole.
    pub(super) fn ties_rows(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.ties_rows(),
            Self::Part(part) => part.goal.ties_rows(),
            Self::Partly(partly) => partly.goal.ties_rows(),
            Self::Entangled(_) => true,
            _ => false,
        }
    }

    /// What the loss of these examples is divided by: their number, or that of the tokens that count.
    pub(super) fn weight(&self, index: &[usize]) -> f64 {
        match self {
            Self::Tokens(texts) => texts.counted(index).max(1) as f64,
            _ => index.len() as f64,
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
    by_row(logits, |row, z, q| {
        let p = targets.row(row);
        let mass = p.sum();
        let mut loss = 0.0;
        for ((z, &q), &p) in z.iter_mut().zip(q).zip(p) {
            loss -= if p == 0.0 { 0.0 } else { p * *z };
            *z = mass * q - p;
        }
        loss
    })
}

/// Softmax of each row.
pub fn softmax(logits: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut probs = logits.as_standard_layout().into_owned();
    soften(probs.as_slice_mut().expect("a new array is row-major"), logits.ncols());
    probs
}

/// Log softmax of a row, in place.
fn log_softmax(z: &mut [f64]) {
    let shift = bucket::log_sum(z.iter().copied());
    z.iter_mut().for_each(|z| *z -= shift);
}

/// Softmax of each row of `c` logits, in place.
pub(super) fn soften(rows: &mut [f64], c: usize) {
    let c = c.max(1);
    exponentials(rows, c);
    for row in rows.chunks_exact_mut(c) {
        let over = 1.0 / row.iter().sum::<f64>();
        row.iter_mut().for_each(|p| *p *= over);
    }
}

/// Buffers of a loss, used again by every step, and how far the training is.
#[derive(Debug)]
pub(super) struct Room {
    /// Share of the training that is done, for losses that start slowly; 1 outside training.
    pub progress: f64,
    probs: Vec<f64>,
    /// Logits of a part of the outputs.
    part: Vec<f64>,
    /// Gradients of the labels, where a loss has a second part.
    right: Vec<f64>,
    desk: soft_tokens::Desk,
}

impl Default for Room {
    fn default() -> Self {
        let (probs, part, right, desk) = Default::default();
        Self { progress: 1.0, probs, part, right, desk }
    }
}

/// e^(z - largest z of the row), in place. NaN and infinite logits give NaN, never a panic.
fn exponentials(z: &mut [f64], c: usize) {
    for row in z.chunks_exact_mut(c) {
        let largest = row.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        row.iter_mut().for_each(|z| *z -= largest);
    }
    vectors(
        #[inline(always)]
        || z.iter_mut().for_each(|z| *z = exp64(*z)),
    );
}

/// Sum over rows of `f(row number, log softmax of the row, softmax of the row)`, times `scale`. f gives
/// the loss of a row and leaves its gradient in place of the logarithms; it is scaled too.
fn rowwise(
    z: &mut [f64],
    c: usize,
    scale: f64,
    probs: &mut Vec<f64>,
    mut f: impl FnMut(usize, &mut [f64], &[f64]) -> f64,
) -> f64 {
    probs.clear();
    probs.extend_from_slice(z);
    exponentials(probs, c);
    let mut sum = 0.0;
    let rows = z.chunks_exact_mut(c).zip(probs.chunks_exact_mut(c));
    for (i, (z, q)) in rows.enumerate() {
        let mass: f64 = q.iter().sum();
        let largest = z.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let (over, shift) = (1.0 / mass, largest + libm::log(mass));
        z.iter_mut().for_each(|z| *z -= shift);
        q.iter_mut().for_each(|q| *q *= over);
        sum += f(i, z, q);
        z.iter_mut().for_each(|g| *g *= scale);
    }
    sum * scale
}

/// As [`rowwise`], mean over the rows of an array.
fn by_row(
    logits: ArrayView2<'_, f64>,
    f: impl FnMut(usize, &mut [f64], &[f64]) -> f64,
) -> (f64, Array2<f64>) {
    let (n, c) = logits.dim();
    let mut grad = logits.as_standard_layout().into_owned();
    let z = grad.as_slice_mut().expect("a new array is row-major");
    let loss = rowwise(z, c.max(1), 1.0 / n as f64, &mut Vec::new(), f);
    (loss, grad)
}

#[cfg(test)]
mod tests;
