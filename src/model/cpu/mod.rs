//! The executor for processors: layers over flat slices, buffers that are used again, backward passes
//! written by hand.
//!
//! Kernels use one thread. Parallel work is cut further out: cells over threads, and one large training
//! into a fixed number of shards.

mod gemm;
mod math;
pub(super) mod pass;
mod real;
mod runner;

pub(super) use gemm::{LANES, Matrix, Packed, Scattered, Size, Start};
pub(super) use math::{exp64, fold, vectors};
pub(super) use real::Real;
pub(super) use runner::Runner;

#[cfg(test)]
mod tests;
