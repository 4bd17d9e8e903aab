//! Records of language experiments to tables, figures and one HTML page: which capability crosses over, at what
//! price, under which defense, and whether refusals cross with it.
//!
//! Each capability is a slice of its own, and so is their mean, `all`; what classifiers are summed up by then serves
//! here too. What only language models have is added in `tables` and `figure`.

mod figure;
mod flat;
#[cfg(test)]
mod synthetic;
mod tables;

use std::collections::BTreeMap;

use super::details::Table;
use super::figure::Figure;
use super::summary::{Slice, Summary};
use super::table;
use super::{Pages, details, html, markdown, page, parquet, payload, records};
use crate::error::Result;
use crate::experiment::language::record::LanguageRecord;

/// Builds every file from records. `command` is shown as the way to make them again.
pub fn build(all: &[LanguageRecord], name: &str, command: &str) -> Result<Pages> {
    let flat = flat::records(all);
    let mut summary = Summary::of(&flat);
    // What is said of an arm holds for every capability: once is enough.
    let other = |note: &str| note.contains("(capability=") && !note.contains("(capability=all");
    summary.notes.retain(|note| !other(note));
    let tables = tables::all(all, &summary);
    let figures = figure::all(&summary)?;
    let mut files = BTreeMap::new();
    for figure in &figures {
        files.insert(format!("figures/{}.svg", figure.name), figure.card().into_bytes());
    }
    let data = payload::json(&flat)?;
    let page = html(&summary, &tables, &figures, name, command, &data);
    files.insert("report.html".into(), page.into_bytes());
    files.insert("records.parquet".into(), parquet::records_parquet(&flat)?);
    files.insert("records.csv".into(), records::records_csv(&flat)?.into_bytes());
    let markdown = text(&summary, &tables);
    Ok(Pages::with_markdown(files, summary, markdown))
}

/// Slices of the mean over capabilities: one, or one for each swept value.
fn means(summary: &Summary) -> impl Iterator<Item = Slice<'_>> {
    summary.parts().filter(|slice| flat::capability(&slice.name) == flat::ALL)
}

/// What the numbers mean.
const EXPLANATION: &str = "recovered = (student - floor) / (undefended teacher - floor) of exact answers to \
    held-out problems, as a ratio of seed means; floor = best constant answer. `all` is the mean over the six \
    capabilities that are checked exactly. Seeds draw prompts, answers, the student's first weights and the \
    held-out problems; [ ] are 95 % intervals over them. A shipped teacher is the same for every seed: \
    intervals then do not hold what another training of it would change.";

fn text(summary: &Summary, tables: &tables::Tables) -> String {
    let mut out = String::new();
    tables.first.iter().for_each(|table| table::detail(&mut out, table));
    means(summary).filter(|s| !s.rows.is_empty()).for_each(|s| table::arms(&mut out, &s));
    tables.others.iter().for_each(|table| table::detail(&mut out, table));
    markdown::wrapped(&mut out, EXPLANATION, "");
    out.push('\n');
    summary.notes.iter().for_each(|note| markdown::wrapped(&mut out, note, "- "));
    out
}

fn html(
    summary: &Summary,
    tables: &tables::Tables,
    figures: &[Figure],
    name: &str,
    command: &str,
    data: &str,
) -> String {
    let cells: usize = means(summary).flat_map(|s| s.rows).map(|r| r.seeds + r.diverged).sum();
    let mut body = page::top(name, &format!("{cells} students of a language model."), command);
    let show = |body: &mut String, table: &Table| {
        page::text(body, &page::capital(&table.title), table);
    };
    tables.first.iter().for_each(|table| show(&mut body, table));
    figures.iter().take(1).for_each(|f| page::figure(&mut body, f, command));
    for slice in means(summary).filter(|s| !s.rows.is_empty()) {
        html::arms(&mut body, &slice);
        details::matched(&slice).iter().for_each(|table| show(&mut body, table));
    }
    page::explain(&mut body, &[EXPLANATION.into()]);
    page::notes(&mut body, &summary.notes);
    tables.others.iter().for_each(|table| show(&mut body, table));
    figures.iter().skip(1).for_each(|f| page::figure(&mut body, f, command));
    for slice in means(summary) {
        html::references(&mut body, &slice);
        details::others(&slice).iter().for_each(|table| show(&mut body, table));
    }
    html::rows(&mut body, summary);
    page::document(name, &body, data)
}

impl Pages {
    /// The tables for stdout.
    fn with_markdown(files: BTreeMap<String, Vec<u8>>, summary: Summary, markdown: String) -> Self {
        Self { files, summary, markdown: Some(markdown) }
    }
}
