//! PRADA: distances between queries of one predicted class are normal for honest traffic, and not for
//! queries made to walk along a decision boundary.
//!
//! Juuti et al. 2019 (EuroS&P, arXiv 1805.02628) and the authors' code. Each class keeps a growing
//! set; a query's distance to it is recorded, and beyond the class's threshold the query joins. Every
//! ten queries Shapiro-Wilk's W of the pooled distances, outliers beyond three deviations dropped, is
//! compared with delta. A check needs more than 100 distances, so nothing alarms sooner.
//!
//! The paper lets sets grow without end. Here a class stops growing at a cap and forgets its oldest
//! distances beyond it, so an account holds at most classes x cap x (dimensions + 1) numbers. And the paper
//! checks every ten queries for ever; here that is so for the first thousand, and then at every hundredth more.

use std::collections::{BTreeMap, VecDeque};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use super::shapiro::shapiro_wilk;
use super::vector::squared_distance;
use crate::error::{Error, Result};

/// Queries between checks, and the part of an account's queries between them when there are many: a check of a
/// long history costs much, and a hundredth more of it changes little.
const EVERY: u64 = 10;
const PART: u64 = 100;
/// Distances that a class must have to count.
const PER_CLASS: usize = 10;
/// Distances that a check must exceed.
const POOLED: usize = 100;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// W below this alarms, in (0, 1]. Where 1, every check does.
    #[serde(default = "default_delta")]
    pub delta: f64,
    /// Queries in a class's growing set, and distances remembered of it; 100 to 100,000.
    #[serde(default = "default_cap")]
    #[schemars(range(min = 100, max = 100_000))]
    pub cap: usize,
}

const fn default_delta() -> f64 {
    0.9
}

const fn default_cap() -> usize {
    2_000
}

/// The detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prada {
    delta: f64,
    cap: usize,
}

/// One account's growing sets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PradaState {
    classes: BTreeMap<u32, Class>,
    queries: u64,
    /// Number of the query of the next check.
    due: u64,
    alarmed: bool,
    last: Option<Check>,
}

/// The last time enough distances were there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Number of the query, from 0.
    pub query: u64,
    /// Distances judged.
    pub sample: usize,
    /// Their W.
    pub w: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Class {
    /// The growing set.
    members: Vec<Vec<f64>>,
    /// Distances of all queries after the first.
    distances: VecDeque<f64>,
    /// Distances at which members joined; the first joined at 0.
    joined: Vec<f64>,
    threshold: f64,
}

impl Params {
    /// Checks the ranges.
    pub fn build(&self) -> Result<Prada> {
        if !(self.delta > 0.0 && self.delta <= 1.0) {
            return Err(Error::config("delta", self.delta.to_string(), "above 0, up to 1"));
        }
        if !(100..=100_000).contains(&self.cap) {
            return Err(Error::config("cap", self.cap.to_string(), "100 to 100000"));
        }
        Ok(Prada { delta: self.delta, cap: self.cap })
    }
}

impl Prada {
    /// Takes one query `[d]` and the class it was answered with. An alarm stands until a check passes.
    pub fn observe(&self, state: &mut PradaState, class: u32, query: &[f64]) -> Verdict {
        state.classes.entry(class).or_default().take(query, self.cap);
        let number = state.queries;
        state.queries += 1;
        let due = number.is_multiple_of(EVERY) && number >= state.due;
        let pooled = if due { state.pooled() } else { Vec::new() };
        if pooled.len() > POOLED {
            state.due = number + number / PART;
            let w = shapiro_wilk(&pooled).map_or(1.0, |s| s.w);
            state.last = Some(Check { query: number, sample: pooled.len(), w });
            state.alarmed = w < self.delta;
        }
        match state.last {
            None => Verdict::Undecided,
            Some(_) => Verdict::of(state.alarmed),
        }
    }
}

impl PradaState {
    /// The last check, if there was one.
    pub const fn last_check(&self) -> Option<Check> {
        self.last
    }

    /// Queries in the growing sets of all classes.
    pub fn set_size(&self) -> usize {
        self.classes.values().map(|c| c.members.len()).sum()
    }

    /// Distances of the classes with enough of them, without outliers. Where all are equal none is
    /// within three deviations of 0, and no check is made.
    fn pooled(&self) -> Vec<f64> {
        let enough = self.classes.values().filter(|c| c.distances.len() >= PER_CLASS);
        let all: Vec<f64> = enough.flat_map(|c| c.distances.iter().copied()).collect();
        let (mean, sd) = mean_sd(&all);
        all.into_iter().filter(|d| (d - mean).abs() < 3.0 * sd).collect()
    }
}

impl Class {
    fn take(&mut self, query: &[f64], cap: usize) {
        if self.members.is_empty() {
            self.members.push(query.to_vec());
            self.joined.push(0.0);
            return;
        }
        let squared = self.members.iter().map(|member| squared_distance(member, query));
        let nearest = libm::sqrt(squared.fold(f64::INFINITY, f64::min));
        if self.distances.len() == cap {
            self.distances.pop_front();
        }
        self.distances.push_back(nearest);
        if nearest > self.threshold && self.members.len() < cap {
            self.members.push(query.to_vec());
            self.joined.push(nearest);
            let (mean, sd) = mean_sd(&self.joined);
            self.threshold = self.threshold.max(mean - sd);
        }
    }
}

/// Mean and population standard deviation; NaN without values.
fn mean_sd(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    (mean, libm::sqrt(variance))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cases, close, number, numbers};
    use super::*;

    #[test]
    fn every_reference_stream_is_matched() {
        for case in cases("prada", 9) {
            let (i, e) = (&case["input"], &case["expected"]);
            let prada = Params { delta: number(&i["delta"]), cap: 2_000 }.build().unwrap();
            let mut state = PradaState::default();
            let (mut checks, mut flips, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
            let mut alarmed = false;
            for (n, query) in i["queries"].as_array().unwrap().iter().enumerate() {
                let class = i["classes"][n].as_u64().unwrap() as u32;
                let alarm = prada.observe(&mut state, class, &numbers(query)) == Verdict::Alarm;
                flips.extend((alarm != alarmed).then_some(n as u64));
                alarmed = alarm;
                checks.extend(state.last_check().filter(|c| c.query == n as u64));
                sizes.extend((n % 10 == 0).then(|| state.set_size() as u64));
            }
            let expected = e["checks"].as_array().unwrap();
            assert_eq!(checks.len(), expected.len(), "{}", case["id"]);
            for (check, want) in checks.iter().zip(expected) {
                assert_eq!(Some(check.query), want[0].as_u64(), "{}", case["id"]);
                assert_eq!(Some(check.sample as u64), want[1].as_u64(), "{}", case["id"]);
                close(&case, check.w, &want[2]);
            }
            assert_eq!(serde_json::json!(flips), e["flag_changes_at"], "{}", case["id"]);
            assert_eq!(serde_json::json!(sizes), e["set_size_every_10"], "{}", case["id"]);
            assert_eq!(flips.first().copied(), e["alarm_index"].as_u64(), "{}", case["id"]);
            assert_eq!(u64::from(alarmed), e["final_flag"].as_u64().unwrap(), "{}", case["id"]);
            for (class, threshold) in e["thresholds"].as_object().unwrap() {
                close(&case, state.classes[&class.parse().unwrap()].threshold, threshold);
            }
        }
    }

    #[test]
    fn an_account_holds_no_more_than_the_cap() {
        let prada = Params { delta: 0.9, cap: 100 }.build().unwrap();
        let mut state = PradaState::default();
        for i in 0..500 {
            prada.observe(&mut state, 0, &[f64::from(i * i)]); // ever farther: all would join
        }
        assert_eq!((state.set_size(), state.classes[&0].distances.len()), (100, 100));
    }

    #[test]
    fn settings_outside_their_ranges_are_refused() {
        assert!(Params { delta: 0.0, cap: 100 }.build().is_err());
        assert!(Params { delta: 0.9, cap: 99 }.build().is_err());
    }
}
