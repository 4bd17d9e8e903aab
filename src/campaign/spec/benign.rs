//! Honest accounts.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::traffic::Traffic;

/// A population of honest accounts: sessions at a rate of their own, turns within each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BenignSpec {
    /// Accounts that are simulated.
    #[schemars(extend("x-evidence" = "A: what the engine affords"))]
    pub accounts: u32,
    /// Accounts that each of them stands for, in printed totals.
    #[schemars(extend("x-evidence" = "A"))]
    pub weight: f64,
    /// Median requests of an account in a day.
    #[schemars(extend("x-evidence" = "A: LMSYS has 4.8 conversations an address in five months"))]
    pub rate_median_per_day: f64,
    /// Spread of rates between accounts: sigma of their logarithm.
    #[schemars(extend("x-evidence" = "M: ServeGen clients 1.83 to 2.70"))]
    pub rate_log_sigma: f64,
    /// Largest rate of an account.
    #[schemars(extend("x-evidence" = "A: without a cap the largest account sets the mean"))]
    pub rate_cap_per_day: f64,
    /// Mean requests of a session (geometric).
    #[schemars(extend("x-evidence" = "S: WildChat, 2.5 M turns in 1 M conversations"))]
    pub turns_mean: f64,
    /// Shape of the gamma gaps within a session.
    #[schemars(extend("x-evidence" = "M: ServeGen medians .81 to .99"))]
    pub gap_gamma_shape: f64,
    /// Mean gap within a session.
    #[schemars(extend("x-evidence" = "A"))]
    pub gap_mean_s: f64,
    /// Share of time in which an account may start sessions.
    #[schemars(extend("x-evidence" = "M: ServeGen clients .08 to .41"))]
    pub active_share: f64,
    /// Mean length of such a time.
    #[schemars(extend("x-evidence" = "A"))]
    pub active_hours: f64,
    /// Swing of the hour of the day around its mean.
    #[schemars(extend("x-evidence" = "M: .25 for interfaces, .40 for chat"))]
    pub diurnal_amplitude: f64,
    /// Rate on Saturday and Sunday, against other days.
    #[schemars(extend("x-evidence" = "A"))]
    pub weekend_factor: f64,
    /// Input tokens: mean and sigma of their logarithm.
    #[schemars(extend("x-evidence" = "M: Azure 2023, conversation"))]
    pub in_lognormal: [f64; 2],
    /// Output tokens: mean and sigma of their logarithm.
    #[schemars(extend("x-evidence" = "M: Azure 2023, conversation"))]
    pub out_lognormal: [f64; 2],
    /// Bound on an answer that requests name.
    #[schemars(extend("x-evidence" = "A"))]
    pub max_tokens: u32,
    /// Chance that a request asks for visible reasoning.
    #[schemars(extend("x-evidence" = "A"))]
    pub elicit_p: f64,
    /// Topics in the world.
    #[schemars(extend("x-evidence" = "A"))]
    pub topics: u16,
    /// Share of an account's requests on its own few topics.
    #[schemars(extend("x-evidence" = "A"))]
    pub topic_focus_share: f64,
    /// Accounts with one narrow topic and much reasoning: evaluation teams and agents.
    #[schemars(extend("x-evidence" = "A: the hard negatives"))]
    pub power_users_share: f64,
    /// How much of a power user's traffic looks like an attack's, to a detector of content.
    #[schemars(extend("x-evidence" = "A"))]
    pub power_users_alike: f64,
    /// Share of accounts behind an address with many others.
    #[schemars(extend("x-evidence" = "A"))]
    pub nat_share: f64,
    /// Accounts behind such an address.
    #[schemars(extend("x-evidence" = "A: more than 20"))]
    pub nat_size: u32,
    /// Share of accounts that pay with a card of another honest account.
    #[schemars(extend("x-evidence" = "A: families and small firms"))]
    pub shared_card_share: f64,
    /// Mean age at the start, which sets tiers.
    #[schemars(extend("x-evidence" = "A"))]
    pub age_mean_days: f64,
    /// Longest wait for a limit before a request is given up.
    #[schemars(extend("x-evidence" = "A"))]
    pub patience_s: f64,
    /// Recorded traffic in place of drawn arrivals and lengths: a BurstGPT, Azure or Mooncake file. Sessions,
    /// or single requests where a trace has none, are dealt to the accounts; it is played again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// What that file holds.
    #[serde(skip)]
    pub recorded: Option<Arc<Traffic>>,
}

impl Default for BenignSpec {
    fn default() -> Self {
        Self {
            accounts: 100_000,
            weight: 1.0,
            rate_median_per_day: 3.0,
            rate_log_sigma: 2.0,
            rate_cap_per_day: 20_000.0,
            turns_mean: 2.5,
            gap_gamma_shape: 0.85,
            gap_mean_s: 120.0,
            active_share: 0.28,
            active_hours: 2.0,
            diurnal_amplitude: 0.25,
            weekend_factor: 0.8,
            in_lognormal: [6.63, 0.99],
            out_lognormal: [5.02, 0.86],
            max_tokens: 4_096,
            elicit_p: 0.02,
            topics: 64,
            topic_focus_share: 0.7,
            power_users_share: 0.01,
            power_users_alike: 0.05,
            nat_share: 0.05,
            nat_size: 25,
            shared_card_share: 0.02,
            age_mean_days: 180.0,
            patience_s: 60.0,
            trace: None,
            recorded: None,
        }
    }
}
