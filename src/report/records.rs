//! Records as tidy rows: one row per record and metric, config leaves as `cfg.` columns.
//!
//! pandas and polars read both forms directly. Equal records give equal bytes, in whatever order they
//! are handed over: rows are sorted, and nothing here knows the time or the host.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::experiment::record::{Record, Role};
use crate::metric::{Better, Score};

/// Columns before the `cfg.` ones.
pub const COLUMNS: [&str; 10] =
    ["cell", "role", "arm", "student", "budget", "seed", "metric", "value", "unit", "better"];

/// The tidy table as CSV (RFC 4180: quoted where needed, lines end in CRLF, first line is the header).
/// A value that is not defined is an empty field. Numbers have the shortest form that reads back equal.
pub fn records_csv(records: &[Record]) -> Result<String> {
    let mut out = Vec::new();
    write_csv(records, &mut out)?;
    String::from_utf8(out).map_err(|e| Error::Internal(e.to_string()))
}

/// [`records_csv`] into a writer.
pub fn write_csv(records: &[Record], out: &mut dyn std::io::Write) -> Result<()> {
    let keys = config_keys(records);
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    let header = COLUMNS.iter().map(ToString::to_string);
    csv.write_record(header.chain(keys.iter().map(|k| format!("cfg.{k}")))).map_err(internal)?;
    for (record, score) in rows(records) {
        let fixed = fixed_fields(record, score);
        let config = keys.iter().map(|k| record.config.get(*k).map(plain).unwrap_or_default());
        csv.write_record(fixed.into_iter().chain(config)).map_err(internal)?;
    }
    csv.flush().map_err(|e| Error::Internal(format!("records.csv: {e}")))
}

/// Record x score, sorted by role, arm, student, budget, seed and cell; scores keep their order.
pub(super) fn rows(records: &[Record]) -> impl Iterator<Item = (&Record, &Score)> {
    sorted(records).into_iter().flat_map(|r| r.scores.iter().map(move |s| (r, s)))
}

/// Records by role, arm, student, budget, seed and cell.
pub(super) fn sorted(records: &[Record]) -> Vec<&Record> {
    let mut sorted: Vec<&Record> = records.iter().collect();
    sorted.sort_by(|a, b| key(a).cmp(&key(b)));
    sorted
}

fn key(r: &Record) -> (Role, &str, &str, u64, u64, &str) {
    (r.role, &r.arm, &r.student, r.budget, r.seed, &r.cell)
}

/// Union of the config leaves, sorted.
pub(super) fn config_keys(records: &[Record]) -> Vec<&str> {
    let keys: BTreeSet<&str> =
        records.iter().flat_map(|r| r.config.keys().map(String::as_str)).collect();
    keys.into_iter().collect()
}

fn fixed_fields(r: &Record, s: &Score) -> [String; 10] {
    [
        r.cell.clone(),
        r.role.name().into(),
        r.arm.clone(),
        r.student.clone(),
        r.budget.to_string(),
        r.seed.to_string(),
        s.metric.clone(),
        s.value.map(|v| v.to_string()).unwrap_or_default(),
        s.unit.clone(),
        better(s.better).into(),
    ]
}

pub(super) fn better(better: Better) -> &'static str {
    match better {
        Better::Higher => "higher",
        Better::Lower => "lower",
        Better::Neither => "neither",
    }
}

/// A config leaf as text: strings bare, null empty, the rest as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn internal(e: csv::Error) -> Error {
    Error::Internal(format!("records.csv: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic::records;

    #[test]
    fn there_is_one_row_per_record_and_score_and_each_value_reads_back_equal() {
        let mut given = records(2, 2);
        given[0].scores[0].value = Some(0.1 + 0.2);
        let text = records_csv(&given).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(&reader.headers().unwrap().iter().take(10).collect::<Vec<_>>(), &COLUMNS);
        let read: Vec<csv::StringRecord> = reader.records().map(|r| r.unwrap()).collect();
        assert_eq!(read.len(), given.iter().map(|r| r.scores.len()).sum::<usize>());
        for (row, (record, score)) in read.iter().zip(rows(&given)) {
            assert_eq!(&row[0], record.cell);
            assert_eq!(row[7].parse().ok(), score.value);
        }
    }

    #[test]
    fn the_order_of_the_records_does_not_show() {
        let mut given = records(2, 2);
        let text = records_csv(&given).unwrap();
        given.reverse();
        assert_eq!(records_csv(&given).unwrap(), text);
    }

    #[test]
    fn commas_quotes_and_line_breaks_survive() {
        let mut given = records(1, 1);
        given.truncate(1);
        given[0].arm = "a,\"b\"\nc".into();
        let text = records_csv(&given).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!(&row[2], "a,\"b\"\nc");
        assert!(text.contains("\r\n"));
    }

    #[test]
    fn config_leaves_are_sorted_columns_and_absent_ones_are_empty() {
        let mut given = records(1, 1);
        given[0].config.insert("zz.only".into(), Value::from(3));
        let text = records_csv(&given).unwrap();
        let header = text.lines().next().unwrap();
        assert!(header.ends_with("cfg.zz.only"));
        assert!(text.lines().nth(1).unwrap().ends_with(",3"));
        assert!(text.lines().last().unwrap().ends_with(','));
    }
}
