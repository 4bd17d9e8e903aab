//! What students of a campaign learn.

use serde::{Deserialize, Serialize};

use super::spec::Scenario;
use crate::error::Result;

/// What an actor has by the end of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    pub day: u32,
    /// Useful exchanges so far, by area.
    pub areas: Vec<u64>,
    /// Their tokens.
    pub tokens: u64,
}

/// What the student of a day knows of an area.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learnt {
    pub day: u32,
    pub area: String,
    pub examples: u64,
    pub processed: u64,
    pub flop: f64,
    pub accuracy: f64,
    pub agreement: f64,
    pub recovered: f64,
    pub teacher: f64,
    pub floor: f64,
    pub refuse_recall: f64,
    pub false_refusal: f64,
}

/// A teacher and what students are tested on.
pub struct School;

impl School {
    pub fn new(_: &Scenario, _: u32, _: usize) -> Result<Self> {
        Ok(Self)
    }

    pub fn learn(&self, _: usize, _: &[Leak]) -> Result<Vec<Learnt>> {
        Ok(Vec::new())
    }
}
