//! SEAT: similar queries of one account are counted, because an attacker asks many small variations.
//!
//! Zhang et al. 2021 (AISec, doi 10.1145/3474369.3486863): similar pairs of an encoder's
//! embeddings are counted per account. [`Pairs`] counts all similar pairs by cosine; [`Near`] is the
//! later variant that counts each query once if any earlier one is near. Both compare with the last
//! `cap` queries of the account, which bounds the memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use super::vector::{dot, squared_distance};
use crate::error::{Error, Result};

/// Settings of the pair count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairsParams {
    /// Cosine from which two queries are similar, above -1, up to 1.
    pub threshold: f64,
    /// Similar pairs that pass; one more alarms.
    pub max_pairs: u64,
    /// Queries remembered, 1 to 1,000,000.
    #[serde(default = "default_cap")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cap: usize,
}

/// Settings of the near count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NearParams {
    /// Mean squared difference of two embeddings below which they are near, above 0.
    pub delta: f64,
    /// Share of queries that must be far from all earlier ones, 0 to 1.
    pub score: f64,
    /// Queries before the first verdict, at least 1.
    #[schemars(range(min = 1))]
    pub min_queries: u64,
    /// Queries remembered, 1 to 1,000,000.
    #[serde(default = "default_cap")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cap: usize,
}

const fn default_cap() -> usize {
    2_000
}

/// Alarms once more than so many pairs are similar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pairs {
    threshold: f64,
    max_pairs: u64,
    cap: usize,
}

/// Alarms while too many queries are near an earlier one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    delta: f64,
    score: f64,
    min_queries: u64,
    cap: usize,
}

/// One account's queries and their count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeatState {
    /// `[remembered, d]`, one after the other; once there are `cap` of them the oldest is overwritten.
    remembered: Vec<f64>,
    /// Queries seen.
    pub queries: u64,
    /// Similar pairs, or queries near an earlier one.
    pub count: u64,
}

fn check_cap(cap: usize) -> Result<()> {
    if (1..=1_000_000).contains(&cap) {
        return Ok(());
    }
    Err(Error::config("cap", cap.to_string(), "1 to 1000000 queries"))
}

impl PairsParams {
    /// Checks the ranges.
    pub fn build(&self) -> Result<Pairs> {
        if !(self.threshold > -1.0 && self.threshold <= 1.0) {
            let found = self.threshold.to_string();
            return Err(Error::config("threshold", found, "above -1, up to 1"));
        }
        check_cap(self.cap)?;
        Ok(Pairs { threshold: self.threshold, max_pairs: self.max_pairs, cap: self.cap })
    }
}

impl NearParams {
    /// Checks the ranges.
    pub fn build(&self) -> Result<Near> {
        let Self { delta, score, min_queries, cap } = *self;
        if !(delta > 0.0 && delta.is_finite()) {
            return Err(Error::config("delta", delta.to_string(), "a number above 0"));
        }
        if !(0.0..=1.0).contains(&score) {
            return Err(Error::config("score", score.to_string(), "0 to 1"));
        }
        if min_queries == 0 {
            return Err(Error::config("min_queries", "0", "1 or more"));
        }
        check_cap(cap)?;
        Ok(Near { delta, score, min_queries, cap })
    }
}

impl SeatState {
    /// Remembers a query and forgets the oldest beyond `cap`.
    fn remember(&mut self, embedding: &[f64], cap: usize) {
        let oldest = (self.queries % cap as u64) as usize * embedding.len();
        self.queries += 1;
        match self.remembered.get_mut(oldest..oldest + embedding.len()) {
            Some(place) => place.copy_from_slice(embedding),
            None => self.remembered.extend_from_slice(embedding),
        }
    }

    /// The queries that are remembered.
    fn earlier(&self, dimensions: usize) -> std::slice::ChunksExact<'_, f64> {
        self.remembered.chunks_exact(dimensions.max(1))
    }
}

impl Pairs {
    /// Takes one query's embedding `[d]`, of length 1.
    pub fn observe(&self, state: &mut SeatState, embedding: &[f64]) -> Verdict {
        let earlier = state.earlier(embedding.len());
        let similar = earlier.filter(|old| dot(old, embedding) >= self.threshold).count();
        state.count += similar as u64;
        state.remember(embedding, self.cap);
        Verdict::alarm_if(state.count > self.max_pairs)
    }
}

impl Near {
    /// Takes one query's embedding `[d]`.
    pub fn observe(&self, state: &mut SeatState, embedding: &[f64]) -> Verdict {
        let near = self.delta * embedding.len() as f64;
        state.count += u64::from(
            state.earlier(embedding.len()).any(|old| squared_distance(old, embedding) < near),
        );
        state.remember(embedding, self.cap);
        if state.queries < self.min_queries {
            return Verdict::Undecided;
        }
        Verdict::of(state.count as f64 / state.queries as f64 > 1.0 - self.score)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cases, number, numbers};
    use super::*;

    #[test]
    fn similar_pairs_are_counted_as_in_the_reference() {
        for case in cases("seat_pairs", 5) {
            let (i, e) = (&case["input"], &case["expected"]);
            let max_pairs = i["max_pairs"].as_u64().unwrap();
            let threshold = number(&i["threshold"]);
            let pairs = PairsParams { threshold, max_pairs, cap: 100 }.build().unwrap();
            let mut state = SeatState::default();
            let mut alert = None;
            for query in i["embeddings"].as_array().unwrap() {
                let verdict = pairs.observe(&mut state, &numbers(query));
                let first = verdict == Verdict::Alarm && alert.is_none();
                alert = if first { Some((state.queries, state.count)) } else { alert };
            }
            assert_eq!(Some(state.count), e["total_pairs"].as_u64(), "{}", case["id"]);
            assert_eq!(alert.map(|a| a.0), e["alert_at_query"].as_u64(), "{}", case["id"]);
            assert_eq!(alert.map(|a| a.1), e["pairs_at_alert"].as_u64(), "{}", case["id"]);
        }
    }

    #[test]
    fn near_queries_are_counted_as_in_the_reference() {
        for case in cases("seat_near", 5) {
            let (i, e) = (&case["input"], &case["expected"]);
            let (delta, score) = (number(&i["delta"]), number(&i["score"]));
            let near = NearParams { delta, score, min_queries: 1, cap: 100 }.build().unwrap();
            let mut state = SeatState::default();
            let mut last = Verdict::Undecided;
            for query in i["embeddings"].as_array().unwrap() {
                last = near.observe(&mut state, &numbers(query));
            }
            assert_eq!(Some(state.count), e["count"].as_u64(), "{}", case["id"]);
            assert_eq!(last == Verdict::Alarm, e["alarm"], "{}", case["id"]);
        }
    }

    #[test]
    fn only_the_last_queries_are_compared() {
        let pairs = PairsParams { threshold: 0.9, max_pairs: 0, cap: 1 }.build().unwrap();
        let mut state = SeatState::default();
        for query in [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]] {
            assert_eq!(pairs.observe(&mut state, &query), Verdict::Undecided);
        }
    }

    #[test]
    fn settings_outside_their_ranges_are_refused() {
        assert!(PairsParams { threshold: 1.1, max_pairs: 0, cap: 9 }.build().is_err());
        assert!(PairsParams { threshold: 0.9, max_pairs: 0, cap: 0 }.build().is_err());
        assert!(NearParams { delta: 0.0, score: 0.9, min_queries: 1, cap: 9 }.build().is_err());
        assert!(NearParams { delta: 0.1, score: 1.1, min_queries: 1, cap: 9 }.build().is_err());
    }
}
