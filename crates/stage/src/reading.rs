//! Reading files that others put where they are expected.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Reads a whole regular file.
///
/// # Errors
/// When it cannot be read, or is no regular file: a FIFO would wait for a writer, and a device may have no end.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    let failed = || Error::io("read", path);
    if !fs::metadata(path).map_err(failed())?.is_file() {
        return Err(failed()(std::io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(failed())?;
    Ok(bytes)
}
