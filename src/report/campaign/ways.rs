//! How actors that know their arm chose to run their accounts.

use super::cell::short;
use super::summary::gather::Slice;
use crate::report::details::Table;

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
                short(100.0 * way.mix_share),
                short(way.cards_per_account),
                short(way.ips_per_account),
                short(way.device_reuse),
                short(100.0 * way.collected),
                short(way.usd_per_1000),
            ]);
        }
    }
    let heads = ["arm", "actor", "own share, %", "cards", "addresses", "devices reused"];
    let trials = ["collected in trials, %", "$ per 1,000 there"];
    (!rows.is_empty()).then(|| Table {
        title: "how actors that know their arm run their accounts".into(),
        heads: heads.into_iter().chain(trials).map(String::from).collect(),
        rows,
        remark: Some(
            "own share: of all requests of its accounts, the rest is cover. cards, addresses: for each \
             account. Chosen by trials of a smaller campaign on streams of its own: the cheapest way that \
             collects 95 % of the target or, where none does, nearly as much as the best."
                .into(),
        ),
    })
}
