//! Populations, arrivals, linkage, money, compute: many accounts on one virtual clock.
//!
//! A scenario ([`spec`]) becomes [`rules`] in whole numbers; [`engine`] runs accounts epoch by epoch; sums
//! of what happened are [`tally`]s. One event of an account is [`exchange`]; between epochs `barrier`
//! replaces closed accounts and spreads demand, `cluster` links accounts by what they share, `synchrony` by
//! what they do at the same times, `group` puts those that share a limit side by side.
//!
//! Detectors ([`detect`]) watch exchanges and clusters inside the engine (`watch`), with limits of their own or
//! of a separate population ([`calibrate`]), on what requests are about (`content`). Actors may know all of it
//! ([`adapt`]).

mod account;
pub mod adapt;
mod barrier;
mod calendar;
pub mod calibrate;
mod cluster;
mod content;
mod demand;
pub mod detect;
pub mod detection;
pub mod draw;
pub mod engine;
pub mod exchange;
mod group;
pub mod learn;
pub mod link;
pub mod money;
pub mod outcome;
mod population;
mod quantile;
mod replay;
pub mod rules;
pub mod spec;
mod synchrony;
pub mod tally;
mod watch;

#[cfg(test)]
mod tests;
