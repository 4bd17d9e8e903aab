//! Runs the cells of a campaign into a folder; what is there is skipped.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::plan::{Cell, Plan};
use super::record::{ActorLearnt, CampaignRecord, Choice, Outcome, Part, Point, VERSION};
use crate::campaign::adapt::{adapted, choose};
use crate::campaign::calibrate::{Limit, limits};
use crate::campaign::learn::{Leak, School};
use crate::campaign::outcome::simulate;
use crate::campaign::spec::{ArmSpec, Scenario};
use crate::error::{Error, Result};
use crate::experiment::folder::RunFolder;
use crate::experiment::sweep::{Computed, Event, Jobs, run_missing};

/// Something computed once for several cells, or why it could not be.
type Once<T> = OnceLock<std::result::Result<T, String>>;

/// A plan with its folder, and what is settled once for all replicates of an arm, by variant and arm.
pub struct Campaigns<'a> {
    plan: &'a Plan,
    folder: &'a RunFolder,
    /// Thresholds of its detectors.
    limits: BTreeMap<(usize, String), Once<Vec<Limit>>>,
    /// What its actors chose.
    chosen: BTreeMap<(usize, String), Once<Vec<Choice>>>,
    /// By variant and replicate: arms share their teacher.
    schools: BTreeMap<(usize, u32), Once<School>>,
}

impl<'a> Campaigns<'a> {
    /// Nothing is chosen yet.
    pub fn new(plan: &'a Plan, folder: &'a RunFolder) -> Self {
        let of_arm = |c: &Cell| (c.variant, c.arm.clone());
        let of_replicate = |c: &Cell| ((c.variant, c.replicate), OnceLock::new());
        Self {
            plan,
            folder,
            limits: plan.cells.iter().map(|c| (of_arm(c), OnceLock::new())).collect(),
            chosen: plan.cells.iter().map(|c| (of_arm(c), OnceLock::new())).collect(),
            schools: plan.cells.iter().map(of_replicate).collect(),
        }
    }

    /// Runs what is missing.
    pub fn run_all(
        &self,
        jobs: &Jobs<'_>,
        told: impl FnMut(Event<'_, CampaignRecord>),
    ) -> Result<Computed<CampaignRecord>> {
        let Self { plan, folder, .. } = self;
        let ids: Vec<&str> = plan.cells.iter().map(|cell| cell.id.as_str()).collect();
        let go_on = || match jobs.stop.load(Ordering::SeqCst) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        };
        let queues = |missing: Vec<usize>| {
            let of = |part| {
                let of_part = missing.iter().copied().filter(|&i| plan.cells[i].part == part);
                let mut queue: Vec<usize> = of_part.collect();
                // All arms in turn: what an arm settles once is then settled for several arms at a time.
                queue.sort_by_key(|&i| plan.cells[i].replicate);
                queue
            };
            [Part::Simulation, Part::Learning].map(of).into()
        };
        // Fewer cells than cores: each simulation may use several.
        let threads = |cells: usize| (jobs.count / cells.max(1)).max(1);
        let compute = |i: usize, cells| self.compute(&plan.cells[i], threads(cells), &go_on);
        run_missing(&ids, folder, jobs, queues, compute, told)
    }

    /// The record of a cell. Between epochs it asks whether to go on.
    pub fn compute(
        &self,
        cell: &Cell,
        threads: usize,
        go_on: &(impl Fn() -> Result<()> + Sync),
    ) -> Result<CampaignRecord> {
        let variant = &self.plan.variants[cell.variant];
        let scenario = &variant.scenario;
        let (outcome, learnt) = match &cell.from {
            None => (Some(self.simulate(cell, scenario, threads, go_on)?), Vec::new()),
            Some(from) => {
                let simulation: Option<CampaignRecord> = self.folder.read(from);
                let outcome = simulation.and_then(|record| record.outcome).ok_or_else(|| {
                    Error::Internal(format!(
                        "cell {} learns from {from}, which is not there",
                        cell.id
                    ))
                })?;
                (None, self.learn(cell, scenario, &outcome, threads)?)
            }
        };
        Ok(CampaignRecord {
            version: VERSION,
            name: scenario.scenario.name.clone(),
            variant: variant.label.clone(),
            cell: cell.id.clone(),
            arm: cell.arm.clone(),
            replicate: cell.replicate,
            part: cell.part,
            outcome,
            learnt,
        })
    }

    fn simulate(
        &self,
        cell: &Cell,
        scenario: &Scenario,
        threads: usize,
        go_on: impl FnMut() -> Result<()>,
    ) -> Result<Outcome> {
        let arm = arm(scenario, &cell.arm)?;
        let of_arm = (cell.variant, cell.arm.clone());
        let limits = once(&self.limits, &of_arm, || limits(scenario, &arm, threads))?;
        if !arm.adaptive {
            return simulate(scenario, &arm, limits, cell.replicate, threads, go_on);
        }
        let chosen = once(&self.chosen, &of_arm, || choose(scenario, &arm, limits))?;
        let scenario = adapted(scenario, chosen);
        let outcome = simulate(&scenario, &arm, limits, cell.replicate, threads, go_on)?;
        Ok(Outcome { chosen: chosen.clone(), ..outcome })
    }

    /// Students of every actor, on what had leaked to it by each day.
    fn learn(
        &self,
        cell: &Cell,
        scenario: &Scenario,
        outcome: &Outcome,
        threads: usize,
    ) -> Result<Vec<ActorLearnt>> {
        let school = once(&self.schools, &(cell.variant, cell.replicate), || {
            School::new(scenario, cell.replicate, threads)
        })?;
        let each = outcome.actors.iter().enumerate().map(|(i, party)| {
            let leaks: Vec<Leak> = party.points.iter().map(leak).collect();
            let rows = school.learn(i, &leaks)?;
            Ok(ActorLearnt { actor: party.name.clone(), points: party.points.clone(), rows })
        });
        each.collect()
    }
}

/// What lies under a key; the first who asks computes it.
fn once<'a, K: Ord, T>(
    slots: &'a BTreeMap<K, Once<T>>,
    key: &K,
    compute: impl FnOnce() -> Result<T>,
) -> Result<&'a T> {
    let slot = slots.get(key).ok_or_else(|| Error::Internal("a cell outside the plan".into()))?;
    let found = slot.get_or_init(|| compute().map_err(|e| e.to_string()));
    found.as_ref().map_err(|text| Error::Internal(text.clone()))
}

/// What had leaked by a day of the grid, area by area.
fn leak(point: &Point) -> Leak {
    Leak { day: point.day, areas: point.sums.areas.clone(), tokens: point.sums.useful_tokens }
}

fn arm(scenario: &Scenario, name: &str) -> Result<ArmSpec> {
    let found = scenario.arms().into_iter().find(|arm| arm.name == name);
    found.ok_or_else(|| Error::Internal(format!("no arm is called {name}")))
}
