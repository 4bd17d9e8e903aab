//! Records to tables, figures and one HTML page. Never runs anything, reads records only.

mod aggregate;
mod build;
pub mod campaign;
mod details;
mod efficiency;
mod family;
mod figure;
mod gather;
mod headline;
mod html;
pub mod language;
mod markdown;
mod notes;
mod page;
pub mod parquet;
mod payload;
pub mod records;
pub mod reproduce;
mod rows;
mod signs;
pub mod summary;
#[cfg(test)]
mod synthetic;
pub mod table;
pub mod tidy;

pub use build::{Pages, build};
pub use summary::Summary;
