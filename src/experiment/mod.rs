//! Spec, plan, stages, run, record, sweep, resume. The only room besides `campaign` that sees students
//! and gateways; it prints nothing, and only `folder` and `provenance` touch files and clocks.
//!
//! Data flow: [`config`] text -> [`spec`] -> [`plan`] cells -> [`world`] (data, teacher, truth per
//! seed) -> [`run`] (open a gateway, `session`, learn, `measure`) -> [`record`] -> [`folder`].

pub mod campaign;
pub mod config;
mod evidence;
pub mod external;
pub mod folder;
mod honest;
pub mod language;
mod measure;
pub mod plan;
pub mod provenance;
pub mod record;
pub mod rows;
pub mod run;
mod session;
pub mod spec;
pub mod sweep;
pub mod world;
