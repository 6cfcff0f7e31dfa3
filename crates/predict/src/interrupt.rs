//! Ctrl-C and SIGTERM: the unfinished output is removed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use midashi_stage::{atomic, errln};
use tempfile::NamedTempFile;

/// Exit code of a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// The unfinished output.
static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Creates a temporary file for the output `path`, which is removed if the program is interrupted.
///
/// # Errors
/// When no handler can be installed or the file cannot be created.
pub fn create(path: &Path) -> Result<NamedTempFile> {
    ctrlc::set_handler(end).context("cannot install a handler for Ctrl-C")?;
    // The handler waits until the file's name is known.
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    let file = atomic::create(path)?;
    *unfinished = Some(file.path().to_owned());
    Ok(file)
}

/// Gives a finished output the name `path`. An interruption leaves it from now on.
///
/// # Errors
/// When the file cannot be renamed.
pub fn commit(file: NamedTempFile, path: &Path) -> Result<()> {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    atomic::commit(file, path)?;
    *unfinished = None;
    Ok(())
}

fn end() {
    match &*UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(path) => {
            let _ = std::fs::remove_file(path);
            errln!("interrupted: the output was not written");
        }
        None => errln!("interrupted after the output was written"),
    }
    std::process::exit(INTERRUPTED);
}
