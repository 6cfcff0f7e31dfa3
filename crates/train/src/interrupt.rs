//! Ctrl-C, and the signal with which schedulers end a job, ask the training to stop in good order.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// 128 and the number of SIGINT.
const EXIT_CODE: i32 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on a signal asks; a second one ends the process at once.
pub fn watch() -> Result<()> {
    let asked = || {
        if ASKED.swap(true, Ordering::Relaxed) {
            process::exit(EXIT_CODE);
        }
    };
    ctrlc::set_handler(asked).context("cannot watch for Ctrl-C")
}

/// Whether the training is to stop.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
