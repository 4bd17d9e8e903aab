//! Tables beside the main ones, alike on the terminal and on the page: defenses at matched honest cost,
//! other readings of the strongest student, and what students make of their budgets.

use super::signs::{flags, marks};
use super::summary::{Efficiency, FEWEST_STRENGTHS, Family, Slice, Why};
use super::table::{fixed, percent, points, scaled};
use super::tidy::not_comparable;

/// A table of text. Without rows its remark says it all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    pub title: String,
    pub heads: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub remark: Option<String>,
}

impl Table {
    /// Heads and rows.
    pub fn lines(&self) -> Vec<Vec<String>> {
        std::iter::once(&self.heads).chain(&self.rows).cloned().collect()
    }
}

/// The tables after the main ones that this slice has something for.
pub(super) fn others(slice: &Slice<'_>) -> Vec<Table> {
    [readings(slice), flags(slice), marks(slice), areas(slice), halves(slice)]
        .into_iter()
        .flatten()
        .collect()
}

/// Worst-case recovered where each defense costs honest users the same. Without any ladder there is
/// nothing to compare, and a note says so.
pub(super) fn matched(slice: &Slice<'_>) -> Option<Table> {
    if slice.families.iter().all(|f| f.arms.len() < FEWEST_STRENGTHS) {
        return None;
    }
    let budget = slice.families.iter().map(|f| f.budget).max()?;
    let rows = slice.families.iter().map(|f| {
        let mut row = vec![f.name.clone(), strengths(f)];
        row.push(f.at.iter().map(|e| e.n).max().unwrap_or(0).to_string());
        row.push(f.most_loss.map_or("-".into(), |l| fixed(100.0 * l, 1)));
        row.extend(f.at.iter().map(percent));
        row
    });
    let bare = slice.families.iter().flat_map(|f| &f.at).any(|e| e.why == Some(Why::NotEverySeed));
    let mut remark = "Loss: points of honest accuracy, undefended minus defended. Linear between \
                      neighbouring strengths, `none` at loss 0; of strengths with equal loss the one \
                      that leaves least, chosen on other seeds."
        .to_string();
    if bare {
        remark.push_str(
            " No interval: reached by the mean over seeds, but not without each of them.",
        );
    }
    Some(Table {
        title: format!("worst-case recovered at matched honest cost, {budget} queries, %"),
        heads: heads(&["defense", "strengths", "n", "largest loss", "loss 0", "loss 1", "loss 5"]),
        rows: rows.collect(),
        remark: Some(remark),
    })
}

fn strengths(family: &Family) -> String {
    match family.arms.len() {
        n if n < FEWEST_STRENGTHS => not_comparable(n),
        n => n.to_string(),
    }
}

/// Other scores of each arm's strongest student, and DistillGuard's measures.
fn readings(slice: &Slice<'_>) -> Option<Table> {
    let budget = slice.budget()?;
    let rows = slice.arms.iter().map(|a| {
        let mut row = vec![a.name.clone(), a.strongest.n.max(a.dc.plain.n).to_string()];
        row.extend([&a.recovered_agreement, &a.de.plain, &a.de.over_floor].map(percent));
        row.extend([&a.dc.plain, &a.dc.over_floor].map(points));
        row
    });
    Some(Table {
        title: format!("other readings of the strongest student, {budget} queries, %"),
        heads: heads(&["arm", "n", "recovered agreement", "de", "de over floor", "dc", "dc over floor"]),
        rows: rows.collect(),
        remark: Some(
            "recovered agreement = (agreement with the teacher - floor) / (1 - floor). de = the strongest \
             student's accuracy over that under `none`: lower is a stronger defense. dc = share of the \
             teacher's accuracy that honest users lose. over floor: with the best constant answer \
             taken from accuracies."
                .into(),
        ),
    })
}

fn areas(slice: &Slice<'_>) -> Option<Table> {
    let (least, most) = budgets(slice)?;
    let cell = |e: &Efficiency| percent(&e.auc);
    Some(Table {
        title: format!("mean recovered over log budget, {least} to {most} queries, %"),
        remark: Some("The area under the curve of each student (auc_log_budget).".into()),
        ..by_student(slice, |e| e.auc.n, cell)
    })
}

fn halves(slice: &Slice<'_>) -> Option<Table> {
    let (least, most) = budgets(slice)?;
    let title = "queries at which half is recovered".to_string();
    let all = |why: Why| slice.efficiency.iter().all(|e| e.half.why == Some(why));
    let only =
        |remark: String| Table { title: title.clone(), remark: Some(remark), ..Table::default() };
    if all(Why::BelowSmallest) {
        return Some(only(format!(
            "< {least} for every student under every arm (budget_at_half)."
        )));
    }
    if all(Why::AboveLargest) {
        return Some(only(format!("> {most} for every student under every arm (budget_at_half).")));
    }
    let mut table = by_student(slice, |e| e.half.n, half);
    let listed = table.rows.len();
    let early = format!("< {least}");
    table.rows.retain(|row| row[2..].iter().any(|cell| *cell != early));
    let mut remark = format!(
        "Where the monotone fit of recovered over log budget is one half (budget_at_half). {early}, > {most}: \
         outside the budgets."
    );
    if table.rows.len() < listed {
        remark.push_str(&format!(" Arms that are not listed: {early} for every student."));
    }
    Some(Table { title, remark: Some(remark), ..table })
}

fn half(e: &Efficiency) -> String {
    match e.half.why {
        Some(Why::BelowSmallest) => format!("< {}", e.budgets.0),
        Some(Why::AboveLargest) => format!("> {}", e.budgets.1),
        _ => scaled(&e.half, 1.0, 0),
    }
}

/// Smallest and largest budget of any curve.
fn budgets(slice: &Slice<'_>) -> Option<(u64, u64)> {
    let least = slice.efficiency.iter().map(|e| e.budgets.0).min()?;
    Some((least, slice.efficiency.iter().map(|e| e.budgets.1).max()?))
}

/// A row per arm, a column per student; `n` where it is not that of the row.
fn by_student(
    slice: &Slice<'_>,
    n: impl Fn(&Efficiency) -> usize,
    cell: impl Fn(&Efficiency) -> String,
) -> Table {
    let students = slice.students();
    let row = |arm: &str| {
        let found: Vec<Option<&&Efficiency>> = students
            .iter()
            .map(|s| slice.efficiency.iter().find(|e| e.arm == arm && e.student == *s))
            .collect();
        let most = found.iter().flatten().map(|e| n(e)).max().unwrap_or(0);
        let text = |e: &Option<&&Efficiency>| match e {
            None => "-".to_string(),
            Some(e) if n(e) == most => cell(e),
            Some(e) => format!("{} (n={})", cell(e), n(e)),
        };
        let first = [arm.to_string(), most.to_string()];
        first.into_iter().chain(found.iter().map(text)).collect()
    };
    Table {
        heads: heads(&[&["arm", "n"][..], &students].concat()),
        rows: slice.arms.iter().map(|a| row(&a.name)).collect(),
        ..Table::default()
    }
}

pub(super) fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Summary;
    use crate::report::synthetic::{example, ladder, records};

    fn titles(summary: &Summary) -> Vec<String> {
        let slice = summary.slice("");
        let all = matched(&slice).into_iter().chain(others(&slice));
        all.map(|t| t.title).collect()
    }

    #[test]
    fn a_table_appears_where_there_is_something_to_say() {
        let ladder = Summary::of(&ladder(5));
        assert_eq!(
            titles(&ladder),
            [
                "worst-case recovered at matched honest cost, 400 queries, %",
                "other readings of the strongest student, 400 queries, %"
            ]
        );
        assert_eq!(titles(&Summary::of(&records(2, 3))).len(), 1);
        assert_eq!(titles(&Summary::of(&example())).len(), 3);
        assert!(titles(&Summary::of(&[])).is_empty());
    }

    #[test]
    fn a_loss_beyond_the_strengths_is_not_reached() {
        let summary = Summary::of(&ladder(5));
        let table = &matched(&summary.slice("")).unwrap();
        let [row] = &table.rows[..] else { panic!("{table:?}") };
        assert_eq!(row[..4], ["noise", "4", "5", "4.0"]);
        assert!(row[4].contains('[') && row[5].contains('[') && row[6] == "not reached", "{row:?}");
    }

    #[test]
    fn a_budget_outside_the_range_is_written_as_a_bound() {
        let summary = Summary::of(&example());
        let table = &others(&summary.slice(""))[2];
        assert!(
            table.rows.iter().flatten().any(|cell| cell == "> 400" || cell == "< 50"),
            "{table:?}"
        );
        assert!(table.rows.iter().flatten().any(|cell| cell.contains(" [")), "{table:?}");
    }
}
