//! Detectors: statistics over what an account, or a cluster of linked accounts, has asked.
//!
//! A detector is two plain structs. Its parameters are built once from a config; its state is owned by
//! the account or the cluster that is watched. A call changes the state and returns a [`Verdict`].
//! Nothing here reads a clock, dispatches per exchange or knows who asks; what follows from an alarm
//! is decided elsewhere. States that are whole numbers can be merged, so an account's part and its
//! cluster's are the same evidence.
//!
//! A single query is no evidence, since every query of a campaign could be an honest one: windows,
//! accounts and clusters are tested. Thresholds come from benign traffic of other accounts, with the
//! bound that its size allows ([`Threshold`]).
//!
//! What a gateway's own layers use too stands in [`crate::detect`] and is named here again.

pub mod arl;
pub mod cusum;
pub mod entropy;
pub mod ks;
pub mod mmd_features;
pub mod mmd_table;
pub mod sprt;
pub mod synchrotrap;
pub mod velocity;

use crate::detect::vector;
pub use crate::detect::{Threshold, Verdict, mmd, prada, seat, shapiro};

#[cfg(test)]
use crate::detect::testing;
