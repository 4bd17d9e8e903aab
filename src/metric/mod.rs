//! Pure scores with unit, direction and uncertainty. No model, no file, no clock.

mod binomial;
mod catalog;
mod classify;
mod curve;
mod interval;
mod matched;
mod normal;
mod recovered;
mod roc;
mod special;
mod strongest;
mod survival;
mod watermark;
mod welch;

use serde::{Deserialize, Serialize};

pub use binomial::{Tail, binomial_tail, canary_test};
pub use catalog::{CATALOG, MetricCard};
pub use classify::{
    accuracy, agreement, agreement_on_errors, ece, ece_of, floor_accuracy, floor_agreement,
    kl_teacher_student,
};
pub use curve::{Reached, auc_log_budget, budget_at, budget_at_half, monotone};
pub use interval::{
    Estimate, bootstrap_mean, holm, mean_ci, paired_ci, resampled_ci, upper_bound, variance, wilson,
};
pub use matched::{Between, Matched, at_cost, at_matched_cost};
pub use normal::{cdf as normal_cdf, density as normal_density, quantile as normal_quantile};
pub use recovered::{Fieller, Recovered, recovered, recovered_independent};
pub use roc::{AtFpr, auc, precision, tpr_at_fpr};
pub use strongest::{CrossFit, cross_fitted, dc, de, headline};
pub use survival::{Step, Survival, kaplan_meier};
pub use watermark::{
    Green, Pairs, flat_green_share, spike_entropy, spike_modulus, tokens_needed, z_p, z_score,
};
pub use welch::{Above, welch_above};

/// Which direction of a score is better for the one whom it describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    Higher,
    Lower,
    Neither,
}

/// One named number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Fixed name, such as `agreement`.
    pub metric: String,
    /// The value; absent where it is not defined.
    pub value: Option<f64>,
    /// Unit, such as `fraction`, `queries`, `days`.
    pub unit: String,
    /// Direction.
    pub better: Better,
}

#[cfg(test)]
mod tests;
