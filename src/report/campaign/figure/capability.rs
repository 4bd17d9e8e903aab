//! Figure 1: what students recovered, against days, dollars and operations.

use super::super::cell::short;
use super::super::summary::gather::Slice;
use super::super::summary::learning::{At, curve};
use super::super::summary::settings::Settings;
use super::{Drawn, linear, logarithmic};
use crate::error::Result;
use crate::report::figure::axis::{Axis, Point, ends, span};
use crate::report::figure::panels::{self, Panel};

/// A figure for each actor: a row of three charts for each area, a line for each arm.
pub(super) fn all(slice: &Slice<'_>, settings: &Settings) -> Result<Vec<Drawn>> {
    let mut out = Vec::new();
    for (i, actor) in slice.actors().into_iter().enumerate() {
        out.extend(of_actor(slice, settings, actor, i)?);
    }
    Ok(out)
}

fn of_actor(
    slice: &Slice<'_>,
    settings: &Settings,
    actor: &str,
    number: usize,
) -> Result<Option<Drawn>> {
    let areas = slice.areas();
    let of = |area: &&str| -> Vec<Vec<At>> {
        slice.arms.iter().map(|arm| curve(arm, actor, Some(area))).collect()
    };
    let curves: Vec<Vec<Vec<At>>> = areas.iter().map(of).collect();
    let every = || curves.iter().flatten().flatten();
    if every().next().is_none() {
        return Ok(None);
    }
    let days = linear("day", every().map(|a| f64::from(a.day)).fold(0.0, f64::max), short);
    let written = |place: f64| short(libm::exp(place));
    let usd = logarithmic("dollars, chips not included", every().map(|a| a.usd), written);
    let flop = logarithmic("operations of the student", every().map(|a| a.flop), exponent);
    let lines: Vec<Vec<Point>> =
        curves.iter().flatten().map(|c| line(c, |a| f64::from(a.day))).collect();
    let range = span(lines.iter().flat_map(|c| ends(c)), -0.5, 1.5);
    let mut charts = Vec::new();
    for (area, arms) in areas.iter().zip(&curves) {
        let panel = |axis: &Axis, x: fn(&At) -> f64| Panel {
            title: format!("{actor}: {area}"),
            y: "recovered",
            axis: axis.clone(),
            range,
            curves: arms.iter().map(|c| line(c, x)).collect(),
        };
        charts.push(panel(&days, |a| f64::from(a.day)));
        charts.push(panel(&usd, |a| libm::log(a.usd)));
        charts.push(panel(&flop, |a| libm::log(a.flop)));
    }
    let foot = settings.exchanges_per_example.map(|r| {
        format!("{} exchanges of the campaign stand for one example of a student", short(r))
    });
    let svg = panels::draw(&slice.names(), &[], &charts, 3, foot.as_deref())?;
    let n = slice.arms.iter().map(|a| a.learnt.len()).max().unwrap_or(0);
    let caption = format!(
        "Capability at day N of {actor}: recovered = (student - floor) / (teacher - floor) of a student \
         trained on what had leaked by then, for each area, against days, dollars (log scale) and the \
         operations that had gone into the student (log scale). One line per arm: median over \
         replicates (n = {n}), the band is the 90 % interval."
    );
    Ok(Some(Drawn { name: format!("capability-{}", number + 1), caption, svg }))
}

/// Points whose place can be drawn: a logarithm of nothing cannot.
fn line(curve: &[At], x: fn(&At) -> f64) -> Vec<Point> {
    let point = |a: &At| Some((x(a), a.recovered.finite()?, a.recovered.ends));
    curve.iter().filter_map(point).filter(|p| p.0.is_finite()).collect()
}

/// `1e21`, `3e21`.
fn exponent(place: f64) -> String {
    format!("{:.0e}", libm::exp(place))
}
