//! The files of tidy rows: CSV and Parquet.

use super::tidy::{Row, rows};
use crate::error::{Error, Result};
use crate::experiment::campaign::record::{CampaignRecord, Part, VERSION};
use crate::report::parquet::{self, Column};
use crate::report::records::better;

/// Columns of `records.csv` and `records.parquet`.
pub const COLUMNS: [&str; 12] = [
    "cell",
    "variant",
    "arm",
    "replicate",
    "part",
    "party",
    "day",
    "area",
    "metric",
    "value",
    "unit",
    "better",
];

fn part(part: Part) -> &'static str {
    match part {
        Part::Simulation => "simulation",
        Part::Learning => "learning",
    }
}

/// The rows as CSV (RFC 4180); what is not known is an empty field.
pub(super) fn csv(records: &[CampaignRecord]) -> Result<Vec<u8>> {
    let internal = |e: String| Error::Internal(format!("records.csv: {e}"));
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![]);
    csv.write_record(COLUMNS).map_err(|e| internal(e.to_string()))?;
    for row in rows(records) {
        let r = row.record;
        let (replicate, day) = (r.replicate.to_string(), row.day.map(|d| d.to_string()));
        let value = row.value.map(|v| v.to_string()).unwrap_or_default();
        let fields = [
            r.cell.as_str(),
            &r.variant,
            &r.arm,
            &replicate,
            part(r.part),
            row.party,
            day.as_deref().unwrap_or_default(),
            &row.area,
            row.metric,
            &value,
            row.unit,
            better(row.better),
        ];
        csv.write_record(fields).map_err(|e| internal(e.to_string()))?;
    }
    csv.into_inner().map_err(|e| internal(e.to_string()))
}

/// The same rows as Parquet.
pub(super) fn parquet(records: &[CampaignRecord]) -> Result<Vec<u8>> {
    let rows = rows(records);
    let text = |f: fn(&Row<'_>) -> String| {
        Column::Text(rows.iter().map(|r| Some(parquet::bytes(f(r)))).collect())
    };
    let replicates = rows.iter().map(|r| u64::from(r.record.replicate));
    let columns = vec![
        ("cell".into(), true, text(|r| r.record.cell.clone())),
        ("variant".into(), true, text(|r| r.record.variant.clone())),
        ("arm".into(), true, text(|r| r.record.arm.clone())),
        ("replicate".into(), true, parquet::whole("replicate", replicates)?),
        ("part".into(), true, text(|r| part(r.record.part).into())),
        ("party".into(), true, text(|r| r.party.into())),
        ("day".into(), false, Column::Whole(rows.iter().map(|r| r.day.map(i64::from)).collect())),
        ("area".into(), true, text(|r| r.area.clone())),
        ("metric".into(), true, text(|r| r.metric.into())),
        ("value".into(), false, Column::Real(rows.iter().map(|r| r.value).collect())),
        ("unit".into(), true, text(|r| r.unit.into())),
        ("better".into(), true, text(|r| better(r.better).into())),
    ];
    let mut out = Vec::new();
    parquet::file(&columns, VERSION, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::synthetic::records;

    #[test]
    fn every_row_of_the_csv_has_its_columns_and_reads_back() {
        let given = records(3, 2);
        let text = String::from_utf8(csv(&given).unwrap()).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        let read: Vec<csv::StringRecord> = reader.records().map(|r| r.unwrap()).collect();
        assert_eq!(read.len(), rows(&given).len());
        let find = |metric: &str, party: &str, day: &str| {
            let is = |r: &&csv::StringRecord| &r[8] == metric && &r[5] == party && &r[6] == day;
            read.iter().find(is).map(|r| r[9].to_string())
        };
        assert_eq!(find("attack", "mm", "20").as_deref(), Some("1000"));
        assert_eq!(find("leak_before_ban_mean", "mm", "").as_deref(), Some(""));
        assert_eq!(find("recovered", "ds", "20").as_deref(), Some("1"));
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn no_records_give_a_header_and_a_file_without_rows() {
        assert_eq!(csv(&[]).unwrap().iter().filter(|b| **b == b'\n').count(), 1);
        assert!(!parquet(&[]).unwrap().is_empty());
    }
}
