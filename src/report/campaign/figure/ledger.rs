//! Money on both sides.

use super::super::cell::short;
use super::super::summary::gather::Slice;
use super::super::summary::measure::Measure;
use super::super::summary::money::{BOOKS, COSTS};
use super::super::summary::settings::Settings;
use super::rows::{self, Row};
use super::{Drawn, linear};
use crate::error::Result;

/// What actors pay, by what for.
pub(super) fn actors(slice: &Slice<'_>, settings: &Settings) -> Result<Option<Drawn>> {
    let kinds = &COSTS[..COSTS.len() - 1];
    let mut rows = Vec::new();
    for actor in slice.actors() {
        rows.extend(books(slice, settings, kinds, Some(actor)));
    }
    let caption = "What actors pay under each arm, by what for: medians over replicates. Chips are not \
                   included.";
    drawn("money-actors", caption, kinds, rows)
}

/// The defender's revenue, what refusals lose of it, and reviews.
pub(super) fn defender(slice: &Slice<'_>, settings: &Settings) -> Result<Option<Drawn>> {
    let caption = "The defender's revenue under each arm, what refusals to honest people lost of it, and what \
                   reviews of alarms cost: medians over replicates. The last two are costs.";
    drawn("money-defender", caption, &BOOKS, books(slice, settings, &BOOKS, None))
}

fn books(
    slice: &Slice<'_>,
    settings: &Settings,
    measures: &[Measure],
    actor: Option<&str>,
) -> Vec<Row> {
    let row = |arm: &super::super::summary::gather::Arm<'_>| {
        let of = |m: &Measure| m.spread(slice, settings, arm, actor).finite().unwrap_or(0.0);
        let name = actor.map_or(arm.name.to_string(), |a| format!("{a}, {}", arm.name));
        Row { name, values: measures.iter().map(of).collect() }
    };
    slice.arms.iter().filter(|a| !a.outcomes.is_empty()).map(row).collect()
}

fn drawn(name: &str, caption: &str, measures: &[Measure], rows: Vec<Row>) -> Result<Option<Drawn>> {
    let most = rows.iter().map(|r| r.values.iter().sum::<f64>()).fold(0.0, f64::max);
    if most <= 0.0 {
        return Ok(None);
    }
    let parts: Vec<&str> = measures.iter().map(|m| m.head.trim_end_matches(", $")).collect();
    let svg = rows::bars(&parts, &rows, &linear("dollars", most, short))?;
    Ok(Some(Drawn { name: name.into(), caption: caption.into(), svg }))
}
