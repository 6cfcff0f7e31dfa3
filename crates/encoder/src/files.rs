//! Reading small files whole.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Reads a whole regular file of at most `most` bytes.
///
/// # Errors
/// When it cannot be read, is larger, or is no regular file: a FIFO would wait for a writer, and a device may have no end.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let failed = || Error::io("read", path);
    let other = |reason: String| failed()(std::io::Error::other(reason));
    if !fs::metadata(path).map_err(failed())?.is_file() {
        return Err(other("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(failed())?.take(most + 1).read_to_end(&mut bytes).map_err(failed())?;
    if bytes.len() as u64 > most {
        return Err(other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn only_regular_files_within_the_bound_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{}").unwrap();
        assert_eq!(read(&path, 2).unwrap(), b"{}");
        let reason = |error: Error| error.source().unwrap().to_string();
        assert!(reason(read(&path, 1).unwrap_err()).contains("more than 1 bytes"));
        assert!(reason(read(folder.path(), 2).unwrap_err()).contains("not a regular file"));
    }
}
