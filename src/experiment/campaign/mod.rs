//! Campaigns as experiments: cells of arms and replicates, each a simulation, some with students.
//!
//! A simulation and its students are cells of their own: other students over the same simulations cost no
//! simulation, and the other way round.

mod plan;
pub mod record;
mod run;

pub use plan::{Cell, Plan, Variant};
pub use run::Campaigns;
