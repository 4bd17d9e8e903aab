//! Budget curves of every capability.

use super::flat::{ALL, capability, rest};
use crate::error::Result;
use crate::report::Summary;
use crate::report::figure::axis::{Axis, Point, ends, span};
use crate::report::figure::panels::{self, Panel};
use crate::report::figure::{Figure, short};
use crate::report::summary::Slice;

/// Most lines of a chart that can still be told apart.
const LINES: usize = 7;

/// A line's name, arm and student.
type Line = (String, String, String);

/// Figures of all lines, for each swept value.
pub(super) fn all(summary: &Summary) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut points: Vec<String> = Vec::new();
    for slice in summary.parts() {
        if !points.contains(&rest(&slice.name)) {
            points.push(rest(&slice.name));
        }
    }
    for point in &points {
        let slices: Vec<Slice<'_>> =
            summary.parts().filter(|slice| rest(&slice.name) == *point).collect();
        let Some(first) = slices.first() else { continue };
        let groups = groups(&arms(first), &first.students());
        let split = groups.len() > 1;
        let budgets = budgets(&slices);
        let against = match budgets[..] {
            [only] => format!("after {} exchanges, in the order of the names", short(only)),
            _ => "against exchanges (log scale)".into(),
        };
        for lines in groups {
            let of = if split { format!(" of {}", lines[0].2) } else { String::new() };
            if let Some(svg) = draw(&slices, &budgets, &lines)? {
                let at = if point.is_empty() { String::new() } else { format!("{point}: ") };
                let caption = format!(
                    "{at}Recovered share of the teacher's capabilities{of} above the best constant \
                     answer, {against}, one panel a capability. Bands are 95 % intervals over seeds."
                );
                let number = figures.len() + 1;
                let suffix = if number == 1 { String::new() } else { format!("-{number}") };
                figures.push(Figure::of(format!("capabilities{suffix}"), caption, &svg));
            }
        }
    }
    Ok(figures)
}

/// Lines of one figure where all arms and students are few lines, else of one figure for each student.
fn groups(arms: &[String], students: &[&str]) -> Vec<Vec<Line>> {
    let few = arms.len() * students.len() <= LINES;
    let line = |arm: &String, student: &str| {
        let name = match (few && students.len() > 1, arms.len()) {
            (false, _) => arm.clone(),
            (true, 1) => student.to_string(),
            (true, _) => format!("{arm}, {student}"),
        };
        (name, arm.clone(), student.to_string())
    };
    if few {
        let all = arms.iter().flat_map(|arm| students.iter().map(move |student| (arm, student)));
        return vec![all.map(|(arm, student)| line(arm, student)).collect()];
    }
    let of = |student: &&str| arms.iter().map(|arm| line(arm, student)).collect();
    students.iter().map(of).collect()
}

fn arms(slice: &Slice<'_>) -> Vec<String> {
    slice.arms.iter().map(|arm| arm.name.clone()).collect()
}

/// All budgets, in rising order.
fn budgets(slices: &[Slice<'_>]) -> Vec<u64> {
    let mut all: Vec<u64> = slices.iter().flat_map(|s| s.rows.iter().map(|r| r.budget)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Curves over budgets; points side by side where there is one budget.
fn draw(slices: &[Slice<'_>], budgets: &[u64], lines: &[Line]) -> Result<Option<String>> {
    let curve = |slice: &Slice<'_>, arm: &str, student: &str| -> Vec<Point> {
        let rows = slice.curve(arm, student).into_iter();
        rows.filter_map(|r| Some((log(r.budget), r.recovered.mean?, r.recovered.interval)))
            .collect()
    };
    let of = |slice: &Slice<'_>| -> Vec<Vec<Point>> {
        lines.iter().map(|(_, arm, student)| curve(slice, arm, student)).collect()
    };
    let mut curves: Vec<Vec<Vec<Point>>> = slices.iter().map(of).collect();
    if curves.iter().flatten().all(Vec::is_empty) {
        return Ok(None);
    }
    let range = span(curves.iter().flatten().flat_map(|c| ends(c)), -1.0, 1.5);
    let axis = match budgets {
        [_] => {
            for (i, line) in curves.iter_mut().flat_map(|panel| panel.iter_mut().enumerate()) {
                line.iter_mut().for_each(|point| point.0 = i as f64);
            }
            let range = (-0.7, lines.len() as f64 - 0.3);
            Axis { name: "", ticks: Vec::new(), range, label: |_| String::new() }
        }
        _ => {
            let ticks = budgets.iter().copied().map(log).collect();
            Axis::around("exchanges", ticks, |x| short(libm::round(libm::exp(x)) as u64))
        }
    };
    let panel = |(slice, curves): (&Slice<'_>, Vec<Vec<Point>>)| Panel {
        title: match capability(&slice.name) {
            ALL => "all (mean)".into(),
            name => name.into(),
        },
        y: "recovered",
        axis: axis.clone(),
        range,
        curves,
    };
    let panels: Vec<Panel> = slices.iter().zip(curves).map(panel).collect();
    let names: Vec<&str> = lines.iter().map(|(name, _, _)| name.as_str()).collect();
    panels::draw(&names, &[], &panels, panels.len().min(4), None).map(Some)
}

fn log(budget: u64) -> f64 {
    libm::log(budget.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::report::language::flat::records;
    use crate::report::language::synthetic::records as made;

    #[test]
    fn a_panel_for_each_capability_and_a_line_for_each_arm() {
        let summary = Summary::of(&records(&made(3)));
        let figures = all(&summary).unwrap();
        assert_eq!(figures.len(), 1);
        let svg = &figures[0].svg;
        for text in ["all (mean)", "reasoning", "guardrail", "hidden", "none", "exchanges"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(all(&Summary::of(&[])).unwrap().is_empty());
    }

    #[test]
    fn students_at_one_budget_stand_side_by_side() {
        let mut of_one = made(3);
        of_one.retain(|r| r.arm == "none" && r.budget <= 500);
        let mut other = of_one.clone();
        other.retain(|r| r.budget == 500);
        other.iter_mut().for_each(|r| r.student = "other".into());
        of_one.extend(other);
        let figures = all(&Summary::of(&records(&of_one))).unwrap();
        let [figure] = &figures[..] else { panic!("{} figures", figures.len()) };
        assert!(figure.caption.contains("after 500 exchanges"), "{}", figure.caption);
        for text in ["plain", "other"] {
            assert!(figure.svg.contains(&format!("\n{text}\n")), "{text}");
        }
        // The first student's marks are discs, the second's squares: one in the legend, one in each column of panels.
        let places = |mark: &str, middle: i32| -> BTreeSet<i32> {
            let marks = figure.svg.split(mark).skip(1);
            marks
                .filter_map(|rest| Some(rest.split('"').next()?.parse::<i32>().ok()? + middle))
                .collect()
        };
        let (discs, squares) = (places("<circle cx=\"", 0), places("<rect x=\"", 3));
        assert_eq!((discs.len(), squares.len()), (1 + 4, 1 + 4));
        assert!(discs.is_disjoint(&squares), "{discs:?} {squares:?}");
    }
}
