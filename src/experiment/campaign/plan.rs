//! From a scenario to cells.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::record::{Part, VERSION};
use crate::campaign::spec::{ArmSpec, LearningSpec, Scenario};
use crate::error::{Error, Result};
use crate::experiment::folder;
use crate::experiment::plan::BUILD_ID;

/// One point of the sweep.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Swept keys and values; empty without a sweep.
    pub label: String,
    /// The scenario at this point, without a sweep.
    pub scenario: Scenario,
}

/// One thing to compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// 16 hex digits.
    pub id: String,
    /// Index of its variant.
    pub variant: usize,
    /// Name of the arm.
    pub arm: String,
    /// Number of the replicate.
    pub replicate: u32,
    /// What is computed.
    pub part: Part,
    /// For learning: the simulation that it learns from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
}

/// All cells, simulations first.
pub struct Plan {
    /// Points of the sweep.
    pub variants: Vec<Variant>,
    /// What is to be computed, in order.
    pub cells: Vec<Cell>,
}

impl Plan {
    /// Plans these variants.
    pub fn of(variants: Vec<Variant>) -> Result<Self> {
        let mut cells: Vec<Cell> = Vec::new();
        for (v, variant) in variants.iter().enumerate() {
            let scenario = &variant.scenario;
            for arm in scenario.arms() {
                for replicate in 0..scenario.scenario.replicates {
                    let id = simulation_id(scenario, &arm, replicate);
                    if replicate < scenario.learning.replicates {
                        let (part, from) = (Part::Learning, Some(id.clone()));
                        let id = learning_id(&scenario.learning, scenario, &id);
                        cells.push(Cell {
                            id,
                            variant: v,
                            arm: arm.name.clone(),
                            replicate,
                            part,
                            from,
                        });
                    }
                    let (part, from) = (Part::Simulation, None);
                    cells.push(Cell {
                        id,
                        variant: v,
                        arm: arm.name.clone(),
                        replicate,
                        part,
                        from,
                    });
                }
            }
        }
        cells.sort_by_key(|cell| cell.part);
        // A sweep over what students do repeats simulations: each is one cell.
        let mut seen = std::collections::BTreeSet::new();
        let all = cells.len();
        cells.retain(|cell| seen.insert(cell.id.clone()));
        if variants.len() > 1 && cells.len() * variants.len() <= all {
            let expected = "a sweep over keys that change a cell";
            return Err(Error::config("sweep", "cells that are equal in everything", expected));
        }
        Ok(Self { variants, cells })
    }

    /// Position and id of every cell, one JSON object a line.
    pub fn manifest(&self) -> String {
        folder::manifest(&self.cells)
    }
}

/// A hash of all that can change a simulation's record: other arms, other detectors and what students do
/// cannot.
fn simulation_id(scenario: &Scenario, arm: &ArmSpec, replicate: u32) -> String {
    let mut seen = scenario.clone();
    seen.arm.clear();
    seen.scenario.replicates = 0;
    seen.detector.retain(|d| arm.detectors.contains(&d.name));
    let areas = seen.learning.area.iter().map(|a| a.name.clone()).collect::<Vec<_>>();
    seen.learning = LearningSpec::default();
    hash(
        &json!({ "scenario": seen, "areas": areas, "arm": arm, "replicate": replicate, "part": "simulation" }),
    )
}

fn learning_id(learning: &LearningSpec, scenario: &Scenario, simulation: &str) -> String {
    let mut learning = learning.clone();
    learning.replicates = 0;
    let seed = scenario.scenario.seed;
    hash(&json!({ "learning": learning, "seed": seed, "from": simulation, "part": "learning" }))
}

fn hash(what: &Value) -> String {
    let text = json!({ "what": what, "version": VERSION, "build": BUILD_ID }).to_string();
    blake3::hash(text.as_bytes()).to_hex()[..16].to_string()
}
