//! All files of a report, as bytes: the caller writes them.

use std::collections::BTreeMap;

use super::summary::gather::slices;
use super::summary::settings::Settings;
use super::{figure, page, records, text};
use crate::error::{Error, Result};
use crate::experiment::campaign::record::{Assumption, CampaignRecord};
use crate::report::table::Format;

/// A finished report.
pub struct Pages {
    /// File name to content: `records.csv`, `records.parquet`, `report.html`, `figures/*.svg`.
    pub files: BTreeMap<String, Vec<u8>>,
    markdown: String,
    csv: String,
    json: String,
}

/// Builds every file from records. `command` is shown as the way to make them again; `assumptions` are the
/// settings of the scenario, which also tell what actors want and whom an honest account stands for.
pub fn build(
    records: &[CampaignRecord],
    name: &str,
    command: &str,
    assumptions: &[Assumption],
) -> Result<Pages> {
    let slices = slices(records);
    let settings: Vec<Settings> = slices.iter().map(|s| Settings::of(assumptions, s)).collect();
    let pairs = || slices.iter().zip(&settings);
    let lines: Vec<text::Line<'_>> = pairs().flat_map(|(s, given)| text::lines(s, given)).collect();
    let figures = pairs().enumerate().map(|(i, (s, given))| figure::all(s, given, i));
    let figures = figures.collect::<Result<Vec<_>>>()?;
    let mut files = BTreeMap::new();
    for figure in figures.iter().flatten() {
        files.insert(format!("figures/{}.svg", figure.name), figure.card().into_bytes());
    }
    let content = page::Content {
        records,
        slices: &slices,
        settings: &settings,
        figures: &figures,
        assumptions,
        lines: &lines,
    };
    files.insert("report.html".into(), page::html(&content, name, command)?.into_bytes());
    files.insert("records.csv".into(), records::csv(records)?);
    files.insert("records.parquet".into(), records::parquet(records)?);
    let internal = |what: &str| Error::Internal(format!("{what}: estimates are plain data"));
    Ok(Pages {
        files,
        markdown: text::markdown(&slices, &settings),
        csv: text::csv(&lines).ok_or_else(|| internal("csv"))?,
        json: serde_json::to_string_pretty(&lines).map_err(|_| internal("json"))?,
    })
}

impl Pages {
    /// The tables for stdout.
    pub fn table(&self, format: Format) -> String {
        match format {
            Format::Md => self.markdown.clone(),
            Format::Csv => self.csv.clone(),
            Format::Json => self.json.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::synthetic::{assumptions, records};

    fn made(records: &[CampaignRecord], name: &str) -> Pages {
        build(records, name, "retort report runs/x", &assumptions()).unwrap()
    }

    fn html(pages: &Pages) -> String {
        String::from_utf8(pages.files["report.html"].clone()).unwrap()
    }

    /// Every tag is closed in order, as far as elements have an end.
    fn well_formed(page: &str) {
        let page = page.split("<script").next().unwrap();
        let mut open: Vec<String> = Vec::new();
        for tag in page.split('<').skip(1) {
            let inside = tag.split('>').next().unwrap();
            let name: String = inside
                .trim_start_matches('/')
                .chars()
                .take_while(|c| c.is_alphanumeric())
                .collect();
            let void = ["meta", "br", "input", "link"].contains(&name.as_str());
            if inside.starts_with('!') || inside.ends_with('/') || void || name == "style" {
                continue;
            }
            if inside.starts_with('/') {
                assert_eq!(open.pop().as_deref(), Some(name.as_str()), "{open:?}");
            } else {
                open.push(name);
            }
        }
        assert_eq!(open, ["html", "body"]);
    }

    #[test]
    fn the_page_is_well_formed_says_whose_claims_it_shows_and_asks_for_nothing() {
        let page = html(&made(&records(3, 3), "made-up"));
        well_formed(&page);
        assert!(page.contains("nobody has audited them. Names are placeholders."));
        assert_eq!(page.matches("<table").count(), page.matches("<caption>").count());
        for word in [" src=", " href=", "url(", "@import", "fetch("] {
            assert!(!page.contains(word), "{word}");
        }
        let shown = page.split("<script>").next().unwrap();
        assert!(!shown.contains("NaN") && !shown.contains(">inf") && !shown.contains("inf]"));
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http://") && !outside.contains("https://"));
        assert!(page.contains("<details><summary>Assumptions: 7 settings, 3 not at their default"));
        assert!(page.len() < 1_000_000, "{} bytes", page.len());
    }

    #[test]
    fn text_cannot_break_out_of_the_page() {
        let bad = "</script><img onerror=x>'\"&";
        let mut given = records(2, 2);
        for r in &mut given {
            (r.arm, r.variant) = (format!("{bad}{}", r.arm), bad.into());
            r.outcome.iter_mut().for_each(|o| o.actors[0].name = bad.into());
            r.learnt.iter_mut().for_each(|a| a.actor.push_str(bad));
        }
        let pages = made(&given, bad);
        let page = html(&pages);
        well_formed(&page);
        assert!(!page.contains("<img"));
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(
            pages
                .files
                .iter()
                .all(|f| !f.0.ends_with("svg") || !f.1.windows(4).any(|w| w == b"<img"))
        );
    }

    #[test]
    fn no_records_and_one_replicate_give_a_report() {
        let none = made(&[], "none");
        assert!(html(&none).contains("No cells."));
        assert!(none.files.keys().all(|f| !f.starts_with("figures/")));
        assert_eq!(none.table(Format::Json), "[]");
        let one = made(&records(3, 1), "one");
        well_formed(&html(&one));
        assert!(html(&one).contains("One replicate: no interval is given"));
        assert!(!one.table(Format::Csv).contains("NaN"));
    }

    #[test]
    fn without_students_the_page_says_so_and_the_catch_is_the_headline() {
        let mut given = records(3, 3);
        given.retain(|r| r.learnt.is_empty());
        let pages = made(&given, "x");
        assert!(html(&pages).contains("capability at day N is not known"));
        assert!(pages.table(Format::Md).contains("p of collected (Holm)"));
        assert!(!pages.files.contains_key("figures/capability-1.svg"));
    }

    #[test]
    fn a_sweep_over_students_has_a_table_and_figures_of_its_own() {
        let mut given = records(2, 2);
        for r in &mut given {
            r.variant = "learning.exchanges-per-example=10".into();
        }
        let mut other: Vec<CampaignRecord> =
            given.iter().filter(|r| !r.learnt.is_empty()).cloned().collect();
        for r in &mut other {
            r.variant = "learning.exchanges-per-example=1_000".into();
        }
        given.extend(other);
        let pages = made(&given, "x");
        let page = html(&pages);
        assert!(
            page.contains("<caption>Recovered over the sweep") && page.contains("<td>1000</td>")
        );
        assert!(page.contains("sweeps only what students do"));
        assert!(pages.files.contains_key("figures/capability-1-2.svg"));
    }

    #[test]
    fn no_interval_is_reversed_and_every_estimate_is_finite() {
        let pages = made(&records(3, 24), "x");
        let lines: Vec<serde_json::Value> =
            serde_json::from_str(&pages.table(Format::Json)).unwrap();
        assert!(lines.len() > 100);
        for line in &lines {
            let at = |key: &str| line[key].as_f64();
            if let (Some(low), Some(high)) = (at("low"), at("high")) {
                let value = at("value").unwrap();
                assert!(low <= value && value <= high, "{line}");
            }
        }
        let rows =
            csv::Reader::from_reader(pages.table(Format::Csv).as_bytes()).into_records().count();
        assert_eq!(rows, lines.len());
    }

    #[test]
    fn equal_records_give_equal_files() {
        assert!(made(&records(2, 2), "x").files == made(&records(2, 2), "x").files);
    }
}
