//! The page of a summary: figures inline, the tidy table inside.

use std::fmt::Write as _;

use super::Summary;
use super::details;
use super::figure::Figure;
use super::page::{self, Table, capital, escape, prose};
use super::payload;
use super::summary::Slice;
use super::table::{
    Costs, counted, explanation, legend, long_name, marks, p_value, percent, points, value, wait,
};
use crate::error::Result;
use crate::experiment::record::Record;

/// The page of a summary. `command` makes it again.
pub fn page(
    summary: &Summary,
    all: &[Record],
    name: &str,
    command: &str,
    figures: &[Figure],
) -> Result<String> {
    let mut body = page::top(name, &size(summary), command);
    for slice in summary.parts().filter(|s| !s.rows.is_empty()) {
        recovered(&mut body, &slice);
        arms(&mut body, &slice);
        details::matched(&slice).iter().for_each(|t| detail(&mut body, &slice, t));
    }
    page::explain(&mut body, &explanation(summary));
    page::notes(&mut body, &summary.notes);
    figures.iter().for_each(|f| page::figure(&mut body, f, command));
    for slice in summary.parts() {
        references(&mut body, &slice);
        details::others(&slice).iter().for_each(|t| detail(&mut body, &slice, t));
    }
    rows(&mut body, summary);
    Ok(page::document(name, &body, &payload::json(all)?))
}

/// How much there is.
fn size(summary: &Summary) -> String {
    let seeds = || summary.rows.iter().map(|r| r.seeds);
    let (Some(least), Some(most)) = (seeds().min(), seeds().max()) else {
        return "No cells.".into();
    };
    let each = if least == most { most.to_string() } else { format!("{least} to {most}") };
    let cells: usize = summary.rows.iter().map(|r| r.seeds + r.diverged).sum();
    let rows = summary.rows.len();
    format!(
        "{cells} cells of students: {rows} combinations of arm, student and budget, {each} seeds each."
    )
}

fn recovered(body: &mut String, slice: &Slice<'_>) {
    let (students, Some(budget)) = (slice.students(), slice.budget()) else { return };
    let title =
        format!("Recovered at {budget} queries, %; the strongest student of each arm is bold");
    let mut table = Table::start(&titled(slice, &title));
    table.heads(&[&["arm", "n"][..], &students].concat());
    for arm in &slice.arms {
        let found = |s: &&str| slice.row(&arm.name, s, budget).map(|r| &r.recovered);
        let most = students.iter().filter_map(found).map(|e| e.n).max().unwrap_or(0);
        let cell = |s: &&str| {
            let Some(given) = found(s) else { return "-".into() };
            let text = counted(given, most);
            let worst = arm.worst_student.as_deref() == Some(*s);
            if worst { format!("<strong>{text}</strong>") } else { text }
        };
        let cells = std::iter::once(most.to_string()).chain(students.iter().map(cell));
        table.row(&arm.name, &cells.collect::<Vec<_>>());
    }
    table.end(body);
}

pub(super) fn arms(body: &mut String, slice: &Slice<'_>) {
    let title = "What each arm takes, and what it costs honest users, %";
    let costs = Costs::of(slice);
    let mut table = Table::start(&titled(slice, title));
    let mut heads = vec!["arm", "n", "strongest recovers", "drop against none", "p (Holm)"];
    heads.extend(["honest accuracy", "honest loss", "L1 mean / max"]);
    heads.extend(costs.refused.then_some("refused"));
    heads.extend(costs.waited.then_some("wait p95"));
    heads.push("layers");
    table.heads(&heads);
    for arm in &slice.arms {
        let h = &arm.honest;
        let max = h.distortion_max.map_or("-".into(), |m| format!("{m:.2}"));
        let strongest = if arm.strongest.mean.is_some() { &arm.strongest } else { &arm.worst };
        let mut cells = vec![
            strongest.n.to_string(),
            percent(strongest),
            percent(&arm.drop),
            p_value(arm.p),
            points(&h.accuracy.bared()),
            points(&h.loss),
            format!("{} / {max}", value(&h.distortion_mean, 2)),
        ];
        cells.extend(costs.refused.then(|| points(&h.refused.bared())));
        cells.extend(costs.waited.then(|| h.wait_p95.mean.map_or("-".into(), wait)));
        cells.push(arm.stack.join(" > "));
        let name = format!("{}{}", arm.name, marks(arm));
        table.row(&name, &cells.iter().map(|c| escape(c)).collect::<Vec<_>>());
    }
    table.end(body);
    if let Some(legend) = legend(slice) {
        let _ = writeln!(body, "<p class=\"explain\">{}</p>", prose(&legend));
    }
}

pub(super) fn references(body: &mut String, slice: &Slice<'_>) {
    if slice.references.is_empty() {
        return;
    }
    let mut table = Table::start(&titled(slice, "References, %"));
    table.heads(&["reference", "model", "n", "accuracy", "agreement"]);
    for r in &slice.references {
        let n = r.accuracy.n.to_string();
        let cells = [r.kin.clone(), n, points(&r.accuracy), points(&r.agreement)];
        table.row(long_name(r.role), &cells.map(|c| escape(&c)));
    }
    if let Some(floor) = slice.floor.filter(|f| f.n > 0) {
        let cells = [String::new(), floor.n.to_string(), points(&floor), "-".into()];
        table.row("floor: best constant answer", &cells);
    }
    table.end(body);
}

fn detail(body: &mut String, slice: &Slice<'_>, given: &details::Table) {
    page::text(body, &titled(slice, &capital(&given.title)), given);
}

pub(super) fn rows(body: &mut String, summary: &Summary) {
    page::tools(body, "arm, student or budget");
    let swept = summary.slices.iter().any(|s| !s.is_empty());
    let timed = summary.rows.iter().any(|r| r.days.mean.is_some_and(|d| d > 0.0));
    let mut table = Table::start("Every arm, student and budget; shares in %");
    let mut heads = vec!["arm", "student", "budget", "n"];
    heads.extend(swept.then_some("sweep"));
    heads.extend(["recovered", "over public data", "of agreement", "accuracy", "agreement"]);
    heads.push("spent");
    heads.extend(timed.then_some("days"));
    table.heads(&heads);
    for row in &summary.rows {
        let lost = row.diverged;
        let lost = if lost > 0 { format!(" ({lost} diverged)") } else { String::new() };
        let mut cells =
            vec![row.student.clone(), row.budget.to_string(), format!("{}{lost}", row.seeds)];
        cells.extend(swept.then(|| row.slice.clone()));
        cells.extend([
            percent(&row.recovered),
            percent(&row.recovered_over_public),
            percent(&row.recovered_agreement),
            points(&row.accuracy),
            points(&row.agreement),
            value(&row.queries_spent, 0),
        ]);
        cells.extend(timed.then(|| value(&row.days, 2)));
        table.row(&row.arm, &cells.iter().map(|c| escape(c)).collect::<Vec<_>>());
    }
    table.end(body);
}

fn titled(slice: &Slice<'_>, title: &str) -> String {
    if slice.name.is_empty() { title.into() } else { format!("{title} ({})", slice.name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::build::build;
    use crate::report::synthetic::{example, ladder, records};

    fn html(all: &[Record], name: &str) -> String {
        let files = build(all, name, "retort report runs/x").unwrap().files;
        String::from_utf8(files["report.html"].clone()).unwrap()
    }

    #[test]
    fn the_page_asks_for_nothing_outside_itself() {
        let page = html(&example(), "example");
        for word in [" src=", " href=", "url(", "@import", "fetch(", "http-equiv=\"refresh"] {
            assert!(!page.contains(word), "{word}");
        }
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http://") && !outside.contains("https://"));
    }

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let bad = "</script><img onerror=x>'\"&";
        let mut given = records(2, 2);
        for r in &mut given {
            r.student = bad.into();
            r.config.insert("teacher.name".into(), bad.into());
        }
        let page = html(&given, bad);
        assert!(!page.contains("<img"));
        assert_eq!(page.matches("</script>").count(), 2);
    }

    #[test]
    fn tables_have_captions_and_heads_and_figures_say_their_command() {
        let page = html(&example(), "example");
        assert_eq!(page.matches("<table").count(), page.matches("<caption>").count());
        assert!(page.contains("<th scope=\"row\">mad-1.5</th>"));
        assert_eq!(page.matches("<code>retort report runs/x</code></figcaption>").count(), 4);
        assert!(page.len() < 1_000_000, "{} bytes, {} records", page.len(), example().len());
    }

    #[test]
    fn the_page_holds_every_table_of_the_terminal() {
        let page = html(&ladder(5), "ladder");
        assert!(page.contains("<caption>Worst-case recovered at matched honest cost, 400 queries"));
        assert!(page.contains("<td>not reached</td>"));
        assert!(page.contains("<caption>Other readings of the strongest student, 400 queries"));
        let page = html(&example(), "example");
        assert!(page.contains("<caption>Mean recovered over log budget, 50 to 400 queries"));
        assert!(page.contains("<caption>Queries at which half is recovered"));
    }

    #[test]
    fn words_between_backticks_are_code() {
        assert!(!html(&example(), "example").split("<script").next().unwrap().contains('`'));
    }

    #[test]
    fn equal_records_give_equal_pages() {
        assert_eq!(html(&records(2, 2), "a"), html(&records(2, 2), "a"));
    }
}
