//! Thresholds from honest accounts that are none of those in the campaign.
//!
//! The arm watches a separate population for as long as the scenario takes, without actors and without
//! consequences; an account's score is the highest that it, or the cluster that it is in at the end, ever had.
//! The threshold is the lowest that no more than the stated share of accounts lie above.
//!
//! Pairs of accounts grow with the square of their number: a detector of synchrony, or of the size of clusters,
//! is calibrated for a population of about the size that it will watch.

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::detect::Threshold;
use super::engine::{Engine, Way};
use super::rules::Rules;
use super::spec::{ArmSpec, DetectorSpec, Scenario, Scope};
use crate::error::Result;

/// The threshold of a detector, and what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Name of the detector.
    pub detector: String,
    /// Scores above it alarm, in the detector's own unit. Of a detector that alarms on low values (an entropy, a
    /// W) the value with its sign turned.
    pub value: f64,
    /// Share of the separate accounts above it.
    pub rate: f64,
    /// Upper 95 % bound of that share (Clopper and Pearson 1934, one-sided). It takes accounts as independent;
    /// those of a cluster or a group are not, so for detectors of these it is the least that the bound can be.
    pub rate_upper: f64,
    /// Accounts of the separate population.
    pub accounts: u32,
}

/// A stream of its own, far from any replicate and from actors' trials.
const STREAM: u32 = 1 << 29;

/// The limits of an arm's detectors that are to be calibrated. They share one population.
pub fn limits(scenario: &Scenario, arm: &ArmSpec, threads: usize) -> Result<Vec<Limit>> {
    let named = |d: &&DetectorSpec| arm.detectors.contains(&d.name);
    let chosen: Vec<&DetectorSpec> =
        scenario.detector.iter().filter(named).filter(|d| d.calibrate.is_some()).collect();
    let Some(accounts) = chosen.iter().filter_map(|d| d.calibrate).map(|c| c.accounts).max() else {
        return Ok(Vec::new());
    };
    let mut apart = scenario.clone();
    apart.actor.clear();
    apart.benign.accounts = accounts;
    let watched =
        ArmSpec { detectors: chosen.iter().map(|d| d.name.clone()).collect(), ..arm.clone() };
    let rules = Rules::new(&apart, &watched, STREAM)?;
    let mut engine = Engine::new(&rules);
    engine.run(Way::Accounts { threads })?;
    Ok(chosen.into_iter().filter_map(|d| limit(&engine, &rules, d)).collect())
}

/// None where no account ever had a score: the detector then has nothing to be calibrated on, and never alarms.
fn limit(engine: &Engine<'_>, rules: &Rules, detector: &DetectorSpec) -> Option<Limit> {
    let spec = detector.calibrate?;
    let place = |watchers: &[super::watch::Watcher]| {
        watchers.iter().position(|watcher| watcher.name == detector.name)
    };
    let peak = |account: &Account| match detector.scope {
        Scope::Account => place(&rules.watchers).map(|i| account.watch[i].peak),
        Scope::Cluster => engine
            .peaks_of_cluster(account.shared.cluster)
            .and_then(|memories| place(&rules.pooled).map(|i| memories[i].peak)),
    };
    let of_accounts = engine.accounts().into_iter().take(spec.accounts as usize);
    let scores: Vec<f64> =
        of_accounts.map(|account| peak(account).unwrap_or(f64::NEG_INFINITY)).collect();
    let mut threshold = Threshold::above(&scores, spec.share)?;
    if threshold.value == f64::NEG_INFINITY {
        // Fewer accounts have a score at all than may be flagged: none of them need be.
        threshold = Threshold::above(&scores, 0.0)?;
    }
    threshold.value.is_finite().then(|| Limit {
        detector: detector.name.clone(),
        value: threshold.value,
        rate: threshold.rate,
        rate_upper: threshold.rate_upper,
        accounts: scores.len() as u32,
    })
}
