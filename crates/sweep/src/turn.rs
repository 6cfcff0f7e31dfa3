//! The turn of a `midashi-sweep` that works on a run. Another one for the same run waits: a scheduler may start a
//! run again while the process that it believes dead is still at work.

use std::fs::{self, File, TryLockError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use midashi_stage::{Error, RunFolder};

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
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => interruption::check()?,
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error).into()),
        }
        if !waits {
            midashi_stage::outln!("  waits for another midashi-sweep in {}", folder.path().display());
            waits = true;
        }
        thread::sleep(INTERVAL);
    }
}
