//! The table on the terminal: Markdown to read, CSV and JSON long and tidy.

use std::fmt::Write as _;

use super::Summary;
use super::details;
use super::markdown::{grid, wrapped};
use super::summary::{Arm, Estimate, Honest, Slice, Why};
use super::tidy;
use crate::experiment::record::Role;

/// Form of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Markdown, for people.
    #[default]
    Md,
    /// One row per estimate (RFC 4180).
    Csv,
    /// The same rows as an array of objects.
    Json,
}

/// Renders a summary.
pub fn render(summary: &Summary, format: Format) -> String {
    match format {
        Format::Md => markdown(summary),
        Format::Csv => csv(summary).expect("memory can be written and names are text"),
        Format::Json => {
            serde_json::to_string_pretty(&tidy::lines(summary)).expect("estimates are plain data")
        }
    }
}

fn csv(summary: &Summary) -> Option<String> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![]);
    tidy::lines(summary).iter().try_for_each(|line| csv.serialize(line)).ok()?;
    String::from_utf8(csv.into_inner().ok()?).ok()
}

fn markdown(summary: &Summary) -> String {
    let mut out = String::new();
    for slice in summary.parts() {
        if !slice.name.is_empty() {
            let _ = writeln!(out, "## {}\n", slice.name);
        }
        if !slice.rows.is_empty() {
            recovered(&mut out, &slice);
            arms(&mut out, &slice);
        }
        details::matched(&slice).iter().for_each(|t| detail(&mut out, t));
        references(&mut out, &slice);
        details::others(&slice).iter().for_each(|t| detail(&mut out, t));
    }
    for paragraph in explanation(summary) {
        wrapped(&mut out, &paragraph, "");
        out.push('\n');
    }
    for note in &summary.notes {
        wrapped(&mut out, note, "- ");
    }
    out
}

/// A table of text with its title and remark.
pub(super) fn detail(out: &mut String, table: &details::Table) {
    let _ = writeln!(out, "### {}\n", table.title);
    if !table.rows.is_empty() {
        grid(out, &table.lines());
    }
    if let Some(remark) = &table.remark {
        wrapped(out, remark, "");
        out.push('\n');
    }
}

/// What the numbers mean.
pub(super) fn explanation(summary: &Summary) -> Vec<String> {
    let mut out = vec![
        "recovered = (student - floor) / (undefended teacher - floor) on test accuracy, as a ratio of \
         seed means; floor = best constant answer. [ ] are 95 % intervals over n seeds, widened because \
         each seed draws its own split (Nadeau and Bengio 2003)."
            .to_string(),
        "strongest = what the strongest student recovers, chosen on other seeds than it is scored on; drop \
         = the same under `none` minus here, paired by seed, p by Holm over the arms of a table."
            .to_string(),
    ];
    for slice in summary.parts().filter(|s| !s.rows.is_empty()) {
        let at = if slice.name.is_empty() { String::new() } else { format!(" of {}", slice.name) };
        out.push(format!("Candidates for strongest{at}: {}.", slice.students().join(", ")));
    }
    out
}

fn recovered(out: &mut String, slice: &Slice<'_>) {
    let (students, Some(budget)) = (slice.students(), slice.budget()) else { return };
    let _ = writeln!(out, "### recovered at {budget} queries, %\n");
    let mut heads = vec!["arm".to_string(), "n".to_string()];
    heads.extend(students.iter().map(|s| (*s).to_string()));
    let mut rows = vec![heads];
    for arm in &slice.arms {
        let found: Vec<_> = students.iter().map(|s| slice.row(&arm.name, s, budget)).collect();
        let most = found.iter().flatten().map(|r| r.recovered.n).max().unwrap_or(0);
        let mut cells = vec![arm.name.clone(), most.to_string()];
        for (student, row) in students.iter().zip(found) {
            let mut cell = row.map_or("-".into(), |r| counted(&r.recovered, most));
            if arm.worst_student.as_deref() == Some(*student) {
                cell.push('*');
            }
            cells.push(cell);
        }
        rows.push(cells);
    }
    grid(out, &rows);
    out.push_str("`*` the strongest student of a row: its worst case.\n\n");
}

pub(super) fn arms(out: &mut String, slice: &Slice<'_>) {
    let _ = writeln!(out, "### what each arm takes, and what it costs honest users, %\n");
    let Costs { refused, waited } = Costs::of(slice);
    let mut heads = vec!["arm", "n", "strongest", "drop", "p", "honest acc.", "L1 mean / max"];
    heads.extend(refused.then_some("refused"));
    heads.extend(waited.then_some("wait p95"));
    let mut rows = vec![heads.into_iter().map(String::from).collect::<Vec<_>>()];
    for arm in &slice.arms {
        let h = &arm.honest;
        let max = h.distortion_max.map_or("-".into(), |m| format!("{m:.2}"));
        let mut cells = vec![
            format!("{}{}", arm.name, marks(arm)),
            arm.strongest.n.max(arm.worst.n).to_string(),
            percent(if arm.strongest.mean.is_some() { &arm.strongest } else { &arm.worst }),
            percent(&arm.drop),
            p_value(arm.p),
            h.accuracy.mean.map_or("-".into(), |m| fixed(100.0 * m, 1)),
            format!("{} / {max}", value(&h.distortion_mean, 2)),
        ];
        cells.extend(refused.then(|| h.refused.mean.map_or("-".into(), |m| fixed(100.0 * m, 1))));
        cells.extend(waited.then(|| h.wait_p95.mean.map_or("-".into(), wait)));
        rows.push(cells);
    }
    grid(out, &rows);
    if let Some(legend) = legend(slice) {
        wrapped(out, &legend, "");
        out.push('\n');
    }
}

/// Which costs any arm has: a column of zeros says less than a sentence.
pub(super) struct Costs {
    pub refused: bool,
    pub waited: bool,
}

impl Costs {
    pub fn of(slice: &Slice<'_>) -> Self {
        let any = |of: fn(&Honest) -> &Estimate| {
            slice.arms.iter().any(|a| of(&a.honest).mean.is_some_and(|v| v > 0.0))
        };
        Self { refused: any(|h| &h.refused), waited: any(|h| &h.wait_p95) }
    }
}

/// What the marks beside arms mean, and costs that nobody had.
pub(super) fn legend(slice: &Slice<'_>) -> Option<String> {
    let any = |test: fn(&Arm) -> bool| slice.arms.iter().any(|a| test(a));
    let costs = Costs::of(slice);
    let mut out = Vec::new();
    if any(|a| !a.complete) {
        out.push("† incomplete.");
    }
    if any(|a| !a.comparable()) {
        out.push("‡ not comparable (fewer than 4 strengths).");
    }
    if !costs.refused && any(|a| a.honest.refused.mean.is_some()) {
        out.push("No honest row was refused.");
    }
    if !costs.waited && any(|a| a.honest.wait_p95.mean.is_some()) {
        out.push("The 95th percentile of honest waiting is 0 s.");
    }
    (!out.is_empty()).then(|| out.join(" "))
}

fn references(out: &mut String, slice: &Slice<'_>) {
    if slice.references.is_empty() && slice.floor.is_none_or(|f| f.n == 0) {
        return;
    }
    let _ = writeln!(out, "### references, %\n");
    let heads = ["reference", "model", "n", "accuracy", "agreement"];
    let mut rows = vec![heads.map(String::from).to_vec()];
    for r in &slice.references {
        let n = r.accuracy.n.to_string();
        rows.push(vec![
            long_name(r.role).into(),
            r.kin.clone(),
            n,
            points(&r.accuracy),
            points(&r.agreement),
        ]);
    }
    if let Some(floor) = slice.floor.filter(|f| f.n > 0) {
        let name = "floor: best constant answer";
        let n = floor.n.to_string();
        rows.push(vec![name.into(), String::new(), n, points(&floor), "-".into()]);
    }
    grid(out, &rows);
}

pub(super) fn long_name(role: Role) -> &'static str {
    match role {
        Role::Teacher => "teacher, undefended",
        Role::Insider => "insider: full answers, no budget",
        Role::Public => "public: true labels only",
        Role::Untrained => "untrained",
        Role::Student => "student",
    }
}

/// Marks after an arm's name.
pub(super) fn marks(arm: &Arm) -> &'static str {
    match (!arm.complete, !arm.comparable()) {
        (true, true) => " †‡",
        (true, false) => " †",
        (false, true) => " ‡",
        (false, false) => "",
    }
}

/// `<.001`, `0.034`.
pub(super) fn p_value(p: Option<f64>) -> String {
    p.map_or("-".into(), |p| if p < 0.001 { "<.001".into() } else { format!("{p:.3}") })
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
    e.mean.map_or("-".into(), |m| fixed(m, digits))
}

/// A share in whole percent.
pub(super) fn percent(e: &Estimate) -> String {
    scaled(e, 100.0, 0)
}

/// A share in percent with one decimal.
pub(super) fn points(e: &Estimate) -> String {
    scaled(e, 100.0, 1)
}

/// In percent, with its n where it is not that of the row.
pub(super) fn counted(e: &Estimate, most: usize) -> String {
    let n = if e.n == most { String::new() } else { format!(" (n={})", e.n) };
    percent(e) + &n
}

/// `0.93 [0.91, 0.95]`; without an interval the value alone, or why there is none.
pub(super) fn scaled(e: &Estimate, by: f64, digits: usize) -> String {
    let f = |v: f64| fixed(by * v, digits);
    match (e.mean, e.interval) {
        (Some(m), Some((low, high))) => format!("{} [{}, {}]", f(m), f(low), f(high)),
        (Some(m), None) => f(m),
        (None, _) if e.why == Some(Why::NotIdentified) => "not identified".into(),
        (None, _) if e.why == Some(Why::NotReached) => "not reached".into(),
        (None, _) => "-".into(),
    }
}

/// Fixed decimals, and no minus before a zero.
pub(super) fn fixed(v: f64, digits: usize) -> String {
    let text = format!("{v:.digits$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| c == '0' || c == '.') => zero.to_string(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic::{example, records};

    #[test]
    fn a_typical_table_fits_in_110_columns_and_marks_the_worst_case() {
        let text = render(&Summary::of(&example()), Format::Md);
        assert!(text.lines().all(|l| l.chars().count() <= 110), "{text}");
        let none = text.lines().find(|l| l.starts_with("| none")).unwrap();
        assert!(none.contains("]*"), "{none}");
        assert!(
            text.contains("noise †‡") && text.contains("Candidates for strongest: random-soft")
        );
    }

    #[test]
    fn one_seed_shows_no_interval_and_says_so() {
        let text = render(&Summary::of(&records(2, 1)), Format::Md);
        assert!(!text.contains(", ]") && text.contains("One seed"));
        assert!(!text.lines().any(|l| l.starts_with("| none") && l.contains('[')), "{text}");
    }

    #[test]
    fn csv_and_json_hold_the_same_rows() {
        let summary = Summary::of(&records(3, 3));
        let text = render(&summary, Format::Csv);
        let rows = csv::Reader::from_reader(text.as_bytes()).into_records().count();
        let json: Vec<serde_json::Value> =
            serde_json::from_str(&render(&summary, Format::Json)).unwrap();
        assert_eq!(rows, json.len());
        assert!(
            text.starts_with(
                "what,slice,arm,student,budget,metric,loss,n,mean,low,high,p,note\r\n"
            )
        );
    }

    #[test]
    fn a_zero_has_no_sign() {
        assert_eq!(fixed(-0.004, 2), "0.00");
        assert_eq!(fixed(-0.6, 1), "-0.6");
    }

    #[test]
    fn no_records_give_a_table_that_says_nothing_false() {
        let text = render(&Summary::of(&[]), Format::Md);
        assert!(!text.contains("###"), "{text}");
    }
}
