//! Budget curves of every capability.

use super::flat::{ALL, capability, rest};
use crate::error::Result;
use crate::report::Summary;
use crate::report::figure::axis::{Axis, Point, ends, span};
use crate::report::figure::panels::{self, Panel};
use crate::report::figure::{Figure, short};
use crate::report::summary::Slice;

/// Most lines of a chart that can still be told apart.
const LINES: usize = 6;

/// One figure of all arms and students where that is few lines, else one for each student; for each swept value.
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
        let (arms, students) = (arms(first), first.students());
        let alone = students.len() == 1;
        let groups: Vec<Vec<(String, String, String)>> = match arms.len() * students.len() <= LINES
        {
            true => {
                let lines = arms.iter().flat_map(|arm| {
                    students.iter().map(move |student| {
                        let name = if alone { arm.clone() } else { format!("{arm}, {student}") };
                        (name, arm.clone(), student.to_string())
                    })
                });
                vec![lines.collect()]
            }
            false => {
                let of = |student: &&str| {
                    let line = |arm: &String| (arm.clone(), arm.clone(), student.to_string());
                    arms.iter().map(line).collect()
                };
                students.iter().map(of).collect()
            }
        };
        let split = groups.len() > 1;
        for lines in groups {
            let of = if split { format!(" of {}", lines[0].2) } else { String::new() };
            if let Some(svg) = draw(&slices, &lines)? {
                let at = if point.is_empty() { String::new() } else { format!("{point}: ") };
                let caption = format!(
                    "{at}Recovered share of the teacher's capabilities{of} above the best constant \
                     answer, against exchanges (log scale), one panel a capability. Bands are 95 % \
                     intervals over seeds."
                );
                let number = figures.len() + 1;
                let suffix = if number == 1 { String::new() } else { format!("-{number}") };
                figures.push(Figure::of(format!("capabilities{suffix}"), caption, &svg));
            }
        }
    }
    Ok(figures)
}

fn arms(slice: &Slice<'_>) -> Vec<String> {
    slice.arms.iter().map(|arm| arm.name.clone()).collect()
}

fn draw(slices: &[Slice<'_>], lines: &[(String, String, String)]) -> Result<Option<String>> {
    let curve = |slice: &Slice<'_>, arm: &str, student: &str| -> Vec<Point> {
        let rows = slice.curve(arm, student).into_iter();
        rows.filter_map(|r| Some((log(r.budget), r.recovered.mean?, r.recovered.interval)))
            .collect()
    };
    let of = |slice: &Slice<'_>| -> Vec<Vec<Point>> {
        lines.iter().map(|(_, arm, student)| curve(slice, arm, student)).collect()
    };
    let curves: Vec<Vec<Vec<Point>>> = slices.iter().map(of).collect();
    if curves.iter().flatten().all(Vec::is_empty) {
        return Ok(None);
    }
    let range = span(curves.iter().flatten().flat_map(|c| ends(c)), -0.5, 1.5);
    let mut budgets: Vec<u64> =
        slices.iter().flat_map(|s| s.rows.iter().map(|r| r.budget)).collect();
    budgets.sort_unstable();
    budgets.dedup();
    let ticks = budgets.into_iter().map(log).collect();
    let axis = Axis::around("exchanges", ticks, |x| short(libm::round(libm::exp(x)) as u64));
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
}
