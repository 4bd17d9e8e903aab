//! What an account has asked since clusters were last looked at, for detectors that need more than sums.

use crate::campaign::content::Subject;
use crate::ledger::Tick;

/// What a detector sees of an answered exchange.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    pub at: Tick,
    /// Dollars that the account has purchased for so far, and its age in microseconds.
    pub purchased_usd: f64,
    pub age_us: u64,
    /// Asks for visible reasoning.
    pub elicits: bool,
    /// Looks like a campaign's, to a test of content whose power was measured elsewhere.
    pub alike: bool,
    pub subject: Subject,
}

/// Acts with their vectors.
#[derive(Clone, Debug, Default)]
pub struct Log {
    acts: Vec<Act>,
    /// `[acts, dimensions]`, one after the other.
    vectors: Vec<f64>,
}

impl Log {
    /// Adds one; all vectors of a log have the same length.
    pub fn push(&mut self, act: Act, vector: &[f64]) {
        self.acts.push(act);
        self.vectors.extend_from_slice(vector);
    }

    /// Number of acts.
    pub const fn len(&self) -> usize {
        self.acts.len()
    }

    /// In order, each with its vector.
    pub fn acts(&self) -> impl Iterator<Item = (&Act, &[f64])> {
        let each = self.vectors.len() / self.acts.len().max(1);
        self.acts.iter().enumerate().map(move |(i, act)| (act, &self.vectors[i * each..][..each]))
    }

    /// Several logs as one, in the order of time; ties as the logs come.
    pub fn merged<'a>(logs: impl Iterator<Item = &'a Self>) -> Self {
        let mut all: Vec<(&Act, &[f64])> = logs.flat_map(Self::acts).collect();
        all.sort_by_key(|(act, _)| act.at);
        let mut merged = Self::default();
        all.into_iter().for_each(|(act, vector)| merged.push(*act, vector));
        merged
    }
}
