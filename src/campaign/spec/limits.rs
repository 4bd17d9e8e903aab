//! Tiers and shared limits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One step of the ladder. A limit of 0 is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TierSpec {
    /// Name in tables.
    pub name: String,
    /// Reached once this has been purchased.
    #[serde(default)]
    pub min_spend_usd: f64,
    /// And the account is this old.
    #[serde(default)]
    pub min_age_days: f64,
    /// Requests a minute.
    #[serde(default)]
    pub rpm: u64,
    /// Input tokens a minute.
    #[serde(default)]
    pub itpm: u64,
    /// Output tokens a minute.
    #[serde(default)]
    pub otpm: u64,
    /// Requests a day.
    #[serde(default)]
    pub rpd: u64,
    /// Dollars in 30 days.
    #[serde(default)]
    pub monthly_cap_usd: f64,
    /// Dollars in 10 minutes.
    #[serde(default)]
    pub spend_per_10min_usd: f64,
    /// Requests in flight.
    #[serde(default)]
    pub concurrency: u32,
}

/// How limits are counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LimitsSpec {
    /// Seconds of allowance that may be spent at once.
    #[schemars(extend("x-evidence" = "A: one minute's allowance"))]
    pub burst_s: u64,
    /// What is set aside of the output limit at admission.
    #[schemars(extend("x-evidence" = "S: output is estimated from max_tokens and corrected at the end"))]
    pub reserve: Reserve,
    /// Limits shared by all accounts of a card, an address, a device, or by everyone.
    pub scope: Vec<ScopeLimit>,
}

/// What is set aside of the output limit at admission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reserve {
    /// The request's own bound; the rest comes back when the answer ends.
    #[default]
    MaxTokens,
    /// The tokens of the answer, as if they were known.
    Actual,
}

/// A limit with a key of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ScopeLimit {
    /// Who shares it.
    pub key: ScopeKey,
    /// What is counted.
    #[serde(default)]
    pub unit: Unit,
    /// Units in each period.
    pub count: u64,
    /// The period.
    pub per_s: u64,
}

/// Who shares a limit.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeKey {
    /// Each account for itself, beside its tier.
    Account,
    /// Accounts behind one address.
    Ip,
    /// Accounts that pay with one card.
    Card,
    /// Accounts that the graph has linked.
    Cluster,
    /// Everyone: a share of requests is admitted, by what the epoch before asked for.
    Global,
}

/// What a shared limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Requests.
    #[default]
    Requests,
    /// Input and output tokens.
    Tokens,
    /// Micro-dollars at list price.
    MicroUsd,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self { burst_s: 60, reserve: Reserve::default(), scope: Vec::new() }
    }
}

/// The ladder of one vendor in 2025: limits per organisation, reached by purchase, without waiting.
pub fn anthropic_2025() -> Vec<TierSpec> {
    let row = |name: &str, spend, rpm, itpm, otpm, cap| TierSpec {
        name: name.into(),
        min_spend_usd: spend,
        min_age_days: 0.0,
        rpm,
        itpm,
        otpm,
        rpd: 0,
        monthly_cap_usd: cap,
        spend_per_10min_usd: 0.0,
        concurrency: 0,
    };
    vec![
        row("1", 5.0, 50, 30_000, 8_000, 100.0),
        row("2", 40.0, 1_000, 450_000, 90_000, 500.0),
        row("3", 200.0, 2_000, 800_000, 160_000, 1_000.0),
        row("4", 400.0, 4_000, 2_000_000, 400_000, 5_000.0),
    ]
}
