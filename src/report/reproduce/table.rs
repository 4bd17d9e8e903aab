//! Published numbers beside ours, as a table.

use serde::Serialize;

use super::{Judged, Unit};
use crate::report::table::Format;

/// One experiment's rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub name: String,
    pub paper: String,
    pub rows: Vec<Judged>,
}

/// All rows of all experiments, in order.
pub fn table(outcomes: &[Outcome], format: Format) -> String {
    match format {
        Format::Json => serde_json::to_string_pretty(outcomes).unwrap_or_default(),
        Format::Csv => {
            let head = "experiment,row,published,ours,low,high,tolerance,seeds,verdict,changed";
            let lines = rows(outcomes).map(|(name, j)| {
                let (low, high) = j
                    .interval
                    .map_or(("".into(), "".into()), |(l, h)| (number(j, l), number(j, h)));
                let tolerance = j.tolerance.map(|t| number(j, t)).unwrap_or_default();
                let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
                [
                    quoted(name),
                    quoted(&j.row.name),
                    j.row.published.clone().unwrap_or_default(),
                    number(j, j.ours),
                    low,
                    high,
                    tolerance,
                    j.seeds.to_string(),
                    j.verdict.word().into(),
                    quoted(&j.row.changed),
                ]
                .join(",")
            });
            [head.to_string()].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
        }
        Format::Md => {
            let head = "| experiment | row | published | ours | 95 % interval | tolerance | verdict | changed |\n\
                        |---|---|---:|---:|---:|---:|---|---|";
            let lines = rows(outcomes).map(|(name, j)| {
                let interval = j.interval.map_or("one seed".into(), |(low, high)| {
                    format!("{} to {}", number(j, low), number(j, high))
                });
                let tolerance = j.tolerance.map_or("-".into(), |t| number(j, t));
                format!(
                    "| {name} | {} | {} | {} | {interval} | {tolerance} | {} | {} |",
                    j.row.name,
                    published(j),
                    number(j, j.ours),
                    j.verdict.word(),
                    j.row.changed
                )
            });
            [head.to_string()].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
        }
    }
}

fn rows(outcomes: &[Outcome]) -> impl Iterator<Item = (&str, &Judged)> {
    outcomes.iter().flat_map(|outcome| outcome.rows.iter().map(|row| (&outcome.name[..], row)))
}

/// The printed number with its spread and its unit.
fn published(judged: &Judged) -> String {
    let Some(text) = &judged.row.published else { return "-".into() };
    let spread = judged.row.spread.map(|s| format!(" ± {s}")).unwrap_or_default();
    let unit = match judged.row.unit {
        Unit::Percent | Unit::PercentMissing => " %",
        Unit::Errors => " errors",
        Unit::Fraction | Unit::Plain => "",
    };
    format!("{text}{spread}{unit}")
}

/// With one digit more than the published number has, three at least for shares.
fn number(judged: &Judged, value: f64) -> String {
    let printed = judged.row.published.as_deref().and_then(|text| text.split_once('.'));
    let decimals = match (judged.row.unit, printed) {
        (_, Some((_, after))) => after.len() + 1,
        (Unit::Fraction | Unit::Plain, None) => 3,
        (Unit::Percent | Unit::PercentMissing, None) => 2,
        (Unit::Errors, None) => 1,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::reproduce::{Row, Verdict};

    fn outcomes() -> Vec<Outcome> {
        let text = "name = \"r, \\\"s\\\"\"\ntag = \"V\"\nsource = \"t\"\nmetric = \"accuracy\"\n\
                    published = \"99.9\"";
        let row: Row = toml::from_str(text).unwrap();
        let judged = Judged {
            row,
            ours: 99.5,
            interval: Some((99.0, 100.0)),
            seeds: 5,
            tolerance: Some(0.25),
            verdict: Verdict::Differs,
        };
        vec![Outcome { name: "30_x".into(), paper: "p".into(), rows: vec![judged] }]
    }

    #[test]
    fn every_form_tells_the_same_row() {
        let md = table(&outcomes(), Format::Md);
        let line = "| 30_x | r, \"s\" | 99.9 % | 99.50 | 99.00 to 100.00 | 0.25 | DIFFERS |  |";
        assert_eq!(md.lines().last(), Some(line));
        let csv = table(&outcomes(), Format::Csv);
        let line = "\"30_x\",\"r, \"\"s\"\"\",99.9,99.50,99.00,100.00,0.25,5,DIFFERS,\"\"";
        assert_eq!(csv.lines().last(), Some(line));
        let json: serde_json::Value =
            serde_json::from_str(&table(&outcomes(), Format::Json)).unwrap();
        assert_eq!(json[0]["rows"][0]["verdict"], "differs");
    }
}
