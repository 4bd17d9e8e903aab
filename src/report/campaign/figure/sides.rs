//! Lines and points of both sides: survival, detection, daily caps, and the front of arms.

use super::super::cell::short;
use super::super::summary::curves::{self, auc};
use super::super::summary::front::trades;
use super::super::summary::gather::Slice;
use super::super::summary::settings::Settings;
use super::{Drawn, linear, logarithmic};
use crate::error::Result;
use crate::experiment::campaign::record::Scope;
use crate::report::figure::axis::Point;
use crate::report::figure::panels::{self, Panel};
use crate::report::figure::scatter::{self, Dot, Scale};

/// Accounts that are open by age: a chart for each party, a line for each arm.
pub(super) fn survival(slice: &Slice<'_>) -> Result<Option<Drawn>> {
    let parties = slice.actors().into_iter().map(Some).chain([None]);
    let panel = |actor: Option<&str>| {
        let of = |arm| curves::survival(arm, actor);
        let all: Vec<Vec<f64>> = slice.arms.iter().map(of).collect();
        let oldest = all.iter().map(Vec::len).max().unwrap_or(0).saturating_sub(1);
        let line = |s: &Vec<f64>| -> Vec<Point> {
            s.iter().enumerate().map(|(age, v)| (age as f64, *v, None)).collect()
        };
        Panel {
            title: actor.unwrap_or("honest").to_string(),
            y: "accounts open",
            axis: linear("age, days", oldest as f64, short),
            range: (0.0, 1.04),
            curves: all.iter().map(line).collect(),
        }
    };
    let panels: Vec<Panel> = parties.map(panel).collect();
    if panels.iter().all(|p| p.curves.iter().all(Vec::is_empty)) {
        return Ok(None);
    }
    let svg =
        panels::draw(&slice.names(), &[], &panels, if panels.len() == 4 { 4 } else { 3 }, None)?;
    let caption =
        "Share of accounts that are open at an age (Kaplan and Meier 1958; those still open at \
                   the end are censored), mean over replicates, one line per arm."
            .to_string();
    Ok(Some(Drawn { name: "survival".into(), caption, svg }))
}

/// True against false positives: a chart for each scope, a line for each arm.
pub(super) fn roc(slice: &Slice<'_>) -> Result<Option<Drawn>> {
    let scopes = [(Scope::Account, "accounts"), (Scope::Cluster, "linked accounts")];
    let points = |scope: Scope| -> Vec<Vec<Point>> {
        let point = |(share, s): (f64, super::super::summary::spread::Spread)| {
            Some((libm::log(share), s.finite()?, s.ends))
        };
        let of = |arm| curves::roc(arm, scope).into_iter().filter_map(point).collect();
        slice.arms.iter().map(of).collect()
    };
    let all = scopes.map(|(scope, name)| (name, points(scope)));
    let places = || all.iter().flat_map(|a| a.1.iter().flatten().map(|p| libm::exp(p.0)));
    if places().next().is_none() {
        return Ok(None);
    }
    let axis = logarithmic("false positives", places(), |place| short(libm::exp(place)));
    let panel = |(title, curves): (&str, Vec<Vec<Point>>)| Panel {
        title: title.into(),
        y: "true positives",
        axis: axis.clone(),
        range: (0.0, 1.04),
        curves,
    };
    let panels: Vec<Panel> = all.clone().into_iter().map(panel).collect();
    let svg = panels::draw(&slice.names(), &[], &panels, 2, None)?;
    let area = |scope| {
        let each = slice
            .arms
            .iter()
            .filter_map(|a| Some(format!("{} {:.3}", a.name, auc(a, scope).finite()?)));
        each.collect::<Vec<_>>().join(", ")
    };
    let caption = format!(
        "How well both sides can be told apart at the end by how often they ask for visible reasoning (log \
         scale), account by account and with linked accounts pooled; median over replicates with the 90 % \
         interval. Shares finer than one honest unit are left out. Area under the curve: accounts {}; \
         linked accounts {}.",
        area(Scope::Account),
        area(Scope::Cluster)
    );
    Ok(Some(Drawn { name: "roc".into(), caption, svg }))
}

/// What a daily cap on each account would take from either side.
pub(super) fn caps(slice: &Slice<'_>) -> Result<Option<Drawn>> {
    let Some(arm) = curves::unlimited(&slice.arms) else { return Ok(None) };
    let dot = |cap: curves::CapAt| {
        Some(Dot {
            name: short(cap.per_day as f64),
            x: (cap.honest_requests.finite()?, cap.honest_requests.reach()?),
            y: (cap.attack_left.finite()?, cap.attack_left.reach()?),
            full: true,
        })
    };
    let dots: Vec<Dot> = curves::caps(arm).into_iter().filter_map(dot).collect();
    if dots.is_empty() {
        return Ok(None);
    }
    let across = Scale { name: "share of honest requests above the cap", digits: 1, least: 0.2 };
    let up = Scale { name: "share of attack throughput left", digits: 1, least: 0.2 };
    let svg = scatter::draw(&dots, &across, &up, true)?;
    let caption = format!(
        "What a cap of q requests a day on each account would take from either side, from the rates under \
         {}: points are labelled by q. A cap that stops campaigns for free would be at the lower left. Median \
         over replicates, bars are 90 % intervals.",
        arm.name
    );
    Ok(Some(Drawn { name: "daily-caps".into(), caption, svg }))
}

/// Arms by what honest people lose and what actors get.
pub(super) fn pareto(slice: &Slice<'_>, settings: &Settings) -> Result<Option<Drawn>> {
    let all = trades(slice, settings);
    if all.len() < 2 {
        return Ok(None);
    }
    let hundred = |(low, high): (f64, f64)| (100.0 * low, 100.0 * high);
    let dot = |t: &super::super::summary::front::Trade| {
        Some(Dot {
            name: t.arm.clone(),
            x: (100.0 * t.lost.finite()?, hundred(t.lost.reach()?)),
            y: (t.got.finite()?, t.got.reach()?),
            full: t.best,
        })
    };
    let dots: Vec<Dot> = all.iter().filter_map(dot).collect();
    let taught = slice.taught();
    let name = if taught { "recovered by the last day" } else { "share of targets collected" };
    let across = Scale { name: "honest requests lost, %", digits: 1, least: 1.0 };
    let up = Scale { name, digits: 2, least: 0.2 };
    let svg = scatter::draw(&dots, &across, &up, false)?;
    let best: Vec<&str> = all.iter().filter(|t| t.best).map(|t| t.arm.as_str()).collect();
    let caption = format!(
        "What each arm takes from honest people against what actors get ({name}{}). Lower left is better for \
         the defender. Filled: no other arm is better in one and as good in the other ({}); rings are beaten. \
         Median over replicates, bars are 90 % intervals.",
        if taught { ", mean over actors and areas" } else { ", all actors" },
        best.join(", ")
    );
    Ok(Some(Drawn { name: "pareto".into(), caption, svg }))
}
