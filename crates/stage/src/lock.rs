//! The lock of a run's folder.

use std::fs::{self, File, TryLockError};

use crate::error::{Error, Result};
use crate::folder::RunFolder;

/// Creates the run's folder and locks it for as long as the file is open: two stages at once would mix
/// their artifacts and records. The system releases the lock however the process ends.
///
/// # Errors
/// When another process holds the lock, or the folder cannot be created.
pub fn lock(folder: &RunFolder) -> Result<File> {
    fs::create_dir_all(folder.path()).map_err(Error::io("create", folder.path()))?;
    let path = folder.lock();
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { folder: folder.path().to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}
