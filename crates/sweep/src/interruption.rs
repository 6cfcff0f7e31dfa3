//! Ctrl-C and SIGTERM. The stage that runs receives a signal too: it ends first, then the sweep.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use midashi_stage::Interrupted;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The process id of the stage that runs.
static RUNNING: Mutex<Option<u32>> = Mutex::new(None);

/// Makes an interruption known to the stage that runs and to [`check`], instead of ending this process.
///
/// # Errors
/// When the system refuses.
pub fn watch() -> Result<()> {
    let handler = || {
        INTERRUPTED.store(true, Ordering::Relaxed);
        if let Some(process) = *running() {
            terminate(process);
        }
    };
    ctrlc::set_handler(handler).context("cannot handle Ctrl-C")
}

/// Names the stage that runs now, until [`wait`].
pub fn started(child: &Child) {
    *running() = Some(child.id());
    // A signal may have come between the last check and the start.
    if INTERRUPTED.load(Ordering::Relaxed) {
        terminate(child.id());
    }
}

/// Waits for a stage that has closed its output, so that it ends soon.
///
/// # Errors
/// When the system cannot wait.
pub fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    // Afterwards the system may give its process id to another process: until then the handler has to wait.
    let mut running = running();
    let status = child.wait();
    *running = None;
    status
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

fn running() -> MutexGuard<'static, Option<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn terminate(process: u32) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    if let Ok(process) = i32::try_from(process) {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
    }
}

/// A console sends Ctrl-C to every process that uses it.
#[cfg(not(unix))]
fn terminate(_: u32) {}
