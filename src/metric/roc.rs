//! How well a score tells attackers from honest accounts.

use super::interval::upper_bound;

/// True-positive rate where the false-positive rate is at most what was asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtFpr {
    /// Share of attackers over the threshold.
    pub tpr: f64,
    /// Share of honest accounts over it.
    pub fpr: f64,
    /// Upper 95 % bound of that share (Clopper and Pearson, one-sided).
    pub fpr_upper: f64,
    /// The rate asked for is finer than one honest account: to be printed as a bound, since what was
    /// measured is no false alarm among all of them.
    pub finer_than_one: bool,
    /// Scores above this, equality excluded, are flagged.
    pub threshold: f64,
}

/// The true-positive rate at the lowest threshold that flags at most a share `fpr` of the `honest`
/// scores. None without honest scores or without `attack` scores.
pub fn tpr_at_fpr(attack: &[f64], honest: &[f64], fpr: f64) -> Option<AtFpr> {
    let n = honest.len();
    if n == 0 || attack.is_empty() {
        return None;
    }
    let mut sorted = honest.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let allowed = (fpr * n as f64 + 1e-9) as usize; // 1e-9: 0.1 * 30 is 3
    let threshold = sorted.get(allowed).copied().unwrap_or(f64::NEG_INFINITY);
    let flagged = |scores: &[f64]| scores.iter().filter(|s| **s > threshold).count() as f64;
    let alarms = flagged(honest);
    Some(AtFpr {
        tpr: flagged(attack) / attack.len() as f64,
        fpr: alarms / n as f64,
        fpr_upper: upper_bound(alarms, n as f64, 0.95),
        finer_than_one: allowed == 0,
        threshold,
    })
}

/// Area under the receiver operating characteristic: the share of pairs in which the attacker scores
/// higher, ties counting one half (Mann and Whitney 1947). None where a side is empty.
pub fn auc(attack: &[f64], honest: &[f64]) -> Option<f64> {
    let mut sorted = honest.to_vec();
    sorted.sort_by(f64::total_cmp);
    let wins = |s: &f64| {
        let (below, up_to) =
            (sorted.partition_point(|h| h < s), sorted.partition_point(|h| h <= s));
        below + up_to
    };
    let pairs = attack.len() * honest.len();
    let twice: usize = attack.iter().map(wins).sum();
    (pairs > 0).then(|| twice as f64 / (2 * pairs) as f64)
}

/// Share of flagged accounts that are attackers, where a share `pi` of all accounts is: Bayes' rule,
/// pi TPR / (pi TPR + (1 - pi) FPR). None where nothing is flagged.
pub fn precision(pi: f64, tpr: f64, fpr: f64) -> Option<f64> {
    let (right, wrong) = (pi * tpr, (1.0 - pi) * fpr);
    (right + wrong > 0.0).then(|| right / (right + wrong))
}
