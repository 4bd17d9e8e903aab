//! All files of a report, as bytes: the caller writes them.

use std::collections::BTreeMap;

use super::table::{self, Format};
use super::{Summary, parquet, records};
use crate::error::Result;
use crate::experiment::record::Record;

/// A finished report.
pub struct Pages {
    /// File name to content: `records.csv`, `records.parquet`, `report.html`, `figures/*.svg`.
    pub files: BTreeMap<String, Vec<u8>>,
    pub(super) summary: Summary,
    /// The table for people, where it is not the summary's own.
    pub(super) markdown: Option<String>,
}

/// Builds every file from records. `command` is shown as the way to make them again.
pub fn build(all: &[Record], name: &str, command: &str) -> Result<Pages> {
    let summary = Summary::of(all);
    let mut files = BTreeMap::new();
    let figures = super::figure::all(&summary)?;
    for figure in &figures {
        files.insert(format!("figures/{}.svg", figure.name), figure.card().into_bytes());
    }
    files.insert(
        "report.html".into(),
        super::html::page(&summary, all, name, command, &figures)?.into_bytes(),
    );
    files.insert("records.parquet".into(), parquet::records_parquet(all)?);
    files.insert("records.csv".into(), records::records_csv(all)?.into_bytes());
    Ok(Pages { files, summary, markdown: None })
}

impl Pages {
    /// The table for stdout.
    pub fn table(&self, format: Format) -> String {
        match (&self.markdown, format) {
            (Some(markdown), Format::Md) => markdown.clone(),
            _ => table::render(&self.summary, format),
        }
    }
}
