//! Curves over log budget: recovered, one panel per arm; accuracy without defense, beside references.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::summary::{Arm, Estimate, Row, Slice};
use super::axis::{Axis, Point, curve, ends, span};
use super::legend::{self, Legend};
use super::panels::{self, Panel, references};
use super::{Drawn, failed, labels, short, width};
use crate::experiment::record::Role;

/// `recovered` against budget, a panel per arm, a line with its 95 % band per student.
pub(super) fn recovered(slice: &Slice<'_>) -> Drawn {
    let (students, levels) = (slice.students(), recovered_levels(slice));
    let of = |arm: &str| -> Vec<Vec<Point>> {
        students.iter().map(|s| points(slice, arm, s, |r| r.recovered)).collect()
    };
    let all: Vec<Vec<Vec<Point>>> = slice.arms.iter().map(|a| of(&a.name)).collect();
    if all.iter().flatten().all(Vec::is_empty) {
        return Ok(None);
    }
    let shown = levels.iter().map(|l| l.1).chain(all.iter().flatten().flat_map(|c| ends(c)));
    let range = span(shown, -0.5, 1.5);
    let panel = |(arm, curves): (&&Arm, Vec<Vec<Point>>)| Panel {
        title: arm.name.clone(),
        y: "recovered",
        axis: axis(slice),
        range,
        curves,
    };
    let panels: Vec<Panel> = slice.arms.iter().zip(all).map(panel).collect();
    let columns = panels.len().min(4);
    let svg = panels::draw(&students, &levels, &panels, columns, None)?;
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
    let axis = axis(slice);
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

fn points(
    slice: &Slice<'_>,
    arm: &str,
    student: &str,
    of: impl Fn(&Row) -> Estimate,
) -> Vec<Point> {
    let at = |r: &Row| Some((log(r.budget), of(r).mean?, of(r).interval));
    slice.curve(arm, student).into_iter().filter_map(at).collect()
}

/// The log budget axis: a tick at each budget, thinned where there are many.
fn axis(slice: &Slice<'_>) -> Axis {
    let mut budgets: Vec<u64> = slice.rows.iter().map(|r| r.budget.max(1)).collect();
    budgets.sort_unstable();
    budgets.dedup();
    let ticks = budgets.into_iter().map(log).collect();
    Axis::around("queries", ticks, |x| short(libm::round(libm::exp(x)) as u64))
}

fn log(budget: u64) -> f64 {
    libm::log(budget.max(1) as f64)
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
