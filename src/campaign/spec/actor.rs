//! Who distils: demand, the shape of its traffic, what its accounts share, what it pays and trains.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One actor with many accounts. Shipped files use neutral names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ActorSpec {
    /// Name in tables.
    pub name: String,
    /// Exchanges that it wants, cover traffic not counted.
    pub exchanges: u64,
    /// Accounts at the start.
    pub accounts: u32,
    /// How demand is spread over accounts and hours.
    #[serde(default)]
    pub rate_shape: RateShape,
    /// Share of its accounts' requests that are the campaign's own; the rest is cover.
    #[serde(default = "one")]
    #[schemars(extend("x-evidence" = "A: mixing is reported, its share is not"))]
    pub mix_share: f64,
    /// Topics that the campaign asks about.
    #[serde(default = "topic_focus")]
    #[schemars(extend("x-evidence" = "A: 4 of 64"))]
    pub topic_focus: u16,
    /// Prompts that it fills in anew for each of its own requests.
    #[serde(default = "templates")]
    #[schemars(extend("x-evidence" = "A"))]
    pub templates: u32,
    /// Exponent of how unevenly it uses them (Zipf).
    #[serde(default = "template_zipf")]
    #[schemars(extend("x-evidence" = "A"))]
    pub template_zipf: f64,
    /// Chance that one of its own requests asks for visible reasoning.
    #[serde(default = "elicit_p")]
    #[schemars(extend("x-evidence" = "A"))]
    pub elicit_p: f64,
    /// Input tokens: mean and sigma of their logarithm.
    #[serde(default = "in_lognormal")]
    #[schemars(extend("x-evidence" = "M: ServeGen, reasoning model"))]
    pub in_lognormal: [f64; 2],
    /// Output tokens: mean and sigma of their logarithm.
    #[serde(default = "out_lognormal")]
    #[schemars(extend("x-evidence" = "M: ServeGen, reasoning model"))]
    pub out_lognormal: [f64; 2],
    /// Bound on an answer that requests name.
    #[serde(default = "max_tokens")]
    #[schemars(extend("x-evidence" = "A"))]
    pub max_tokens: u32,
    /// Its accounts act on a common signal, each at most this much later.
    #[serde(default = "sync_jitter_s")]
    #[schemars(extend("x-evidence" = "A"))]
    pub sync_jitter_s: f64,
    /// Seconds between two signals.
    #[serde(default = "sync_every_s")]
    #[schemars(extend("x-evidence" = "A"))]
    pub sync_every_s: f64,
    /// Day of the first exchange.
    #[serde(default)]
    pub start_day: f64,
    /// Days over which the rate grows.
    #[serde(default = "ramp_days")]
    #[schemars(extend("x-evidence" = "A"))]
    pub ramp_days: f64,
    /// Days in which it wants to be done, from its start; 0 is until the end.
    #[serde(default)]
    pub pace_days: f64,
    /// Highest tier that it pays for, by name; none is as high as spending takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tier: Option<String>,
    /// Share of its requests that repeat an older one, and teach nothing new.
    #[serde(default = "repeat_share")]
    #[schemars(extend("x-evidence" = "A"))]
    pub repeat_share: f64,
    /// Weight of each capability area in what it asks, in the order of `learning.area`.
    #[serde(default)]
    pub area_weights: Vec<f64>,
    /// What its accounts share.
    #[serde(default)]
    pub linkage: LinkageSpec,
    /// What it pays beside answers.
    #[serde(default)]
    pub cost: CostSpec,
    /// What it trains, on what.
    #[serde(default)]
    pub training: TrainingSpec,
}

/// How demand is spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RateShape {
    /// Each account its share of the whole, whatever happens to others.
    Even,
    /// What is left, over the accounts that are left, anew each epoch.
    #[default]
    LoadBalanced,
    /// Load-balanced, in the rhythm of honest days.
    FollowDiurnal,
}

/// What its accounts share: the lower, the cheaper, and the easier to link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LinkageSpec {
    /// Payment cards for each account.
    #[schemars(extend("x-evidence" = "A: ten accounts share a card"))]
    pub cards_per_account: f64,
    /// Addresses in the pool, for each account.
    #[schemars(extend("x-evidence" = "A"))]
    pub ips_per_account: f64,
    /// Hours after which an account moves to another address of the pool; 0 is never.
    #[schemars(extend("x-evidence" = "A"))]
    pub ip_rotation_h: u32,
    /// Share of accounts with a device that another has, too.
    #[schemars(extend("x-evidence" = "A"))]
    pub device_reuse: f64,
    /// Pools that share nothing with each other.
    #[schemars(extend("x-evidence" = "A"))]
    pub groups: u32,
}

/// What it pays beside answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct CostSpec {
    /// Phone verification of an account.
    #[schemars(extend("x-evidence" = "S: COTSI 2025, US"))]
    pub sms_usd: f64,
    /// First purchase of an account.
    #[schemars(extend("x-evidence" = "S: lowest purchase"))]
    pub deposit_usd: f64,
    /// A card that no other actor has.
    #[schemars(extend("x-evidence" = "A"))]
    pub card_usd: f64,
    /// An address for 30 days.
    #[schemars(extend("x-evidence" = "A"))]
    pub ip_usd_per_month: f64,
    /// Residential proxy traffic.
    #[schemars(extend("x-evidence" = "S: .89 to 5.00"))]
    pub proxy_usd_per_gb: f64,
    /// Traffic of an exchange.
    #[schemars(extend("x-evidence" = "A"))]
    pub kb_per_exchange: f64,
    /// Work of one more template.
    #[schemars(extend("x-evidence" = "A"))]
    pub template_usd: f64,
    /// Hours from a ban to the next account.
    #[schemars(extend("x-evidence" = "A"))]
    pub replace_delay_h: f64,
    /// Accounts that it can still open; none given is as many as it had at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-evidence" = "A"))]
    pub replace_budget: Option<u32>,
}

/// What it trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TrainingSpec {
    /// Size of the declared student.
    #[schemars(extend("x-evidence" = "A"))]
    pub student_params_b: f64,
    /// Share of the chips' peak that training reaches.
    #[schemars(extend("x-evidence" = "A"))]
    pub mfu: f64,
    /// The chips.
    pub chip: Chip,
    /// How many.
    #[schemars(extend("x-evidence" = "A"))]
    pub chips: u32,
    /// Compute spent in all for each unit of training: filtering, rewards, attempts.
    #[schemars(extend("x-evidence" = "A"))]
    pub overhead_kappa: f64,
    /// Passes over what leaked.
    #[schemars(extend("x-evidence" = "A"))]
    pub epochs: f64,
    /// Bound on compute a day, whatever the chips could do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chip_cap_flop_per_day: Option<f64>,
    /// Price of an hour of one chip.
    #[schemars(extend("x-evidence" = "A"))]
    pub chip_usd_per_hour: f64,
}

/// Chips by their dense 16-bit peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Chip {
    /// 148 TFLOP/s.
    #[default]
    H20,
    /// 989 TFLOP/s.
    H100,
}

impl Chip {
    /// Operations a second.
    pub const fn peak_flops(self) -> f64 {
        match self {
            Self::H20 => 148e12,
            Self::H100 => 989e12,
        }
    }
}

impl TrainingSpec {
    /// Operations a day that go into the student itself.
    pub fn flop_per_day(&self) -> f64 {
        let own = self.chip.peak_flops() * f64::from(self.chips) * self.mfu * 86_400.0;
        own.min(self.chip_cap_flop_per_day.unwrap_or(f64::INFINITY)) / self.overhead_kappa
    }

    /// Operations for one token: 6 N (Kaplan et al. 2020), for each pass.
    pub fn flop_per_token(&self) -> f64 {
        6.0 * self.student_params_b * 1e9 * self.epochs
    }
}

impl Default for LinkageSpec {
    fn default() -> Self {
        Self {
            cards_per_account: 0.1,
            ips_per_account: 0.2,
            ip_rotation_h: 24,
            device_reuse: 0.05,
            groups: 1,
        }
    }
}

impl Default for CostSpec {
    fn default() -> Self {
        Self {
            sms_usd: 0.26,
            deposit_usd: 5.0,
            card_usd: 10.0,
            ip_usd_per_month: 2.0,
            proxy_usd_per_gb: 2.0,
            kb_per_exchange: 10.0,
            template_usd: 0.05,
            replace_delay_h: 6.0,
            replace_budget: None,
        }
    }
}

impl Default for TrainingSpec {
    fn default() -> Self {
        Self {
            student_params_b: 7.0,
            mfu: 0.40,
            chip: Chip::H20,
            chips: 256,
            overhead_kappa: 3.0,
            epochs: 1.0,
            chip_cap_flop_per_day: None,
            chip_usd_per_hour: 2.0,
        }
    }
}

const fn one() -> f64 {
    1.0
}

const fn topic_focus() -> u16 {
    4
}

const fn templates() -> u32 {
    200
}

const fn template_zipf() -> f64 {
    1.1
}

const fn elicit_p() -> f64 {
    0.30
}

const fn in_lognormal() -> [f64; 2] {
    [5.90, 1.85]
}

const fn out_lognormal() -> [f64; 2] {
    [6.49, 0.93]
}

const fn max_tokens() -> u32 {
    8_192
}

const fn sync_jitter_s() -> f64 {
    300.0
}

const fn sync_every_s() -> f64 {
    600.0
}

const fn ramp_days() -> f64 {
    7.0
}

const fn repeat_share() -> f64 {
    0.05
}
