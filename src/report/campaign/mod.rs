//! Records of campaigns to tables, figures and one HTML page: what each arm let through and at what price,
//! and what it cost honest people.
//!
//! Numbers are made in `summary`, by pure functions over records; tables, figures and the page only show
//! them.

mod build;
mod cell;
mod figure;
mod page;
mod records;
mod summary;
mod sweep;
#[cfg(test)]
mod synthetic;
mod tables;
mod text;
mod tidy;
mod ways;

pub use build::{Pages, build};
