//! How well the two sides can be told apart at the end, by what they asked: account by account, and with
//! linked accounts pooled.

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::cluster;
use super::detect::sprt::{self, SprtState};
use super::rules::Rules;
use super::spec::Scope;
use crate::error::Result;
use crate::ledger::Tick;
use crate::metric::{auc, tpr_at_fpr};

/// A curve of true against false positives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roc {
    pub scope: Scope,
    /// Units of either side: accounts or clusters.
    pub attack: u64,
    pub honest: u64,
    /// Chance that an attacking unit scores higher than an honest one.
    pub auc: f64,
    /// False-positive share, and true-positive share at it.
    pub points: Vec<[f64; 2]>,
}

/// False-positive shares at which the curve is read.
const SHARES: [f64; 12] = [0.0, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0];
/// The two rates of the test: reasoning asked for by honest people, and by an actor's own requests.
const RATES: (f64, f64) = (0.02, 0.30);

/// The curves of both scopes, by the log-likelihood ratio of requests for visible reasoning (Neyman and
/// Pearson 1933) over all that a unit asked. A cluster attacks if any of its accounts does.
pub(super) fn roc(rules: &Rules, accounts: &[&Account]) -> Result<Vec<Roc>> {
    let active: Vec<usize> =
        (0..accounts.len()).filter(|&i| accounts[i].seen.answered > 0).collect();
    let clusters = cluster::link(rules, accounts, &active, Tick(rules.end))?;
    let alone: Vec<Vec<usize>> = active.iter().map(|&i| vec![i]).collect();
    Ok([(Scope::Account, alone), (Scope::Cluster, clusters)]
        .into_iter()
        .map(|(scope, units)| curve(scope, accounts, &units))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect())
}

fn curve(scope: Scope, accounts: &[&Account], units: &[Vec<usize>]) -> Result<Option<Roc>> {
    let (p0, p1) = RATES;
    let test = sprt::Params { p0, p1, alpha: 1e-4, beta: 0.05, restart: false }.build()?;
    let (mut attack, mut honest) = (Vec::new(), Vec::new());
    for unit in units {
        let mut sums = SprtState::default();
        for &i in unit {
            let seen = &accounts[i].seen;
            sums.merge(SprtState { seen: seen.answered, flagged: seen.elicited });
        }
        let attacks = unit.iter().any(|&i| accounts[i].party > 0);
        if attacks { &mut attack } else { &mut honest }.push(test.log_ratio(&sums));
    }
    let Some(auc) = auc(&attack, &honest) else { return Ok(None) };
    let read = |&share: &f64| tpr_at_fpr(&attack, &honest, share).map(|r| [share, r.tpr]);
    Ok(Some(Roc {
        scope,
        attack: attack.len() as u64,
        honest: honest.len() as u64,
        auc,
        points: SHARES.iter().filter_map(read).collect(),
    }))
}
