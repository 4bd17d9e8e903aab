//! The table on the terminal: Markdown to read, CSV and JSON long and tidy.

use std::fmt::Write as _;

use super::Summary;
use super::summary::{Arm, Estimate, Row, Slice, Why};
use crate::experiment::record::Role;

/// Form of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Markdown.
    #[default]
    Md,
    /// Comma-separated, one row per arm, student, budget and score.
    Csv,
    /// The whole summary.
    Json,
}

/// Renders a summary.
pub fn render(summary: &Summary, format: Format) -> String {
    match format {
        Format::Md => markdown(summary),
        Format::Csv => csv(summary),
        Format::Json => serde_json::to_string_pretty(summary).unwrap_or_default(),
    }
}

fn markdown(summary: &Summary) -> String {
    let mut out = String::new();
    for slice in summary.parts() {
        if !slice.name.is_empty() {
            let _ = writeln!(out, "## {}\n", slice.name);
        }
        recovered(&mut out, &slice);
        arms(&mut out, &slice);
        references(&mut out, &slice);
    }
    let _ = writeln!(
        out,
        "recovered = (student - floor) / (undefended teacher - floor) on test accuracy; floor = best constant answer.\n\
         [ ] are 95 % intervals over seeds. `*` marks the strongest student of a row. drop = what the arm takes from the\n\
         strongest student against `none`, chosen on other seeds than it is scored on, paired by seed, p by Holm."
    );
    for note in &summary.notes {
        let _ = writeln!(out, "- {note}");
    }
    out
}

fn recovered(out: &mut String, slice: &Slice<'_>) {
    let (students, Some(budget)) = (slice.students(), slice.budget()) else { return };
    let seeds = slice.rows.iter().map(|r| r.seeds).max().unwrap_or(0);
    let _ = writeln!(out, "### recovered at {budget} queries (n = {seeds} seeds)\n");
    let mut rows = vec![
        std::iter::once("arm".to_string())
            .chain(students.iter().map(|s| (*s).to_string()))
            .collect(),
    ];
    for arm in &slice.arms {
        let mut cells = vec![arm.name.clone()];
        for student in &students {
            let star = arm.worst_student.as_deref() == Some(*student);
            let cell = slice.row(&arm.name, student, budget);
            let text = cell.map_or("-".into(), |r| interval(&r.recovered, 2));
            cells.push(if star { format!("{text}*") } else { text });
        }
        rows.push(cells);
    }
    grid(out, &rows);
}

fn arms(out: &mut String, slice: &Slice<'_>) {
    let _ = writeln!(out, "### what each arm takes, and what it costs honest users\n");
    let heads = [
        "arm",
        "strongest [95 %]",
        "drop [95 %]",
        "p",
        "honest acc.",
        "L1 mean/max",
        "refused",
        "wait p95",
        "",
    ];
    let mut rows = vec![heads.map(String::from).to_vec()];
    for arm in &slice.arms {
        let h = &arm.honest;
        let max = h.distortion_max.map_or("-".into(), |m| format!("{m:.2}"));
        rows.push(vec![
            arm.name.clone(),
            interval(&arm.strongest, 2),
            interval(&arm.drop, 2),
            arm.p
                .map_or("-".into(), |p| if p < 0.001 { "<.001".into() } else { format!("{p:.3}") }),
            value(&h.accuracy, 3),
            format!("{}/{max}", value(&h.distortion_mean, 2)),
            value(&h.refused, 3),
            h.wait_p95.mean.map_or("-".into(), wait),
            marks(arm),
        ]);
    }
    grid(out, &rows);
}

fn references(out: &mut String, slice: &Slice<'_>) {
    let _ = writeln!(out, "### references\n");
    let mut rows =
        vec![["reference", "model", "accuracy [95 %]", "agreement"].map(String::from).to_vec()];
    for reference in &slice.references {
        let role = match reference.role {
            Role::Teacher => "teacher",
            Role::Insider => "insider: full access, no budget",
            Role::Public => "public: true labels only",
            Role::Untrained => "untrained",
            Role::Student => "student",
        };
        rows.push(vec![
            role.into(),
            reference.kin.clone(),
            interval(&reference.accuracy, 3),
            value(&reference.agreement, 3),
        ]);
    }
    if let Some(floor) = &slice.floor {
        rows.push(vec![
            "floor: best constant answer".into(),
            String::new(),
            interval(floor, 3),
            "-".into(),
        ]);
    }
    grid(out, &rows);
}

fn marks(arm: &Arm) -> String {
    let mut marks = Vec::new();
    if !arm.complete && arm.name != "none" {
        marks.push("incomplete");
    }
    if arm.single_strength {
        marks.push("one strength");
    }
    marks.join(", ")
}

/// Seconds as people say them.
pub(super) fn wait(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.0} s"),
        s if s < 3600.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

pub(super) fn value(e: &Estimate, digits: usize) -> String {
    e.mean.map_or("-".into(), |m| format!("{m:.digits$}"))
}

/// `0.93 [0.91, 0.95]`; without an interval the value alone, or why there is none.
pub(super) fn interval(e: &Estimate, digits: usize) -> String {
    match (e.mean, e.interval) {
        (Some(m), Some((low, high))) => format!("{m:.digits$} [{low:.digits$}, {high:.digits$}]"),
        (Some(m), None) => format!("{m:.digits$}"),
        (None, _) => match e.why {
            Some(Why::NotIdentified) => "not identified".into(),
            _ => "-".into(),
        },
    }
}

/// A Markdown table with aligned columns.
fn grid(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (i, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, w)| format!("{cell}{}", " ".repeat(w - cell.chars().count())))
            .collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
        if i == 0 {
            let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
            let _ = writeln!(out, "| {} |", rule.join(" | "));
        }
    }
    out.push('\n');
}

fn csv(summary: &Summary) -> String {
    let mut out = String::from("slice,arm,student,budget,n,score,mean,low,high\n");
    let number = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
    for row in &summary.rows {
        for (name, e) in scores(row) {
            let (low, high) = e.interval.map_or((None, None), |(l, h)| (Some(l), Some(h)));
            let _ = writeln!(
                out,
                "{},{},{},{},{},{name},{},{},{}",
                quoted(&row.slice),
                quoted(&row.arm),
                quoted(&row.student),
                row.budget,
                e.n,
                number(e.mean),
                number(low),
                number(high)
            );
        }
    }
    out
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}

fn scores(row: &Row) -> [(&'static str, &Estimate); 10] {
    [
        ("recovered", &row.recovered),
        ("recovered_over_public", &row.recovered_over_public),
        ("accuracy", &row.accuracy),
        ("agreement", &row.agreement),
        ("agreement_gain", &row.agreement_gain),
        ("queries_spent", &row.queries_spent),
        ("days", &row.days),
        ("honest_accuracy", &row.honest.accuracy),
        ("distortion_l1_mean", &row.honest.distortion_mean),
        ("honest_refused", &row.honest.refused),
    ]
}
