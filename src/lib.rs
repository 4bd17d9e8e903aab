//! An oracle answers students through defenses, on a ledger, over data and models; metrics score
//! the exchange, experiments run it, reports show it, serve puts it on a port.

#![deny(unsafe_code)]

pub mod data;
pub mod defense;
pub mod error;
pub mod experiment;
pub mod gateway;
pub mod ledger;
pub mod metric;
pub mod model;
pub mod oracle;
pub mod report;
pub mod seed;
pub mod serve;
pub mod student;

pub use error::{Error, Result};
pub use seed::Seed;
