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

fn end() {
    if let Some(path) = &*UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner) {
        // It may have been finished in the meantime; then there is nothing to remove.
        let _ = std::fs::remove_file(path);
    }
    errln!("interrupted: the output was not written");
    std::process::exit(INTERRUPTED);
}
