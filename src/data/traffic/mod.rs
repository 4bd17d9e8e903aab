//! Recorded traffic of public traces: when requests came and how long they were. No text is read.
//!
//! Three shapes, told apart by what the file holds: BurstGPT (arXiv 2401.17644; CSV with `Timestamp` in
//! seconds, `Request tokens`, `Response tokens` and in later versions `Session ID`), the Azure LLM inference
//! traces (CSV with `TIMESTAMP`, `ContextTokens`, `GeneratedTokens`), and Mooncake (FAST'25; a JSON object a
//! line with `timestamp` in milliseconds, `input_length`, `output_length`).

mod read;

use std::path::Path;

use crate::error::{Error, Result};

/// One recorded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Microseconds since the first request.
    pub at_us: u64,
    /// Session that it belongs to, where the trace tells.
    pub session: Option<u64>,
    /// Tokens of the prompt, at least 1.
    pub input: u32,
    /// Tokens of the answer, at least 1.
    pub output: u32,
}

/// A trace, in the order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// At least one request.
    pub requests: Vec<Recorded>,
    /// blake3 of the file, in hex.
    pub hash: String,
}

impl Traffic {
    /// Reads a trace. Requests that failed, with no answer, are left out.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let text = std::str::from_utf8(&bytes).map_err(|e| {
            Error::data(path, format!("byte {}", e.valid_up_to()), "no UTF-8", "text")
        })?;
        let mut requests = read::parse(path, text)?;
        requests.sort_by_key(|r| r.at_us);
        let Some(first) = requests.first().map(|r| r.at_us) else {
            return Err(Error::data(path, "whole file", "no answered request", "at least one"));
        };
        requests.iter_mut().for_each(|r| r.at_us -= first);
        Ok(Self { requests, hash: blake3::hash(&bytes).to_hex().to_string() })
    }

    /// Microseconds after which the trace begins anew: its length and one mean gap.
    pub fn period_us(&self) -> u64 {
        let last = self.requests.last().map_or(0, |r| r.at_us);
        last + (last / self.requests.len() as u64).max(1)
    }
}
