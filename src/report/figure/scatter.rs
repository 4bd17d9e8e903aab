//! Named points with bars both ways, labelled without overlap.

use plotters::prelude::*;

use super::labels::{self, Place};
use super::{Area, colour, failed, width};
use crate::error::Result;

const SIZE: (u32, u32) = (860, 440);
/// Where labels may be.
const FRAME: Place = (66, 4, 852, 388);

/// A point.
pub(in crate::report) struct Dot {
    /// Written beside it; an empty one is not.
    pub name: String,
    /// Across, with the ends of its interval.
    pub x: (f64, (f64, f64)),
    /// Up, with the ends of its interval.
    pub y: (f64, (f64, f64)),
    /// Filled, or a ring.
    pub full: bool,
}

/// How both axes are written: name, decimals, smallest length.
pub(in crate::report) struct Scale {
    pub name: &'static str,
    pub digits: usize,
    pub least: f64,
}

/// Draws points; with `joined` a line goes through them in their order.
pub(in crate::report) fn draw(
    dots: &[Dot],
    across: &Scale,
    up: &Scale,
    joined: bool,
) -> Result<String> {
    let x = around(dots.iter().flat_map(|d| [0.0, d.x.1.0, d.x.1.1]), across.least);
    let y = around(dots.iter().flat_map(|d| [d.y.1.0, d.y.1.1]), up.least);
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
            .x_desc(across.name)
            .y_desc(up.name)
            .x_labels(9)
            .y_labels(7)
            .x_label_formatter(&|v| unsigned_zero(*v, across.digits))
            .y_label_formatter(&|v| unsigned_zero(*v, up.digits))
            .label_style(("sans-serif", 16))
            .draw()
            .map_err(failed)?;
        if joined {
            let line = dots.iter().map(|d| (d.x.0, d.y.0));
            chart.draw_series(LineSeries::new(line, BLACK.mix(0.5))).map_err(failed)?;
        }
        for (i, d) in dots.iter().enumerate() {
            let (low, high) = d.x.1;
            let bar = [(low, d.y.0), (high, d.y.0)];
            chart.draw_series(LineSeries::new(bar, colour(i).mix(0.55))).map_err(failed)?;
            let (low, high) = d.y.1;
            let bar = [(d.x.0, low), (d.x.0, high)];
            chart.draw_series(LineSeries::new(bar, colour(i).mix(0.55))).map_err(failed)?;
        }
        let pixels: Vec<(i32, i32)> =
            dots.iter().map(|d| chart.backend_coord(&(d.x.0, d.y.0))).collect();
        marks(&root, dots, &pixels)?;
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

/// Ends of an axis: values with air, and at least this long.
fn around(values: impl Iterator<Item = f64>, least: f64) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    let (low, high) = values.fold(start, |(l, h), v| (l.min(v), h.max(v)));
    let air = 0.08 * (high - low).max(least) + ((least - (high - low)) / 2.0).max(0.0);
    (low - air, high + air)
}

/// Points, and names that overlap neither points nor one another.
fn marks(area: &Area<'_>, dots: &[Dot], pixels: &[(i32, i32)]) -> Result<()> {
    let mut taken: Vec<Place> = pixels.iter().map(|(x, y)| (x - 7, y - 7, x + 7, y + 7)).collect();
    for (i, (d, at)) in dots.iter().zip(pixels).enumerate() {
        let ink = colour(i);
        let ink = if d.full { ink.filled() } else { ink.stroke_width(2) };
        area.draw(&Circle::new(*at, 5, ink)).map_err(failed)?;
    }
    for (d, at) in dots.iter().zip(pixels).filter(|(d, _)| !d.name.is_empty()) {
        let place = labels::near(*at, (width(&d.name, 16), 16), &taken, FRAME);
        taken.push(place);
        leader(area, *at, place)?;
        let style = ("sans-serif", 16).into_font().color(&BLACK);
        area.draw(&Text::new(d.name.clone(), (place.0, place.1), style)).map_err(failed)?;
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
