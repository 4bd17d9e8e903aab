//! Curves over log budget: recovered, one panel per arm; accuracy without defense, beside references.

use plotters::prelude::*;

use super::super::summary::{Estimate, Row, Slice};
use super::{Drawn, colour, failed};
use crate::experiment::record::Role;

const COLUMNS: usize = 4;
const PANEL: (u32, u32) = (270, 230);
const LEGEND: u32 = 34;

/// `recovered` against budget, a panel per arm, a line with its 95 % band per student.
pub(super) fn recovered(slice: &Slice<'_>) -> Drawn {
    let (students, arms) = (slice.students(), &slice.arms);
    let Some(range) = budgets(slice) else { return Ok(None) };
    let levels = reference_levels(slice);
    let rows = arms.len().div_ceil(COLUMNS);
    let columns = arms.len().min(COLUMNS);
    let size = ((PANEL.0 * columns as u32).max(560), PANEL.1 * rows as u32 + LEGEND);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let (top, body) = root.split_vertically(LEGEND);
        legend(&top, &students)?;
        for (area, arm) in body.split_evenly((rows, columns)).iter().zip(arms) {
            let mut chart = ChartBuilder::on(area)
                .caption(&arm.name, ("sans-serif", 14))
                .margin(6)
                .x_label_area_size(26)
                .y_label_area_size(34)
                .build_cartesian_2d((range.0..range.1).log_scale(), 0.0..1.08)
                .map_err(failed)?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(BLACK.mix(0.12))
                .x_labels(4)
                .y_labels(5)
                .x_label_formatter(&|x| format!("{x:.0}"))
                .label_style(("sans-serif", 11))
                .draw()
                .map_err(failed)?;
            for level in &levels {
                let line = [(range.0, *level), (range.1, *level)];
                let style = BLACK.mix(0.45).into();
                chart.draw_series(DashedLineSeries::new(line, 3, 3, style)).map_err(failed)?;
            }
            for (i, student) in students.iter().enumerate() {
                let curve = slice.curve(&arm.name, student);
                band(&mut chart, &curve, i, |r| r.recovered)?;
            }
        }
        root.present().map_err(failed)?;
    }
    let caption = "Recovered share of the teacher's skill above the floor, against queries (log scale); bands are 95 % intervals over seeds, one panel per arm. Dashed, from the top: the teacher, the insider, the public-data student, the untrained student.";
    Ok(Some(("recovered-vs-budget", caption.into(), svg)))
}

/// Accuracy under `none` against budget, with teacher, insider, public and untrained as lines.
pub(super) fn accuracy(slice: &Slice<'_>) -> Drawn {
    let students = slice.students();
    let Some(range) = budgets(slice) else { return Ok(None) };
    if !slice.arms.iter().any(|a| a.name == "none") {
        return Ok(None);
    }
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (760, 420)).into_drawing_area();
        let (top, body) = root.split_vertically(LEGEND);
        legend(&top, &students)?;
        let mut chart = ChartBuilder::on(&body)
            .margin(8)
            .margin_right(150)
            .x_label_area_size(40)
            .y_label_area_size(46)
            .build_cartesian_2d((range.0..range.1).log_scale(), 0.0..1.02)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_desc("queries")
            .y_desc("accuracy on the test rows")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .label_style(("sans-serif", 12))
            .draw()
            .map_err(failed)?;
        let mut lines: Vec<(String, f64)> = slice
            .references
            .iter()
            .filter_map(|r| Some((reference_name(r.role).to_string(), r.accuracy.mean?)))
            .collect();
        lines.sort_by(|a, b| b.1.total_cmp(&a.1));
        lines.dedup_by(|a, b| a.0 == b.0);
        let mut last_y = f64::INFINITY;
        for (name, y) in lines {
            chart
                .draw_series(DashedLineSeries::new(
                    [(range.0, y), (range.1, y)],
                    4,
                    4,
                    BLACK.mix(0.6).into(),
                ))
                .map_err(failed)?;
            // Labels keep a line's height apart, whatever the values.
            let label_y = y.min(last_y - 0.05);
            last_y = label_y;
            let place = chart.backend_coord(&(range.1, label_y));
            body.draw(&Text::new(
                format!("{name} {y:.3}"),
                (place.0 + 6, place.1 - 6 - LEGEND as i32),
                ("sans-serif", 12),
            ))
            .map_err(failed)?;
        }
        for (i, student) in students.iter().enumerate() {
            band(&mut chart, &slice.curve("none", student), i, |r| r.accuracy)?;
        }
        root.present().map_err(failed)?;
    }
    let caption = "Accuracy without defense against queries (log scale), beside the teacher, the insider (same student, full access, no budget), the public-data student and the untrained student.";
    Ok(Some(("accuracy-vs-budget", caption.into(), svg)))
}

/// References on the scale of `recovered`.
fn reference_levels(slice: &Slice<'_>) -> Vec<f64> {
    let teacher = slice.references.iter().find(|r| r.role == Role::Teacher);
    let Some((teacher, floor)) =
        teacher.and_then(|t| t.accuracy.mean).zip(slice.floor.and_then(|f| f.mean))
    else {
        return Vec::new();
    };
    let means = slice.references.iter().filter_map(|r| r.accuracy.mean);
    means.map(|mean| ((mean - floor) / (teacher - floor)).clamp(0.0, 1.08)).collect()
}

fn reference_name(role: Role) -> &'static str {
    match role {
        Role::Teacher => "teacher",
        Role::Insider => "insider",
        Role::Public => "public data",
        Role::Untrained => "untrained",
        Role::Student => "student",
    }
}

fn budgets(slice: &Slice<'_>) -> Option<(f64, f64)> {
    let low = slice.rows.iter().map(|r| r.budget).min()? as f64;
    let high = slice.rows.iter().map(|r| r.budget).max()? as f64;
    Some(if low < high { (low, high) } else { (low * 0.8, high * 1.25) })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn legend(area: &Area<'_>, students: &[&str]) -> crate::error::Result<()> {
    let mut x = 10;
    for (i, student) in students.iter().enumerate() {
        area.draw(&PathElement::new(vec![(x, 16), (x + 18, 16)], colour(i).stroke_width(3)))
            .map_err(failed)?;
        area.draw(&Text::new((*student).to_string(), (x + 24, 9), ("sans-serif", 13)))
            .map_err(failed)?;
        x += 44 + 8 * student.len() as i32;
    }
    Ok(())
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<
        plotters::coord::combinators::LogCoord<f64>,
        plotters::coord::types::RangedCoordf64,
    >,
>;

fn band(
    chart: &mut Chart<'_, '_>,
    curve: &[&Row],
    i: usize,
    of: impl Fn(&Row) -> Estimate,
) -> crate::error::Result<()> {
    let points: Vec<(f64, Estimate)> = curve.iter().map(|r| (r.budget as f64, of(r))).collect();
    let upper = points.iter().filter_map(|(x, e)| Some((*x, e.interval?.1.clamp(0.0, 1.08))));
    let lower = points.iter().rev().filter_map(|(x, e)| Some((*x, e.interval?.0.clamp(0.0, 1.08))));
    let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
    if outline.len() > 2 {
        chart.draw_series([Polygon::new(outline, colour(i).mix(0.15))]).map_err(failed)?;
    }
    let line: Vec<(f64, f64)> =
        points.iter().filter_map(|(x, e)| Some((*x, e.mean?.clamp(0.0, 1.08)))).collect();
    chart.draw_series(LineSeries::new(line.clone(), colour(i).stroke_width(2))).map_err(failed)?;
    chart
        .draw_series(line.into_iter().map(|p| Circle::new(p, 2, colour(i).filled())))
        .map_err(failed)?;
    Ok(())
}
