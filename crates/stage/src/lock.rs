//! The lock of a run's folder.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;

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

/// As [`lock`], but none where the folder exists and may only be read: nothing in it can then be written, and a finished run
/// is still up to date.
///
/// # Errors
/// As [`lock`].
pub fn lock_if_writable(folder: &RunFolder) -> Result<Option<File>> {
    match lock(folder) {
        Ok(file) => Ok(Some(file)),
        Err(Error::Io { source, .. })
            if matches!(source.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied)
                && folder.path().is_dir() =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
