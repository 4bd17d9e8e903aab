//! What all variants of a sweep have in one table.

use super::cell::{short, spread};
use super::summary::gather::{Arm, Slice};
use super::summary::measure::Measure;
use super::summary::settings::Settings;
use super::summary::sides::{BANS, CATCH, HARM, PRICE, REACHED};
use super::summary::spread::Spread;
use super::tables::{recovered, table};
use crate::report::details::Table;

/// None without a sweep.
pub(super) fn tables(slices: &[Slice<'_>], all: &[Settings]) -> Vec<Table> {
    if slices.len() < 2 {
        return Vec::new();
    }
    outcomes(slices, all).into_iter().chain(learnt(slices, all)).collect()
}

/// Where each arm holds, and what it costs on both sides.
fn outcomes(slices: &[Slice<'_>], all: &[Settings]) -> Option<Table> {
    let parts = [&CATCH[..1], &PRICE[..], &HARM[..1], &BANS[1..2]];
    let measures: Vec<&Measure> = parts.into_iter().flatten().collect();
    let mut rows = Vec::new();
    for (slice, settings) in slices.iter().zip(all).filter(|(slice, _)| slice.simulated()) {
        for actor in slice.actors() {
            for arm in &slice.arms {
                rows.push(row(slice, settings, arm, actor, &measures));
            }
        }
    }
    let heads = ["variant", "actor", "arm", "n", "holds"];
    let heads = heads.into_iter().chain(measures.iter().map(|m| m.head));
    let remark = "holds: no if the interval of what was collected lies above 95 % of the target, yes if it lies \
        below, else open. The last two columns are honest people's.";
    (!rows.is_empty()).then(|| table("where each arm holds", heads, rows, Some(remark.to_string())))
}

fn row(
    slice: &Slice<'_>,
    settings: &Settings,
    arm: &Arm<'_>,
    actor: &str,
    measures: &[&Measure],
) -> Vec<String> {
    // The last two measures are of honest people.
    let party = |i: usize| (i + 2 < measures.len()).then_some(actor);
    let of = |i: usize| measures[i].spread(slice, settings, arm, party(i));
    let first = [slice.variant, actor, arm.name].map(String::from);
    let count = [arm.outcomes.len().to_string(), holds(&of(0)).to_string()];
    let cells = measures.iter().enumerate().map(|(i, m)| spread(&of(i), m.unit, i < 3));
    first.into_iter().chain(count).chain(cells).collect()
}

fn holds(collected: &Spread) -> &'static str {
    match collected.reach() {
        Some((low, _)) if low >= REACHED => "no",
        Some((_, high)) if high < REACHED => "yes",
        Some(_) => "open",
        None => "-",
    }
}

/// Last-day recovered of every variant.
fn learnt(slices: &[Slice<'_>], all: &[Settings]) -> Option<Table> {
    let taught: Vec<(&Slice<'_>, &Settings)> =
        slices.iter().zip(all).filter(|(s, _)| s.taught()).collect();
    if taught.len() < 2 {
        return None;
    }
    let mut rows = Vec::new();
    for (slice, settings) in taught {
        for given in recovered(slice)?.rows {
            let ratio = settings.exchanges_per_example.map_or("-".into(), short);
            let first = vec![slice.variant.to_string(), ratio];
            rows.push([first, given[..4].to_vec()].concat());
        }
    }
    let heads = ["variant", "exchanges per example", "actor", "arm", "n", "recovered, %"];
    let remark = "The last day, mean over areas.".to_string();
    Some(table("recovered over the sweep", heads.into_iter(), rows, Some(remark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arm_holds_where_the_whole_interval_is_below_the_target() {
        let of = |low, high| Spread { ends: Some((low, high)), ..Spread::plain([high]) };
        assert_eq!(holds(&of(0.2, 0.94)), "yes");
        assert_eq!(holds(&of(0.2, 0.96)), "open");
        assert_eq!(holds(&of(0.95, 1.0)), "no");
        assert_eq!(holds(&Spread::default()), "-");
    }
}
