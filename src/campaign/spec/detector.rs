//! Who watches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One detector and where it looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DetectorSpec {
    /// Name in arms and tables.
    pub name: String,
    /// The test.
    pub test: DetectorKind,
    /// What it looks at as one.
    #[serde(default)]
    pub scope: Scope,
    /// Hours from an alarm to its consequence.
    #[serde(default = "review_delay_h")]
    #[schemars(extend("x-evidence" = "A"))]
    pub review_delay_h: f64,
    /// Sets the test's threshold on honest accounts of another population, in place of the test's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrate: Option<CalibrateSpec>,
    /// Work of a review.
    #[serde(default = "cost_usd_per_alert")]
    #[schemars(extend("x-evidence" = "A"))]
    pub cost_usd_per_alert: f64,
}

/// A separate honest population and the harm that a detector may do to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct CalibrateSpec {
    /// Share of its accounts that may be flagged over the whole time.
    #[schemars(extend("x-evidence" = "A"))]
    pub share: f64,
    /// Accounts of it: with none of n flagged, up to 3 / n may still be.
    #[schemars(extend("x-evidence" = "A"))]
    pub accounts: u32,
}

impl Default for CalibrateSpec {
    fn default() -> Self {
        Self { share: 0.001, accounts: 2_000 }
    }
}

/// What a detector looks at as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Each account, at each of its exchanges.
    #[default]
    Account,
    /// Accounts that the graph has linked, once a day.
    Cluster,
}

/// The test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DetectorKind {
    /// Requests of a day above a number.
    #[serde(rename_all = "kebab-case")]
    Velocity { per_day: u32 },
    /// Dollars for each day of an account's age above a number; the first day counts whole.
    #[serde(rename_all = "kebab-case")]
    SpendToAge { usd_per_day: f64 },
    /// Wald's sequential test on requests for visible reasoning.
    #[serde(rename_all = "kebab-case")]
    Sprt {
        #[serde(default = "p_benign")]
        p_benign: f64,
        #[serde(default = "p_attack")]
        p_attack: f64,
        #[serde(default = "alpha")]
        alpha: f64,
        #[serde(default = "beta")]
        beta: f64,
    },
    /// Page's cumulative sum of requests for visible reasoning, standardised group by group.
    #[serde(rename_all = "kebab-case")]
    Cusum {
        #[serde(default = "p_benign")]
        p_benign: f64,
        /// Requests whose flags make one term: their sum is nearly normal, as the limits of k and h assume.
        #[serde(default = "cusum_group")]
        group: u32,
        #[serde(default = "cusum_k")]
        k: f64,
        #[serde(default = "cusum_h")]
        h: f64,
    },
    /// Entropy of topics in a window below a bound, in nats.
    #[serde(rename_all = "kebab-case")]
    Entropy { window: u32, below: f64 },
    /// The measured power of an MMD test of query windows (arXiv 2606.05725).
    #[serde(rename_all = "kebab-case")]
    MmdTable {
        #[serde(default = "mmd_window")]
        window: u32,
    },
    /// Distances between requests of one topic, far from normal (PRADA).
    #[serde(rename_all = "kebab-case")]
    Prada {
        /// Shapiro and Wilk's W below it alarms.
        #[serde(default = "prada_delta")]
        delta: f64,
        /// Requests and distances remembered of a topic.
        #[serde(default = "prada_cap")]
        cap: u32,
    },
    /// Pairs of similar requests (SEAT).
    #[serde(rename_all = "kebab-case")]
    Seat {
        /// Cosine from which two requests are similar.
        #[serde(default = "seat_cosine")]
        cosine: f64,
        /// Similar pairs that pass.
        #[serde(default = "seat_pairs")]
        max_pairs: u32,
        /// Requests remembered.
        #[serde(default = "seat_cap")]
        cap: u32,
    },
    /// Maximum mean discrepancy between a window of requests and honest ones, on their vectors.
    #[serde(rename_all = "kebab-case")]
    Mmd {
        #[serde(default = "mmd_window")]
        window: u32,
        /// Random Fourier features, of two numbers each.
        #[serde(default = "mmd_frequencies")]
        frequencies: u32,
        /// Share of windows of honest requests beyond its threshold, unless it is calibrated.
        #[serde(default = "mmd_null_share")]
        null_share: f64,
    },
    /// Accounts that ask alike at the same times, day by day (SynchroTrap).
    #[serde(rename_all = "kebab-case")]
    Synchrotrap {
        #[serde(default = "bucket_minutes")]
        bucket_minutes: u32,
        /// Jaccard index of what two accounts did in a day, above which they are joined.
        #[serde(default = "similarity")]
        similarity: f64,
        /// Joined accounts from this number on.
        #[serde(default = "min_size")]
        min_size: u32,
    },
    /// Linked accounts from this number on.
    #[serde(rename_all = "kebab-case")]
    Graph {
        #[serde(default = "min_size")]
        min_size: u32,
    },
}

impl DetectorKind {
    /// One of each kind, with what it is and where it comes from.
    pub fn examples() -> Vec<(Self, &'static str)> {
        vec![
            (
                Self::Velocity { per_day: 1_000 },
                "requests of an account, or of each account of a cluster, in a day",
            ),
            (
                Self::SpendToAge { usd_per_day: 50.0 },
                "dollars of an account for each day of its age",
            ),
            (
                Self::Sprt {
                    p_benign: p_benign(),
                    p_attack: p_attack(),
                    alpha: alpha(),
                    beta: beta(),
                },
                "sequential probability ratio test on requests for visible reasoning; Wald 1947",
            ),
            (
                Self::Cusum {
                    p_benign: p_benign(),
                    group: cusum_group(),
                    k: cusum_k(),
                    h: cusum_h(),
                },
                "cumulative sum of the same; Page 1954",
            ),
            (
                Self::Entropy { window: 200, below: 2.0 },
                "entropy of topics in a window of an account, nats",
            ),
            (
                Self::MmdTable { window: mmd_window() },
                "measured power of a kernel test of query windows, with the upper bound of its false positives; arXiv 2606.05725",
            ),
            (
                Self::Prada { delta: prada_delta(), cap: prada_cap() },
                "distances between requests of a topic against a normal distribution; arXiv 1805.02628",
            ),
            (
                Self::Seat { cosine: seat_cosine(), max_pairs: seat_pairs(), cap: seat_cap() },
                "pairs of similar requests of an account; doi 10.1145/3474369.3486863",
            ),
            (
                Self::Mmd {
                    window: mmd_window(),
                    frequencies: mmd_frequencies(),
                    null_share: mmd_null_share(),
                },
                "kernel test of a window's vectors against honest ones; Gretton et al. 2012, arXiv 2606.05725",
            ),
            (
                Self::Synchrotrap {
                    bucket_minutes: bucket_minutes(),
                    similarity: similarity(),
                    min_size: min_size(),
                },
                "accounts that ask alike at the same times (SynchroTrap); Cao et al. 2014",
            ),
            (
                Self::Graph { min_size: min_size() },
                "linked accounts from a number on; cluster scope",
            ),
        ]
    }
}

const fn review_delay_h() -> f64 {
    24.0
}

const fn cost_usd_per_alert() -> f64 {
    5.0
}

const fn p_benign() -> f64 {
    0.02
}

const fn p_attack() -> f64 {
    0.30
}

const fn alpha() -> f64 {
    1e-4
}

const fn beta() -> f64 {
    0.05
}

const fn cusum_group() -> u32 {
    50
}

const fn cusum_k() -> f64 {
    0.5
}

const fn cusum_h() -> f64 {
    8.0
}

const fn mmd_window() -> u32 {
    1_500
}

const fn prada_delta() -> f64 {
    0.9
}

const fn prada_cap() -> u32 {
    200
}

const fn seat_cosine() -> f64 {
    0.9
}

const fn seat_pairs() -> u32 {
    1_000
}

const fn seat_cap() -> u32 {
    500
}

const fn mmd_frequencies() -> u32 {
    64
}

const fn mmd_null_share() -> f64 {
    0.05
}

const fn bucket_minutes() -> u32 {
    60
}

const fn similarity() -> f64 {
    0.3
}

const fn min_size() -> u32 {
    5
}
