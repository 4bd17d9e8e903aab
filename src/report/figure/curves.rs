//! Curves over log budget: recovered, one panel per arm; accuracy without defense, beside references.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::summary::{Estimate, Row, Slice};
use super::legend::{self, Legend};
use super::{Area, Drawn, colour, failed, labels, mark, width};
use crate::error::Result;
use crate::experiment::record::Role;

const PANEL: (u32, u32) = (274, 230);

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, RangedCoordf64>>;

/// `recovered` against budget, a panel per arm, a line with its 95 % band per student.
pub(super) fn recovered(slice: &Slice<'_>) -> Drawn {
    let (students, arms) = (slice.students(), &slice.arms);
    let of = |arm: &str| -> Vec<Vec<Point>> {
        students.iter().map(|s| points(slice, arm, s, |r| r.recovered)).collect()
    };
    let panels: Vec<Vec<Vec<Point>>> = arms.iter().map(|a| of(&a.name)).collect();
    if panels.iter().flatten().all(Vec::is_empty) {
        return Ok(None);
    }
    let (axis, levels) = (Axis::of(slice), recovered_levels(slice));
    let shown = levels.iter().map(|l| l.1).chain(panels.iter().flatten().flat_map(|c| ends(c)));
    let range = span(shown, -0.5, 1.5);
    let columns = arms.len().min(4);
    let rows = arms.len().div_ceil(columns);
    let wide = (PANEL.0 * columns as u32).max(600);
    let legend = Legend::of(&students, &levels, wide as i32);
    let size = (wide, PANEL.1 * rows as u32 + legend.height as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let (top, body) = root.split_vertically(legend.height);
        legend.draw(&top)?;
        for (k, (area, arm)) in body.split_evenly((rows, columns)).iter().zip(arms).enumerate() {
            let title = if k % columns == 0 { "recovered" } else { "" };
            let mut chart = ChartBuilder::on(area)
                .caption(&arm.name, ("sans-serif", 16))
                .margin(6)
                .x_label_area_size(38)
                .y_label_area_size(if title.is_empty() { 34 } else { 50 })
                .build_cartesian_2d(axis.clone(), range.0..range.1)
                .map_err(failed)?;
            axis.mesh(&mut chart, title, 13)?;
            references(&mut chart, &axis, &levels)?;
            for (i, points) in panels[k].iter().enumerate() {
                curve(&mut chart, area, points, i)?;
            }
        }
        root.present().map_err(failed)?;
    }
    let caption = "Recovered share of the teacher's skill above the best constant answer, against \
                   queries (log scale), one panel per arm. Bands are 95 % intervals over seeds.";
    Ok(Some(("recovered-vs-budget", caption.into(), svg)))
}

/// Accuracy under `none` against budget, with teacher, insider, public and untrained as lines.
pub(super) fn accuracy(slice: &Slice<'_>) -> Drawn {
    let students = slice.students();
    let curves: Vec<Vec<Point>> =
        students.iter().map(|s| points(slice, "none", s, |r| r.accuracy)).collect();
    if curves.iter().all(Vec::is_empty) {
        return Ok(None);
    }
    let axis = Axis::of(slice);
    let lines = named_references(slice);
    let levels: Vec<(Role, f64)> = lines.iter().map(|l| (l.1, l.2)).collect();
    let shown = levels.iter().map(|l| l.1).chain(curves.iter().flat_map(|c| ends(c)));
    let range = span(shown, 0.0, 1.0);
    let side = lines.iter().map(|l| width(&l.0, 16)).max().unwrap_or(0) + 16;
    let legend = Legend::of(&students, &[], 860);
    let mut svg = String::new();
    {
        let size = (860, 420 + legend.height as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let (top, body) = root.split_vertically(legend.height);
        legend.draw(&top)?;
        let mut chart = ChartBuilder::on(&body)
            .margin(8)
            .margin_right(side)
            .x_label_area_size(42)
            .y_label_area_size(52)
            .build_cartesian_2d(axis.clone(), range.0..range.1)
            .map_err(failed)?;
        axis.mesh(&mut chart, "accuracy on the test set", 16)?;
        references(&mut chart, &axis, &levels)?;
        let place = |y: f64| chart.backend_coord(&(axis.range.1, y));
        let wanted: Vec<i32> = levels.iter().map(|l| place(l.1).1 - legend.height).collect();
        let heights = labels::spread(&wanted, 16, 12, 410);
        for ((name, _, level), y) in lines.iter().zip(heights) {
            let style = ("sans-serif", 16).into_font().color(&BLACK);
            let style = style.pos(Pos::new(HPos::Left, VPos::Center));
            body.draw(&Text::new(name.clone(), (place(*level).0 + 6, y), style)).map_err(failed)?;
        }
        for (i, points) in curves.iter().enumerate() {
            curve(&mut chart, &body, points, i)?;
        }
        root.present().map_err(failed)?;
    }
    let caption = "Test accuracy without defense, against queries (log scale), beside the undefended \
                   teacher, the insider (the same student with full answers and no budget), the \
                   student of the public labels alone, and the untrained one. Bands are 95 % \
                   intervals over seeds.";
    Ok(Some(("accuracy-vs-budget", caption.into(), svg)))
}

/// Log budget, mean and interval.
type Point = (f64, f64, Option<(f64, f64)>);

fn points(
    slice: &Slice<'_>,
    arm: &str,
    student: &str,
    of: impl Fn(&Row) -> Estimate,
) -> Vec<Point> {
    let at = |r: &Row| Some((log(r.budget), of(r).mean?, of(r).interval));
    slice.curve(arm, student).into_iter().filter_map(at).collect()
}

fn ends(curve: &[Point]) -> impl Iterator<Item = f64> + '_ {
    curve.iter().flat_map(|(_, mean, interval)| {
        let (low, high) = interval.unwrap_or((*mean, *mean));
        [low, *mean, high]
    })
}

/// From 0 to 1 and as far beyond as the values go, up to the limits, with a little air.
fn span(values: impl Iterator<Item = f64>, least: f64, most: f64) -> (f64, f64) {
    let (low, high) = values.fold((0.0, 1.0), |(l, h): (f64, f64), v| (l.min(v), h.max(v)));
    let (low, high) = (low.max(least), high.min(most));
    (if low < 0.0 { low - 0.02 } else { 0.0 }, high + 0.04)
}

/// The log budget axis: a tick at each budget, thinned where there are many.
#[derive(Clone)]
struct Axis {
    budgets: Vec<u64>,
    range: (f64, f64),
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.0) / (self.range.1 - self.range.0);
        limit.0 + libm::round(share * f64::from(limit.1 - limit.0)) as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.budgets.iter().map(|b| log(*b)).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.0..self.range.1
    }
}

impl Axis {
    fn of(slice: &Slice<'_>) -> Self {
        let mut budgets: Vec<u64> = slice.rows.iter().map(|r| r.budget.max(1)).collect();
        budgets.sort_unstable();
        budgets.dedup();
        let at = |b: Option<&u64>| log(b.copied().unwrap_or(1));
        let (low, high) = (at(budgets.first()), at(budgets.last()));
        let air = if low < high { 0.03 * (high - low) } else { 0.5 };
        let step = budgets.len().div_ceil(6).max(1);
        let budgets = budgets.into_iter().rev().step_by(step).collect();
        Self { budgets, range: (low - air, high + air) }
    }

    fn mesh(&self, chart: &mut Chart<'_, '_>, y: &str, size: i32) -> Result<()> {
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_labels(self.budgets.len())
            .y_labels(6)
            .x_desc("queries")
            .y_desc(y)
            .x_label_formatter(&|x| short(libm::round(libm::exp(*x)) as u64))
            .y_label_formatter(&|y| format!("{y:.1}"))
            .label_style(("sans-serif", size))
            .draw()
            .map_err(failed)
    }
}

fn log(budget: u64) -> f64 {
    libm::log(budget.max(1) as f64)
}

/// `400`, `16k`, `1.6M`.
fn short(n: u64) -> String {
    match n {
        n if n >= 1_000_000 => format!("{}M", n as f64 / 1e6),
        n if n >= 10_000 => format!("{}k", n as f64 / 1e3),
        n => n.to_string(),
    }
}

fn references(chart: &mut Chart<'_, '_>, axis: &Axis, levels: &[(Role, f64)]) -> Result<()> {
    for (role, y) in levels {
        let line = [(axis.range.0, *y), (axis.range.1, *y)];
        chart.draw_series(LineSeries::new(line, legend::ink(*role).mix(0.7))).map_err(failed)?;
    }
    Ok(())
}

fn curve(chart: &mut Chart<'_, '_>, area: &Area<'_>, points: &[Point], i: usize) -> Result<()> {
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
    for p in points {
        let (x, y) = chart.backend_coord(&(p.0, p.1));
        mark(area, (x - base.0, y - base.1), i)?;
    }
    Ok(())
}

/// References on the scale of `recovered`.
fn recovered_levels(slice: &Slice<'_>) -> Vec<(Role, f64)> {
    let teacher = slice.references.iter().find(|r| r.role == Role::Teacher);
    let Some((teacher, floor)) =
        teacher.and_then(|t| t.accuracy.mean).zip(slice.floor.and_then(|f| f.mean))
    else {
        return Vec::new();
    };
    let means = slice.references.iter().filter_map(|r| Some((r.role, r.accuracy.mean?)));
    let scaled = means.map(|(role, mean)| (role, (mean - floor) / (teacher - floor)));
    scaled.filter(|l| l.1.is_finite()).collect()
}

/// Label, role and accuracy of each reference; with the kin where students are of several.
fn named_references(slice: &Slice<'_>) -> Vec<(String, Role, f64)> {
    let several = slice.kins().len() > 1;
    let named = slice.references.iter().filter_map(|r| {
        let mean = r.accuracy.mean?;
        let kin = if several && !r.kin.is_empty() { format!(" {}", r.kin) } else { String::new() };
        Some((format!("{}{kin} {mean:.3}", legend::name(r.role)), r.role, mean))
    });
    named.collect()
}
