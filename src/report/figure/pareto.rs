//! What a defense costs honest users against what the strongest student still recovers.

use plotters::prelude::*;

use super::super::summary::{Arm, Slice};
use super::labels::{self, Place};
use super::{Area, Drawn, colour, failed, width};
use crate::error::Result;

const SIZE: (u32, u32) = (860, 440);
/// Where labels may be.
const FRAME: Place = (66, 4, 852, 388);

/// An arm with both coordinates and their intervals.
struct Point<'a> {
    arm: &'a Arm,
    /// Honest accuracy lost, points.
    cost: f64,
    cost_ends: (f64, f64),
    /// Recovered by the strongest student.
    left: f64,
    left_ends: (f64, f64),
}

pub(super) fn draw(slice: &Slice<'_>) -> Drawn {
    let points: Vec<Point<'_>> = slice.arms.iter().filter_map(|a| point(a)).collect();
    if points.len() < 2 {
        return Ok(None);
    }
    let (x, y) = ranges(&points);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(46)
            .y_label_area_size(56)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_desc("honest accuracy lost, points")
            .y_desc("recovered by the strongest student")
            .x_labels(9)
            .y_labels(7)
            .x_label_formatter(&|v| unsigned_zero(*v, 1))
            .y_label_formatter(&|v| unsigned_zero(*v, 2))
            .label_style(("sans-serif", 16))
            .draw()
            .map_err(failed)?;
        for (i, p) in points.iter().enumerate() {
            let across = [(p.cost_ends.0, p.left), (p.cost_ends.1, p.left)];
            let up = [(p.cost, p.left_ends.0), (p.cost, p.left_ends.1)];
            for bar in [across, up] {
                chart.draw_series(LineSeries::new(bar, colour(i).mix(0.55))).map_err(failed)?;
            }
        }
        let pixels: Vec<(i32, i32)> =
            points.iter().map(|p| chart.backend_coord(&(p.cost, p.left))).collect();
        marks(&root, &points, &pixels)?;
        root.present().map_err(failed)?;
    }
    let caption = "What each arm costs honest users (accuracy points lost against the undefended \
                   teacher on the same requests) against what the strongest student recovers. Lower \
                   left is better for the defender. Bars are 95 % intervals; a ring marks an \
                   incomplete arm.";
    Ok(Some(("pareto", caption.into(), svg)))
}

fn point(arm: &Arm) -> Option<Point<'_>> {
    let left = if arm.strongest.mean.is_some() { arm.strongest } else { arm.worst };
    let (cost, value) = (100.0 * arm.honest.loss.mean?, left.mean?);
    let cost_ends = arm.honest.loss.interval.map(|(l, h)| (100.0 * l, 100.0 * h));
    Some(Point {
        arm,
        cost,
        cost_ends: cost_ends.unwrap_or((cost, cost)),
        left: value,
        left_ends: left.interval.unwrap_or((value, value)),
    })
}

/// Axis ranges: points and bars with air; at least one point of cost and 0.2 of recovery.
fn ranges(points: &[Point<'_>]) -> ((f64, f64), (f64, f64)) {
    let around = |values: &mut dyn Iterator<Item = f64>, least: f64| {
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = values.fold(start, |(l, h), v| (l.min(v), h.max(v)));
        let air = 0.08 * (high - low).max(least) + ((least - (high - low)) / 2.0).max(0.0);
        (low - air, high + air)
    };
    let mut costs = points.iter().flat_map(|p| [0.0, p.cost_ends.0, p.cost_ends.1]);
    let mut lefts = points.iter().flat_map(|p| [p.left_ends.0, p.left_ends.1]);
    (around(&mut costs, 1.0), around(&mut lefts, 0.2))
}

/// Points, and names that overlap neither points nor one another.
fn marks(area: &Area<'_>, points: &[Point<'_>], pixels: &[(i32, i32)]) -> Result<()> {
    let mut taken: Vec<Place> = pixels.iter().map(|(x, y)| (x - 7, y - 7, x + 7, y + 7)).collect();
    for (i, (p, at)) in points.iter().zip(pixels).enumerate() {
        let ink = colour(i);
        let ink = if p.arm.complete { ink.filled() } else { ink.stroke_width(2) };
        area.draw(&Circle::new(*at, 5, ink)).map_err(failed)?;
    }
    for (p, at) in points.iter().zip(pixels) {
        let place = labels::near(*at, (width(&p.arm.name, 16), 16), &taken, FRAME);
        taken.push(place);
        leader(area, *at, place)?;
        let style = ("sans-serif", 16).into_font().color(&BLACK);
        area.draw(&Text::new(p.arm.name.clone(), (place.0, place.1), style)).map_err(failed)?;
    }
    Ok(())
}

/// A thin line to a label that is not next to its point.
fn leader(area: &Area<'_>, from: (i32, i32), label: Place) -> Result<()> {
    let to = (from.0.clamp(label.0, label.2), from.1.clamp(label.1, label.3));
    if (to.0 - from.0).abs().max((to.1 - from.1).abs()) < 14 {
        return Ok(());
    }
    area.draw(&PathElement::new(vec![from, to], BLACK.mix(0.5))).map_err(failed)
}

/// A number with these decimals and no minus before a zero.
fn unsigned_zero(v: f64, digits: usize) -> String {
    let text = format!("{v:.digits$}");
    let bare = text.trim_start_matches('-');
    if bare.chars().all(|c| c == '0' || c == '.') { bare.to_string() } else { text }
}
