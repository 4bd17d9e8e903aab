//! Layers around an oracle, one file each.
//!
//! A defense may refuse, alter, observe or ask twice: [`Defense::handle`] gets the batch and the
//! [`Next`] layer. The first layer of a config is the outermost: it sees the request first and the
//! reply last. No defense sees a student, a budget or a test label; none reads a clock.
//!
//! A defender builds its layers from what it owns, its [`Workshop`]: the teacher's rows, the teacher, and
//! models and thresholds made from them.
//!
//! Adding one: a file here with a [`Method`], the `mod` line, the spec variant and its arm.
//! CONTRIBUTING.md has the ten steps.

pub mod adaptive_misinformation;
mod blind_walk;
pub mod dataset_inference;
pub mod dawn;
pub mod edm;
pub mod ewe;
pub mod feature_distance;
pub mod gaussian_noise;
pub mod grad2;
pub mod label_only;
pub mod logit_noise;
pub mod mad;
mod marks;
mod method;
pub mod modelguard_s;
pub mod modelguard_w;
pub mod nasty;
pub mod ood_gate;
pub mod outlier_exposure;
pub mod prada;
pub mod project;
pub mod proof_of_work;
pub mod rate_limit;
pub mod respond;
pub mod reverse_sigmoid;
pub mod round;
mod rows;
pub mod seat;
mod simulate;
mod spec;
mod stack;
pub mod stingy;
pub mod strangeness;
pub mod temperature;
pub mod text;
pub mod top_k;
mod untouched;
pub mod var_detect;
mod windows;
pub mod workshop;

pub use dataset_inference::Ownership;
pub use marks::Marks;
pub use method::{Known, Method, RowMap};
pub use respond::{Flagged, Flags, Response};
pub use spec::{Counter, DefenseCard, DefenseSpec, cards};
pub use stack::{Next, Stack, StageWatch, Unwatched};
pub use workshop::{Outline, Workshop};

use untouched::Untouched;

use crate::error::Result;
use crate::oracle::{Batch, Reply};

/// What a defense promises. The conformance tests hold it to every word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    /// The most likely class stays among the most likely (rounding may tie it with others).
    pub keeps_top1: bool,
    /// Upper bound of the L1 distance between clean and defended probabilities of a row; at most 2.
    pub l1_bound: f64,
    /// The same input always gets the same answer.
    pub deterministic: bool,
    /// Answers depend on what was asked before.
    pub stateful: bool,
    /// Some rows may be denied.
    pub refuses: bool,
}

impl Promise {
    /// Of a pure function of a row that keeps its top class.
    pub const BASE: Self = Self {
        keeps_top1: true,
        l1_bound: 2.0,
        deterministic: true,
        stateful: false,
        refuses: false,
    };
}

/// A layer around an oracle.
pub trait Defense: Send {
    /// Its `kind` in a config, such as `round`.
    fn name(&self) -> &'static str;

    /// Handles rows as if they came one by one in order: results do not depend on how a batch is cut.
    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply>;

    /// What it has planted, for watermarks.
    fn marks(&self) -> Option<&Marks> {
        None
    }

    /// How it would tell that a suspect has learned from its rows.
    fn ownership(&self) -> Option<&Ownership> {
        None
    }

    /// Whom it has flagged, for gates and detectors.
    fn flags(&self) -> Option<&Flags> {
        None
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod declared;
#[cfg(test)]
mod tests;
