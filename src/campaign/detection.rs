//! How well the two sides can be told apart at the end, by what they asked: account by account, and with
//! linked accounts pooled.

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::cluster;
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
/// The curves of both scopes, by requests for visible reasoning over all that a unit asked, against the
/// honest rate: the score test of a share (Rao 1948), which needs no guess of the campaign's share. A cluster
/// attacks if any of its accounts does.
pub(super) fn roc(rules: &Rules, accounts: &[&Account]) -> Result<Vec<Roc>> {
    let active: Vec<usize> =
        (0..accounts.len()).filter(|&i| accounts[i].seen.answered > 0).collect();
    let clusters = cluster::link(rules, accounts, &active, Tick(rules.end))?;
    let p = rules.honest.spec.elicit_p.clamp(1e-6, 1.0 - 1e-6);
    let alone: Vec<Vec<usize>> = active.iter().map(|&i| vec![i]).collect();
    Ok([(Scope::Account, alone), (Scope::Cluster, clusters)]
        .into_iter()
        .filter_map(|(scope, units)| curve(scope, accounts, &units, p))
        .collect())
}

fn curve(scope: Scope, accounts: &[&Account], units: &[Vec<usize>], p: f64) -> Option<Roc> {
    let (mut attack, mut honest) = (Vec::new(), Vec::new());
    for unit in units {
        let sum = |of: fn(&Account) -> u64| unit.iter().map(|&i| of(accounts[i])).sum::<u64>();
        let (n, flagged) = (sum(|a| a.seen.answered) as f64, sum(|a| a.seen.elicited) as f64);
        let score = (flagged - n * p) / libm::sqrt(n * p * (1.0 - p));
        let attacks = unit.iter().any(|&i| accounts[i].party > 0);
        if attacks { &mut attack } else { &mut honest }.push(score);
    }
    let auc = auc(&attack, &honest)?;
    let read = |&share: &f64| tpr_at_fpr(&attack, &honest, share).map(|r| [share, r.tpr]);
    Some(Roc {
        scope,
        attack: attack.len() as u64,
        honest: honest.len() as u64,
        auc,
        points: SHARES.iter().filter_map(read).collect(),
    })
}
