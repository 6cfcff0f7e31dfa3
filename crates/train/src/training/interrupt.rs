//! Stops the training in good order on Ctrl-C (SIGINT) and on a scheduler's SIGTERM.

use std::process;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// 128 + SIGINT
const EXIT_CODE: i32 = 130;

/// Signals that follow the first one so soon are the same request: a terminal or a scheduler sends it to every process of a
/// group, and a sweep passes it on.
const SAME_REQUEST: Duration = Duration::from_secs(2);

/// When the first signal arrived.
static REQUESTED: OnceLock<Instant> = OnceLock::new();

/// Installs the signal handler. A later signal ends the process at once.
pub fn install_handler() -> Result<()> {
    let handler = || {
        if REQUESTED.get_or_init(Instant::now).elapsed() > SAME_REQUEST {
            process::exit(EXIT_CODE);
        }
    };
    ctrlc::set_handler(handler).context("cannot install a handler for Ctrl-C")
}

/// Whether a signal has arrived.
pub fn is_requested() -> bool {
    REQUESTED.get().is_some()
}
