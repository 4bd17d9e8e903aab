//! What was settled before the first replicate of an arm: thresholds that a separate honest population gave,
//! and how actors that know the arm chose to run their accounts.

use super::cell::short;
use super::summary::gather::Slice;
use crate::report::details::Table;

/// A row for each calibrated detector of each arm; none without one.
pub(super) fn limits(slice: &Slice<'_>) -> Option<Table> {
    let mut rows = Vec::new();
    for arm in &slice.arms {
        let Some(outcome) = arm.outcomes.values().next() else { continue };
        for limit in &outcome.calibrated {
            rows.push(vec![
                arm.name.to_string(),
                limit.detector.clone(),
                short(limit.value),
                short(100.0 * limit.rate),
                short(100.0 * limit.rate_upper),
                limit.accounts.to_string(),
            ]);
        }
    }
    let heads = ["arm", "detector", "threshold", "above it, %", "95 % bound, %", "accounts"];
    (!rows.is_empty()).then(|| Table {
        title: "thresholds from a separate honest population".into(),
        heads: heads.into_iter().map(String::from).collect(),
        rows,
        remark: Some(
            "threshold: in the detector's own unit, its sign turned where low values alarm. Accounts of that \
             population are in no replicate; shares are of accounts that ever came above it, over the whole time. The bound takes accounts as \
             independent: where linked ones share a score it is the least that it can be."
                .into(),
        ),
    })
}

/// A row for each actor of an arm that lets actors choose; none without such an arm.
pub(super) fn table(slice: &Slice<'_>) -> Option<Table> {
    let mut rows = Vec::new();
    for arm in &slice.arms {
        // All replicates of an arm share one choice.
        let Some(outcome) = arm.outcomes.values().next() else { continue };
        for way in &outcome.chosen {
            rows.push(vec![
                arm.name.to_string(),
                way.actor.clone(),
                way.accounts.to_string(),
                short(100.0 * way.mix_share),
                short(way.cards_per_account),
                short(way.ips_per_account),
                short(way.device_reuse),
                way.templates.to_string(),
                short(way.sync_jitter_s),
                short(100.0 * way.collected),
                short(way.usd_per_1000),
            ]);
        }
    }
    let heads = ["arm", "actor", "accounts", "own share, %", "cards", "addresses"];
    let more = ["devices reused", "templates", "s after a signal"];
    let trials = ["collected in trials, %", "$ per 1,000 there"];
    (!rows.is_empty()).then(|| Table {
        title: "how actors that know their arm run their accounts".into(),
        heads: heads.into_iter().chain(more).chain(trials).map(String::from).collect(),
        rows,
        remark: Some(
            "own share: of all requests of its accounts, the rest is cover. cards, addresses: for each \
             account. Chosen by trials of a smaller campaign on streams of its own: the cheapest way that \
             collects 95 % of the target or, where none does, nearly as much as the best."
                .into(),
        ),
    })
}
