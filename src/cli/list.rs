//! `retort list`: what configs can name, from the registries themselves.

use retort::Result;
use retort::report::listing::{self, Row};

use super::args::{Format, Kind, List};
use super::put;

/// Prints one registry.
pub fn list(args: &List) -> Result<u8> {
    let rows: Vec<Row> = match args.kind {
        Kind::Datasets => retort::data::cards().iter().map(|c| Row::new(&c.name, &c.summary(), &c.source)).collect(),
        Kind::Models => retort::model::cards(),
        Kind::Strategies => retort::student::strategy_cards(),
        Kind::Objectives => retort::student::objective_cards(),
        Kind::Recoveries => retort::student::recovery_cards(),
        Kind::Defenses => retort::defense::cards(),
        Kind::Metrics => retort::metric::cards(),
    };
    put(&match args.format {
        Format::Md => listing::markdown(&rows),
        Format::Csv => listing::csv(&rows)?,
        Format::Json => listing::json(&rows)?,
    });
    Ok(0)
}
