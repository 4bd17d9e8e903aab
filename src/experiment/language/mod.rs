//! Language models and the capability suite: a teacher behind a text API, students that distil it, and exams.
//!
//! Data flow: [`spec`] -> [`plan`] cells -> `ground` (teacher, exam, truth, answers of a seed) -> `run` (ask,
//! learn, sit the exam) -> [`record`].

pub mod api;
pub mod canaries;
pub mod exam;
pub mod files;
mod fits;
mod ground;
mod inversion;
pub mod lesson;
pub mod master;
pub mod objective;
pub mod plan;
mod probes;
pub mod prompts;
pub mod radioactivity;
pub mod record;
mod rounds;
mod run;
pub mod spec;
pub mod start;
pub mod student;
pub mod teacher;
mod votes;
pub mod words;

pub use run::Languages;

use crate::model::language::{Decoder, Fresh};

/// Longest text: prompt and completion of any problem in the widest ranges fit.
pub const CONTEXT: usize = 64;
/// Different bytes.
pub const VOCABULARY: usize = 256;

/// A decoder over bytes, as teachers and students of the suite are.
fn decoder(layers: usize, heads: usize, width: usize) -> Decoder {
    Decoder {
        vocabulary: VOCABULARY,
        context: CONTEXT,
        layers,
        heads,
        width,
        norm: Default::default(),
        positions: Default::default(),
        bend: Default::default(),
        dropout: 0.0,
        fresh: Fresh::FanIn,
        llama: None,
    }
}

/// Bytes as tokens.
fn tokens(bytes: &[u8]) -> Vec<u16> {
    bytes.iter().map(|&byte| u16::from(byte)).collect()
}

/// Tokens of a decoder over bytes, as bytes.
fn bytes(tokens: &[u16]) -> Vec<u8> {
    tokens.iter().map(|&token| token as u8).collect()
}

#[cfg(test)]
mod tests;
