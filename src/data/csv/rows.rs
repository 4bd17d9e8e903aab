//! From the bytes of a CSV file to rows of equal width (RFC 4180), with the line each starts at.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::Header;
use crate::data::idx::GZIP;
use crate::error::{Error, Result};

/// Rows of a file, all of the same width.
pub(super) struct Rows {
    /// Cells of the header line, if there is one.
    pub header: Option<StringRecord>,
    /// Line number (from 1) and cells of each data row; at least one.
    pub rows: Vec<(u64, StringRecord)>,
}

/// Reads the rows of `path`. `named` is a column name that a header would hold.
pub(super) fn read(path: &Path, header: Header, named: Option<&str>) -> Result<Rows> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let mut rows = parse(path, text(path, &bytes)?)?;
    let has_header = match header {
        Header::Present => true,
        Header::Absent => false,
        Header::Detect => looks_like_header(&rows, named),
    };
    let header = (has_header && !rows.is_empty()).then(|| rows.remove(0).1);
    match rows.is_empty() {
        true => Err(Error::data(path, "rows", "no data row", "at least one")),
        false => Ok(Rows { header, rows }),
    }
}

/// The text of a file in UTF-8, without its byte-order mark.
fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    let refuse = |place: String, found: &str| {
        Err(Error::data(path, place, found, "comma-separated text in UTF-8"))
    };
    if bytes.starts_with(&GZIP) {
        return refuse("byte 0".into(), "a gzip file");
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return refuse("byte 0".into(), "UTF-16 text");
    }
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        let found = if at < 2 { "UTF-16 text (no byte-order mark)" } else { "a zero byte" };
        return refuse(format!("byte {at}"), found);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(why) => refuse(format!("byte {}", why.valid_up_to()), "bytes that are not UTF-8"),
    }
}

/// Every row with its line; rows of another width than the first are refused.
fn parse(path: &Path, text: &str) -> Result<Vec<(u64, StringRecord)>> {
    let reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes())
        .into_records();
    let mut rows: Vec<(u64, StringRecord)> = Vec::new();
    for record in reader {
        let record = record.map_err(|why| {
            Error::data(path, format!("row {}", rows.len() + 1), why.to_string(), "a row of cells")
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let width = rows.first().map_or(record.len(), |(_, first)| first.len());
        if record.len() != width {
            let found = format!("{} fields", record.len());
            let expected = format!("{width}, as in line {}", rows[0].0);
            return Err(Error::data(path, format!("line {line}"), found, expected));
        }
        if let Some(column) = record.iter().position(|cell| cell.contains(['\n', '\r'])) {
            let place = format!("line {line}, field {}", column + 1);
            return Err(Error::data(path, place, "a line break in a cell", "a closing quote"));
        }
        rows.push((line, record));
    }
    match rows.first() {
        Some((line, first)) if first.len() < 2 => Err(Error::data(
            path,
            format!("line {line}"),
            "1 field",
            "a label and at least one feature, with commas between",
        )),
        _ => Ok(rows),
    }
}

/// True if the first row holds `named` or a cell `label`, or if no cell above the second row's
/// numbers is a number.
fn looks_like_header(rows: &[(u64, StringRecord)], named: Option<&str>) -> bool {
    let Some((_, first)) = rows.first() else { return false };
    let is_name = |cell: &str| Some(cell) == named || cell.eq_ignore_ascii_case("label");
    if first.iter().any(is_name) {
        return true;
    }
    match rows.get(1) {
        None => !first.iter().any(is_number),
        Some((_, second)) => {
            let above: Vec<&str> =
                first.iter().zip(second).filter(|(_, s)| is_number(s)).map(|(f, _)| f).collect();
            !above.is_empty() && !above.into_iter().any(is_number)
        }
    }
}

/// True for anything written as a number, NaN and infinities included.
pub(super) fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}
