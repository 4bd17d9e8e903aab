//! What follows an alarm.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What follows an alarm, after its review.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ResponseSpec {
    /// What is done.
    pub action: Action,
    /// What a throttled account keeps of its limits.
    #[schemars(extend("x-evidence" = "A"))]
    pub throttle_factor: f64,
    /// Chance that a banned account appeals.
    #[schemars(extend("x-evidence" = "S: 52,000 of 1.45 M"))]
    pub appeal_rate: f64,
    /// Chance that an honest account's appeal succeeds.
    #[schemars(extend("x-evidence" = "A"))]
    pub appeal_success_if_benign: f64,
    /// Days from a ban to the end of its appeal.
    #[schemars(extend("x-evidence" = "A"))]
    pub appeal_days: f64,
    /// Chance that an honest account passes a step-up check and stays.
    #[schemars(extend("x-evidence" = "A"))]
    pub step_up_pass_if_benign: f64,
    /// Chance that an actor's account passes it.
    #[schemars(extend("x-evidence" = "A"))]
    pub step_up_pass_if_attack: f64,
    /// Price of that check to an actor.
    #[schemars(extend("x-evidence" = "A"))]
    pub step_up_usd: f64,
    /// Bits of work for each request of a suspect, for `pow`.
    #[schemars(extend("x-evidence" = "S: ratios of Dziedzic et al. 2022"))]
    pub pow_bits: u32,
    /// Hashes a second of an honest machine.
    #[schemars(extend("x-evidence" = "A"))]
    pub pow_hashes_per_s: f64,
}

/// What is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The account is closed.
    #[default]
    Ban,
    /// Its limits shrink.
    Throttle,
    /// Its answers change: they are paid for, and no student learns from them.
    Perturb,
    /// Its owner must prove who they are.
    StepUp,
    /// Its requests must carry proof of work.
    Pow,
}

impl Default for ResponseSpec {
    fn default() -> Self {
        Self {
            action: Action::Ban,
            throttle_factor: 0.1,
            appeal_rate: 0.036,
            appeal_success_if_benign: 0.9,
            appeal_days: 7.0,
            step_up_pass_if_benign: 0.9,
            step_up_pass_if_attack: 0.3,
            step_up_usd: 20.0,
            pow_bits: 22,
            pow_hashes_per_s: 1e6,
        }
    }
}
