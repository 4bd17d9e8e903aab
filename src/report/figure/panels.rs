//! Charts side by side that share their lines' names.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, Chart, Point, curve};
use super::legend::{self, Legend};
use super::{Area, failed};
use crate::error::Result;
use crate::experiment::record::Role;

const PANEL: (u32, u32) = (274, 230);
/// Pixels of a line of text below all charts.
const FOOT: u32 = 26;

/// One chart.
pub(in crate::report) struct Panel {
    /// Above it.
    pub title: String,
    /// Name of the vertical axis; written at the first chart of a row.
    pub y: &'static str,
    pub axis: Axis,
    /// Ends of the vertical axis.
    pub range: (f64, f64),
    /// A line for each name.
    pub curves: Vec<Vec<Point>>,
}

/// Charts in so many columns under the names of their lines; `levels` are drawn across each, `foot` is
/// written below.
pub(in crate::report) fn draw(
    names: &[&str],
    levels: &[(Role, f64)],
    panels: &[Panel],
    columns: usize,
    foot: Option<&str>,
) -> Result<String> {
    let columns = columns.max(1);
    let rows = panels.len().div_ceil(columns).max(1);
    let wide = (PANEL.0 * columns as u32).max(600);
    let legend = Legend::of(names, levels, wide as i32);
    let below = if foot.is_some() { FOOT } else { 0 };
    let high = PANEL.1 * rows as u32 + legend.height as u32;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (wide, high + below)).into_drawing_area();
        let (top, body) = root.split_vertically(legend.height);
        let (body, last) = body.split_vertically(PANEL.1 * rows as u32);
        legend.draw(&top)?;
        for (k, (area, panel)) in body.split_evenly((rows, columns)).iter().zip(panels).enumerate()
        {
            chart(area, panel, levels, k % columns == 0)?;
        }
        if let Some(foot) = foot {
            let style = ("sans-serif", 15).into_font().color(&BLACK);
            let style = style.pos(Pos::new(HPos::Left, VPos::Top));
            last.draw(&Text::new(foot.to_string(), (12, 4), style)).map_err(failed)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn chart(area: &Area<'_>, panel: &Panel, levels: &[(Role, f64)], first: bool) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 16))
        .margin(6)
        .x_label_area_size(38)
        .y_label_area_size(if first { 50 } else { 34 })
        .build_cartesian_2d(panel.axis.clone(), panel.range.0..panel.range.1)
        .map_err(failed)?;
    panel.axis.mesh(&mut chart, if first { panel.y } else { "" }, 13)?;
    references(&mut chart, &panel.axis, levels)?;
    for (i, points) in panel.curves.iter().enumerate() {
        curve(&mut chart, area, points, i)?;
    }
    Ok(())
}

/// Level lines of references, across the chart.
pub(super) fn references(
    chart: &mut Chart<'_, '_>,
    axis: &Axis,
    levels: &[(Role, f64)],
) -> Result<()> {
    for (role, y) in levels {
        let line = [(axis.range.0, *y), (axis.range.1, *y)];
        chart.draw_series(LineSeries::new(line, legend::ink(*role).mix(0.7))).map_err(failed)?;
    }
    Ok(())
}
