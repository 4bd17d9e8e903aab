//! Parse, call, print, exit.

#[allow(clippy::disallowed_macros, reason = "the command line is what prints")]
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
