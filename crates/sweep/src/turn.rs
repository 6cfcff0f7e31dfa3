//! The turn of a `midashi-sweep` that works on a run. Another one for the same run waits: a scheduler may start a
//! run again while the process that it believes dead, or the stage that this one has started, is still at work.

use std::fs::{self, File, TryLockError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use midashi_stage::{Error, RunFolder, lock};

use crate::interruption;

/// How often a waiting process tries again. A lock that blocks could not be interrupted.
const INTERVAL: Duration = Duration::from_millis(200);

/// Waits for the turn to work on the run in `folder`. It lasts as long as the file is open. The stages lock the folder
/// too, each for its own time, by another file.
///
/// # Errors
/// When the folder cannot be created or its file system has no locks; when the wait is interrupted.
pub fn wait(folder: &RunFolder) -> Result<File> {
    fs::create_dir_all(folder.path()).map_err(Error::io("create", folder.path()))?;
    let path = folder.sweep_lock();
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    let mut waits = false;
    while !(is_first(folder, &file)? && is_idle(folder)?) {
        if !waits {
            midashi_stage::outln!("  waits for another process at work in {}", folder.path().display());
            waits = true;
        }
        thread::sleep(INTERVAL);
        interruption::check()?;
    }
    Ok(file)
}

/// Whether no other `midashi-sweep` works on the run. It then waits for this one.
fn is_first(folder: &RunFolder, file: &File) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &folder.sweep_lock())(error).into()),
    }
}

/// Whether no stage works on the run. One goes on by itself if the `midashi-sweep` that started it was killed.
fn is_idle(folder: &RunFolder) -> Result<bool> {
    match lock(folder) {
        Ok(_) => Ok(true),
        Err(Error::Busy { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
