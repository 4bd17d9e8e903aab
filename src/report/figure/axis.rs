//! Lines over an axis that may be logarithmic, each with the band of its interval.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::{Area, colour, failed, mark};
use crate::error::Result;

pub(in crate::report) type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, RangedCoordf64>>;

/// Place on the axis, value and interval.
pub(in crate::report) type Point = (f64, f64, Option<(f64, f64)>);

/// Most marks on a line.
const MARKS: usize = 12;

/// A horizontal axis. Places on it are values, or their logarithms.
#[derive(Clone)]
pub(in crate::report) struct Axis {
    /// What it shows.
    pub name: &'static str,
    /// Places with a label.
    pub ticks: Vec<f64>,
    /// Its ends, as places.
    pub range: (f64, f64),
    /// Writes a place.
    pub label: fn(f64) -> String,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.0) / (self.range.1 - self.range.0);
        limit.0 + libm::round(share * f64::from(limit.1 - limit.0)) as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.0..self.range.1
    }
}

impl Axis {
    /// Around these places, with a little air.
    pub fn around(name: &'static str, ticks: Vec<f64>, label: fn(f64) -> String) -> Self {
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        let ends = ticks.iter().fold(start, |(l, h), v| (l.min(*v), h.max(*v)));
        let (low, high) = if ends.0 <= ends.1 { ends } else { (0.0, 0.0) };
        let air = if low < high { 0.03 * (high - low) } else { 0.5 };
        let step = ticks.len().div_ceil(6).max(1);
        let ticks = ticks.into_iter().rev().step_by(step).collect();
        Self { name, ticks, range: (low - air, high + air), label }
    }

    /// Lines and labels of a chart over this axis.
    pub fn mesh(&self, chart: &mut Chart<'_, '_>, y: &str, size: i32) -> Result<()> {
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_labels(self.ticks.len())
            .y_labels(6)
            .x_desc(self.name)
            .y_desc(y)
            .x_label_formatter(&|x| (self.label)(*x))
            .y_label_formatter(&|y| format!("{y:.1}"))
            .label_style(("sans-serif", size))
            .draw()
            .map_err(failed)
    }
}

/// Every number that a curve reaches.
pub(in crate::report) fn ends(curve: &[Point]) -> impl Iterator<Item = f64> + '_ {
    curve.iter().flat_map(|(_, value, interval)| {
        let (low, high) = interval.unwrap_or((*value, *value));
        [low, *value, high]
    })
}

/// From 0 to 1 and as far beyond as the values go, up to the limits, with a little air.
pub(in crate::report) fn span(
    values: impl Iterator<Item = f64>,
    least: f64,
    most: f64,
) -> (f64, f64) {
    let (low, high) = values.fold((0.0, 1.0), |(l, h): (f64, f64), v| (l.min(v), h.max(v)));
    let (low, high) = (low.max(least), high.min(most));
    (if low < 0.0 { low - 0.02 } else { 0.0 }, high + 0.04)
}

/// A line with its band, and marks at its points, or at some where there are many.
pub(in crate::report) fn curve(
    chart: &mut Chart<'_, '_>,
    area: &Area<'_>,
    points: &[Point],
    i: usize,
) -> Result<()> {
    let upper = points.iter().filter_map(|p| Some((p.0, p.2?.1)));
    let lower = points.iter().rev().filter_map(|p| Some((p.0, p.2?.0)));
    let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
    if outline.len() > 2 {
        chart.draw_series([Polygon::new(outline, colour(i).mix(0.18))]).map_err(failed)?;
    } else if let [high, low] = outline[..] {
        chart.draw_series(LineSeries::new([high, low], colour(i).mix(0.6))).map_err(failed)?;
    }
    let line = points.iter().map(|p| (p.0, p.1));
    chart.draw_series(LineSeries::new(line, colour(i).stroke_width(2))).map_err(failed)?;
    let base = area.get_base_pixel();
    for p in points.iter().step_by(points.len().div_ceil(MARKS).max(1)) {
        let (x, y) = chart.backend_coord(&(p.0, p.1));
        mark(area, (x - base.0, y - base.1), i)?;
    }
    Ok(())
}
