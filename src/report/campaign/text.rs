//! The tables on the terminal: Markdown to read, CSV and JSON as one row for each estimate.

use std::fmt::Write as _;

use serde::Serialize;

use super::summary::difference::{self, Paired};
use super::summary::gather::{Arm, Slice};
use super::summary::learning;
use super::summary::measure::{Measure, Unit};
use super::summary::money::{BOOKS, COSTS, RETURN};
use super::summary::settings::Settings;
use super::summary::sides::{BANS, CATCH, HARM, MET, PRICE};
use super::summary::spread::{ESTIMATOR, Spread};
use super::sweep;
use super::tables::{self, Width};
use crate::metric::Better;
use crate::report::markdown::wrapped;
use crate::report::records::better;

/// What every page and every table says first.
pub(super) const BANNER: &str = "Counts of published campaigns are a vendor's claims; nobody has audited them. \
                                 Names are placeholders.";

/// One estimate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Line<'a> {
    pub variant: &'a str,
    pub arm: &'a str,
    /// `honest`, an actor, or empty for all.
    pub party: &'a str,
    pub area: &'a str,
    /// None for the end of the scenario.
    pub day: Option<u32>,
    pub metric: &'static str,
    pub n: usize,
    /// Median; of differences the mean.
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub unit: &'static str,
    pub better: &'static str,
    /// Holm-adjusted p of the headline difference.
    pub p: Option<f64>,
    /// `not-reached`, or the bound that holds where no unit was hit.
    pub note: String,
}

/// All estimates of a variant.
pub(super) fn lines<'a>(slice: &Slice<'a>, settings: &Settings) -> Vec<Line<'a>> {
    let mut out = Vec::new();
    for arm in &slice.arms {
        let honest = [&HARM[..], &BANS, &BOOKS, &RETURN];
        if !arm.outcomes.is_empty() {
            honest.iter().for_each(|m| measured(&mut out, slice, settings, arm, None, m));
            for actor in slice.actors() {
                for measures in [&CATCH[..], &MET, &PRICE, &COSTS[..COSTS.len() - 1]] {
                    measured(&mut out, slice, settings, arm, Some(actor), measures);
                }
            }
        }
        for actor in slice.actors() {
            for area in slice.areas().into_iter().map(Some).chain([None]) {
                for at in learning::curve(arm, actor, area) {
                    let mut line = line(slice, arm.name, "recovered", &at.recovered);
                    (line.party, line.area, line.day) =
                        (actor, area.unwrap_or("mean"), Some(at.day));
                    line.better = better(Better::Higher);
                    out.push(line);
                }
            }
        }
    }
    out.extend(differences(slice, settings));
    out
}

fn measured<'a>(
    out: &mut Vec<Line<'a>>,
    slice: &Slice<'a>,
    settings: &Settings,
    arm: &Arm<'a>,
    actor: Option<&'a str>,
    measures: &[Measure],
) {
    for m in measures {
        let mut line = line(slice, arm.name, m.name, &m.spread(slice, settings, arm, actor));
        line.party = actor.unwrap_or("honest");
        (line.unit, line.better) = (m.unit.name(), better(m.better));
        // A measure may be in two tables.
        if !out
            .iter()
            .any(|l| l.arm == line.arm && l.party == line.party && l.metric == line.metric)
        {
            out.push(line);
        }
    }
}

fn line<'a>(slice: &Slice<'a>, arm: &'a str, metric: &'static str, s: &Spread) -> Line<'a> {
    let finite = |v: f64| Some(v).filter(|v| v.is_finite());
    let bound = s.bound.map(|b| format!("{} {}", if b.above { ">" } else { "<" }, b.at));
    let never = s.median.is_some_and(f64::is_infinite).then(|| "not-reached".to_string());
    Line {
        variant: slice.variant,
        arm,
        party: "",
        area: "",
        day: None,
        metric,
        n: s.n,
        value: s.finite(),
        low: s.ends.and_then(|e| finite(e.0)),
        high: s.ends.and_then(|e| finite(e.1)),
        unit: Unit::Share.name(),
        better: better(Better::Neither),
        p: None,
        note: bound.or(never).unwrap_or_default(),
    }
}

fn differences<'a>(slice: &Slice<'a>, settings: &Settings) -> Vec<Line<'a>> {
    let headline = difference::headline(slice);
    let mut out = Vec::new();
    for (d, arm) in
        difference::differences(slice, settings).iter().zip(slice.names().into_iter().skip(1))
    {
        let named: [(&'static str, &Paired, bool); 3] = [
            ("recovered_difference", &d.recovered, headline == "recovered"),
            ("collected_difference", &d.collected, headline == "collected"),
            ("requests_lost_difference", &d.lost, false),
        ];
        for (metric, pair, first) in named {
            let (low, high) = pair.ends.unzip();
            let p = d.p.filter(|_| first);
            let empty = line(slice, arm, metric, &Spread::default());
            out.push(Line { n: pair.n, value: pair.mean, low, high, p, ..empty });
        }
    }
    out
}

/// Estimates as CSV.
pub(super) fn csv(lines: &[Line<'_>]) -> Option<String> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![]);
    lines.iter().try_for_each(|line| csv.serialize(line)).ok()?;
    String::from_utf8(csv.into_inner().ok()?).ok()
}

/// Tables to read.
pub(super) fn markdown(slices: &[Slice<'_>], all: &[Settings]) -> String {
    let mut out = String::new();
    wrapped(&mut out, BANNER, "");
    out.push('\n');
    for (slice, settings) in slices.iter().zip(all) {
        if !slice.variant.is_empty() {
            let _ = writeln!(out, "## {}\n", slice.variant);
        }
        for given in tables::all(slice, settings, Width::Narrow) {
            table(&mut out, &given);
        }
    }
    sweep::tables(slices, all).iter().for_each(|t| table(&mut out, t));
    wrapped(&mut out, ESTIMATOR, "");
    out
}

fn table(out: &mut String, given: &crate::report::details::Table) {
    crate::report::table::detail(out, given);
}
