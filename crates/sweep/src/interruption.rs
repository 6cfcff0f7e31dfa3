//! Ctrl-C and SIGTERM. A stage that runs receives Ctrl-C too: it ends first, then the sweep.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use midashi_stage::Interrupted;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes an interruption known to [`check`] instead of ending this process.
///
/// # Errors
/// When the system refuses.
pub fn watch() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed)).context("cannot handle Ctrl-C")
}

/// Refuses to go on after an interruption.
///
/// # Errors
/// [`Interrupted`].
pub fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!(Interrupted("the same sweep goes on from there".to_owned()));
    }
    Ok(())
}
