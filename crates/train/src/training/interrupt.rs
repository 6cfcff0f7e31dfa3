//! Stops the training in good order on Ctrl-C (SIGINT) and on a scheduler's SIGTERM.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// 128 + SIGINT
const EXIT_CODE: i32 = 130;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Installs the signal handler. A second signal ends the process at once.
pub fn install_handler() -> Result<()> {
    let handler = || {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            process::exit(EXIT_CODE);
        }
    };
    ctrlc::set_handler(handler).context("cannot install a handler for Ctrl-C")
}

/// Whether a signal has arrived.
pub fn is_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
