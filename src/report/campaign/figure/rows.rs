//! Charts with a named row for each thing: bars of several parts, or a dot with a line.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::cell::short;
use super::super::summary::gather::Slice;
use super::super::summary::settings::Settings;
use super::super::summary::sides::MET;
use super::{Drawn, logarithmic};
use crate::error::Result;
use crate::report::figure::axis::{Axis, Chart};
use crate::report::figure::legend::Legend;
use crate::report::figure::{Area, colour, failed, mark, width};

const WIDE: i32 = 860;
const ROW: i32 = 26;
const FOOT: i32 = 52;

/// A row: its name, and numbers whose meaning is the chart's.
pub(super) struct Row {
    pub name: String,
    pub values: Vec<f64>,
}

/// Bars whose parts stand behind one another, by the names of the parts.
pub(super) fn bars(parts: &[&str], rows: &[Row], axis: &Axis) -> Result<String> {
    chart(parts, rows, axis, |chart, _, y, values| {
        let mut from = 0.0;
        for (i, value) in values.iter().enumerate().filter(|v| *v.1 > 0.0) {
            let corners = [(from, y - 0.32), (from + value, y + 0.32)];
            let bar = Rectangle::new(corners, colour(i).filled());
            chart.draw_series([bar]).map_err(failed)?;
            from += value;
        }
        Ok(())
    })
}

/// Several marks in a row, joined from the first to the last.
fn dots(marks: &[&str], rows: &[Row], axis: &Axis) -> Result<String> {
    chart(marks, rows, axis, |chart, area, y, values| {
        let line = values.iter().map(|v| (*v, y));
        chart.draw_series(LineSeries::new(line, BLACK.mix(0.4))).map_err(failed)?;
        let base = area.get_base_pixel();
        for (i, value) in values.iter().enumerate() {
            let at = chart.backend_coord(&(*value, y));
            mark(area, (at.0 - base.0, at.1 - base.1), i)?;
        }
        Ok(())
    })
}

fn chart(
    names: &[&str],
    rows: &[Row],
    axis: &Axis,
    draw: impl Fn(&mut Chart<'_, '_>, &Area<'_>, f64, &[f64]) -> Result<()>,
) -> Result<String> {
    let legend = Legend::of(names, &[], WIDE);
    let left = rows.iter().map(|r| width(&r.name, 15)).max().unwrap_or(0) + 20;
    let high = legend.height + ROW * rows.len() as i32 + FOOT;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDE as u32, high as u32));
        let root = root.into_drawing_area();
        let (top, body) = root.split_vertically(legend.height);
        legend.draw(&top)?;
        let mut chart = ChartBuilder::on(&body)
            .margin_right(24)
            .x_label_area_size(FOOT - 4)
            .y_label_area_size(left)
            .build_cartesian_2d(axis.clone(), rows.len() as f64..0.0)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .y_labels(0)
            .x_labels(axis.ticks.len())
            .x_desc(axis.name)
            .x_label_formatter(&|x| (axis.label)(*x))
            .label_style(("sans-serif", 15))
            .draw()
            .map_err(failed)?;
        for (k, row) in rows.iter().enumerate() {
            let y = k as f64 + 0.5;
            let at = chart.backend_coord(&(axis.range.0, y));
            let style = ("sans-serif", 15).into_font().color(&BLACK);
            let style = style.pos(Pos::new(HPos::Right, VPos::Center));
            let place = (at.0 - 8, at.1 - legend.height);
            body.draw(&Text::new(row.name.clone(), place, style)).map_err(failed)?;
            draw(&mut chart, &body, y, &row.values)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

/// Exchanges that a closed account had got: mean, median and 90th percentile.
pub(super) fn leak(slice: &Slice<'_>, settings: &Settings) -> Result<Option<Drawn>> {
    let mut rows = Vec::new();
    for actor in slice.actors() {
        for arm in &slice.arms {
            let of = |i: usize| MET[i].spread(slice, settings, arm, Some(actor)).finite();
            // The median first: the line goes from it to the 90th percentile.
            let values: Option<Vec<f64>> = [1, 0, 2].into_iter().map(of).collect();
            let drawn = values.filter(|v| v.iter().all(|v| *v > 0.0));
            rows.extend(drawn.map(|v| Row {
                name: format!("{actor}, {}", arm.name),
                values: v.into_iter().map(libm::log).collect(),
            }));
        }
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let values = rows.iter().flat_map(|r| r.values.iter().map(|v| libm::exp(*v)));
    let axis =
        logarithmic("exchanges of a closed account", values, |place| short(libm::exp(place)));
    let svg = dots(&["median", "mean", "90th percentile"], &rows, &axis)?;
    let caption = "Leak before ban: exchanges of the campaign that an account had got when it was closed (log \
                   scale), each number the median over replicates. Arms that closed no account of an \
                   actor, or only such as had got nothing, have no row."
        .to_string();
    Ok(Some(Drawn { name: "leak-before-ban".into(), caption, svg }))
}
