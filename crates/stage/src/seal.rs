//! The seal of a cache: its SHA-256 in a file beside it. No stage's record names a cache, because caches survive the
//! work that made them and are shared by runs.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::atomic;
use crate::digest::sha256_of;
use crate::error::{Error, Result};

/// The file beside `path` that holds its digest, in the format of `sha256sum`.
pub fn seal_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".sha256");
    path.with_file_name(name)
}

/// Writes the digest of the finished file `path` beside it.
///
/// # Errors
/// When the file cannot be read or the seal cannot be written.
pub fn seal(path: &Path) -> Result<()> {
    atomic::write_bytes(&seal_of(path), line(path)?.as_bytes())
}

/// Whether the file `path` is as it was when it was sealed. A file without a seal is not.
///
/// # Errors
/// When the file or its seal cannot be read.
pub fn is_intact(path: &Path) -> Result<bool> {
    let seal = seal_of(path);
    match fs::read(&seal) {
        Ok(text) => Ok(text == line(path)?.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("read", &seal)(error)),
    }
}

/// The content of the seal of a file as it is now.
fn line(path: &Path) -> Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{}  {name}\n", sha256_of(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256_of_bytes;

    #[test]
    fn a_changed_file_breaks_its_seal() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("features.arrow");
        fs::write(&cache, "numbers").unwrap();
        assert!(!is_intact(&cache).unwrap(), "there is no seal yet");
        seal(&cache).unwrap();
        assert!(is_intact(&cache).unwrap());
        let line = format!("{}  features.arrow\n", sha256_of_bytes(b"numbers"));
        assert_eq!(fs::read_to_string(folder.path().join("features.arrow.sha256")).unwrap(), line);
        fs::write(&cache, "numbert").unwrap();
        assert!(!is_intact(&cache).unwrap());
    }
}
