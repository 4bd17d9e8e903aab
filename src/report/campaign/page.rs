//! The page of a campaign.

use std::fmt::Write as _;

use serde_json::json;

use super::cell::spread;
use super::summary::curves::{by_day, days};
use super::summary::gather::Slice;
use super::summary::learning;
use super::summary::measure::Unit;
use super::summary::settings::Settings;
use super::summary::spread::ESTIMATOR;
use super::sweep;
use super::tables::{self, Width};
use super::text::{BANNER, Line};
use crate::error::{Error, Result};
use crate::experiment::campaign::record::{Assumption, CampaignRecord, Part};
use crate::report::figure::Figure;
use crate::report::page::{self, Table, capital, escape};

/// What a page shows.
pub(super) struct Content<'a> {
    pub records: &'a [CampaignRecord],
    pub slices: &'a [Slice<'a>],
    pub settings: &'a [Settings],
    /// For each variant.
    pub figures: &'a [Vec<Figure>],
    pub assumptions: &'a [Assumption],
    pub lines: &'a [Line<'a>],
}

/// The page; `command` makes it again.
pub(super) fn html(content: &Content<'_>, name: &str, command: &str) -> Result<String> {
    let mut body = page::top(name, &size(content.records), command);
    page::notes(&mut body, &notes(content));
    page::explain(&mut body, &[ESTIMATOR.to_string()]);
    for (i, slice) in content.slices.iter().enumerate() {
        variant(&mut body, content, slice, i, command);
    }
    for table in sweep::tables(content.slices, content.settings) {
        page::text(&mut body, &capital(&table.title), &table);
    }
    assumptions(&mut body, content.assumptions);
    long(&mut body, content.slices);
    Ok(page::document(name, &body, &data(content.lines)?))
}

/// Capability first, then tables with the figures of the same matter behind them.
fn variant(body: &mut String, content: &Content<'_>, slice: &Slice<'_>, i: usize, command: &str) {
    let (first, rest): (Vec<&Figure>, Vec<&Figure>) =
        content.figures[i].iter().partition(|f| f.name.starts_with("capability"));
    if !slice.variant.is_empty() {
        let _ = writeln!(body, "<h2>{}</h2>", escape(slice.variant));
    }
    first.iter().for_each(|f| page::figure(body, f, command));
    for table in tables::all(slice, &content.settings[i], Width::Wide) {
        page::text(body, &slice.titled(&capital(&table.title)), &table);
    }
    rest.iter().for_each(|f| page::figure(body, f, command));
}

fn size(records: &[CampaignRecord]) -> String {
    let count = |part: Part| records.iter().filter(|r| r.part == part).count();
    match (count(Part::Simulation), count(Part::Learning)) {
        (0, 0) => "No cells.".into(),
        (simulated, taught) => {
            format!(
                "{simulated} simulations of an arm and replicate; {taught} of them with students."
            )
        }
    }
}

fn notes(content: &Content<'_>) -> Vec<String> {
    let mut notes = vec![BANNER.to_string()];
    let simulated = content.slices.iter().any(Slice::simulated);
    if simulated && !content.slices.iter().any(Slice::taught) {
        notes.push("No students were trained: capability at day N is not known.".into());
    }
    let most = content.slices.iter().flat_map(|s| &s.arms).map(|a| a.outcomes.len()).max();
    match most {
        Some(1) => {
            notes.push("One replicate: no interval is given, and no difference is tested.".into())
        }
        Some(n) if n > 1 && n < super::summary::spread::ENOUGH => notes.push(format!(
            "{n} replicates: intervals are the smallest and the largest value, not quantiles."
        )),
        _ => {}
    }
    for slice in content.slices.iter().filter(|s| !s.simulated() && s.taught()) {
        notes.push(format!(
            "`{}` sweeps only what students do: its simulations are those of another variant.",
            slice.variant
        ));
    }
    notes
}

fn assumptions(body: &mut String, all: &[Assumption]) {
    if all.is_empty() {
        return;
    }
    let own = all.iter().filter(|a| !a.usual).count();
    let _ = writeln!(
        body,
        "<details><summary>Assumptions: {} settings, {own} not at their default</summary>",
        all.len()
    );
    let mut table = Table::start(
        "Every setting and the evidence behind its default: S seen in a source, M measured or computed from \
         public data, K known from the literature, A assumed",
    );
    table.heads(&["setting", "value", "default?", "evidence for the default"]);
    for a in all {
        let usual = if a.usual { "default" } else { "set" };
        table.row(&a.key, &[escape(&a.value), usual.into(), escape(&a.evidence)]);
    }
    table.end(body);
    body.push_str("</details>\n");
}

/// Every arm, party and day.
fn long(body: &mut String, slices: &[Slice<'_>]) {
    page::tools(body, "arm, party or day");
    let swept = slices.iter().any(|s| !s.variant.is_empty());
    let mut table = Table::start(
        "Every arm, party and day: sums from the start, 90 % intervals over replicates",
    );
    let mut heads = vec!["arm", "party", "day", "n"];
    heads.extend(swept.then_some("variant"));
    heads.extend([
        "answered",
        "of the campaign",
        "useful",
        "requests lost, %",
        "$",
        "recovered, %",
    ]);
    table.heads(&heads);
    for slice in slices {
        for row in long_rows(slice, swept) {
            table.row(&row[0], &row[1..].iter().map(|c| escape(c)).collect::<Vec<_>>());
        }
    }
    table.end(body);
}

fn long_rows(slice: &Slice<'_>, swept: bool) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let days = days(&slice.arms);
    for arm in slice.arms.iter().filter(|a| !a.outcomes.is_empty()) {
        for actor in std::iter::once(None).chain(slice.actors().into_iter().map(Some)) {
            let curve = actor.map(|a| learning::curve(arm, a, None)).unwrap_or_default();
            for &day in &days {
                let of = |f| by_day(arm, actor, day, f);
                let text = |f, unit| spread(&of(f), unit, true);
                let own = |text: String| if actor.is_some() { text } else { "-".into() };
                let found = curve.iter().find(|a| a.day == day);
                let n = of(|p| p.sums.answered as f64).n.to_string();
                let party = actor.unwrap_or("honest").to_string();
                let mut row = vec![arm.name.to_string(), party, day.to_string(), n];
                row.extend(swept.then(|| slice.variant.to_string()));
                row.extend([
                    text(|p| p.sums.answered as f64, Unit::Count),
                    own(text(|p| p.sums.attack as f64, Unit::Count)),
                    own(text(|p| p.sums.useful as f64, Unit::Count)),
                    text(|p| p.sums.lost() as f64 / p.sums.wanted.max(1) as f64, Unit::Share),
                    text(|p| p.usd.total(), Unit::Usd),
                    found.map_or("-".into(), |a| spread(&a.recovered, Unit::Share, true)),
                ]);
                rows.push(row);
            }
        }
    }
    rows
}

/// The estimates for the page's button, without `<`.
fn data(lines: &[Line<'_>]) -> Result<String> {
    let internal = |e: serde_json::Error| Error::Internal(e.to_string());
    let mut head: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for line in lines {
        let serde_json::Value::Object(fields) = serde_json::to_value(line).map_err(internal)?
        else {
            continue;
        };
        if head.is_empty() {
            head = fields.keys().cloned().collect();
        }
        rows.push(fields.into_iter().map(|f| f.1).collect::<Vec<_>>());
    }
    Ok(json!({ "head": head, "rows": rows }).to_string().replace('<', "\\u003c"))
}
