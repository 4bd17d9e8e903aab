//! Spec, plan, stages, run, record, sweep, resume. Sees students and gateways; prints nothing.

pub mod record;

pub mod config;
