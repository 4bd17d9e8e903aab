//! Ctrl-C once: finish the cells in flight and save. Twice: stop.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use retort::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

/// A flag that the first SIGINT, SIGTERM or SIGUSR1 sets; a second one ends the process with
/// 128 + signal.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGUSR1] {
        let failed = |e: std::io::Error| Error::Internal(format!("signal handler: {e}"));
        // Order matters: the conditional exit looks at the flag before the second line sets it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
            .map_err(failed)?;
        flag::register(signal, Arc::clone(&stop)).map_err(failed)?;
    }
    Ok(stop)
}
