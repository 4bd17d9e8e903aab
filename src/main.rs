//! Parse, call, print, exit.

#[allow(clippy::disallowed_macros, reason = "the command line is what prints")]
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Cells run one per thread, so kernels inside them use one thread. Set before any thread starts.
    // SAFETY: nothing else runs yet, so no other thread can read the environment meanwhile.
    unsafe {
        std::env::set_var("RAYON_NUM_THREADS", "1");
        std::env::set_var("CANDLE_NUM_THREADS", "1");
    }
    cli::main()
}
