//! Populations, arrivals, linkage, money, compute: many accounts on one virtual clock.

pub mod detect;
pub mod link;
