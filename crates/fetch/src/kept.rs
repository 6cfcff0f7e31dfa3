//! Files of earlier downloads: whether they are still what was received. Disks fail, and other programs write.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use midashi_stage::{Error as FileError, atomic, entries, sha256_of};

use crate::download::is_sha256;
use crate::error::{Error, Result};

/// Writes the SHA-256 of a finished download to the file `record`.
///
/// # Errors
/// When the download cannot be read or the record cannot be written.
pub(crate) fn remember(path: &Path, record: &Path) -> Result<()> {
    Ok(atomic::write_bytes(record, sha256_of(path)?.as_bytes())?)
}

/// Refuses a file that has changed since its digest was written to `record`. A file without a record was put there by a person
/// or by another program.
///
/// # Errors
/// As the summary says, when the file or the record cannot be read, and when the record is no digest.
pub(crate) fn check(path: &Path, record: &Path) -> Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let written = match fs::read(record) {
        Ok(written) => written,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::io("read", record)(error).into()),
    };
    match String::from_utf8(written) {
        Ok(expected) if is_sha256(&expected) => {
            compare(path, &expected, &format!("if you changed it, remove {}", record.display()))
        }
        _ => Err(Error::BadRecord { record: record.to_owned(), path: path.to_owned() }),
    }
}

/// Refuses a changed file of a folder of downloads, whose records are in the folder `records`. Returns whether every file that
/// has a record is there.
///
/// # Errors
/// As the summary says, and when a file cannot be read.
pub(crate) fn check_folder(folder: &Path, records: &Path) -> Result<bool> {
    let mut is_whole = true;
    if records.is_dir() {
        for record in entries(records)? {
            let name = record.file_name();
            // A process that was killed leaves a temporary file, whose name begins with a dot.
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            let file = folder.join(name);
            is_whole &= file.is_file();
            check(&file, &record.path())?;
        }
    }
    Ok(is_whole)
}

/// Refuses a changed file among these of a snapshot in the hub's cache. Returns whether no link of them leads nowhere.
///
/// A blob with the name of its SHA-256 is checked with that, another one with the digest that was recorded when this program
/// fetched it. What Python fetched of the others cannot be checked.
///
/// # Errors
/// As the summary says, and when a file cannot be read.
pub(crate) fn check_snapshot<N: AsRef<Path>>(
    repository: &Path,
    snapshot: &Path,
    files: impl IntoIterator<Item = N>,
) -> Result<bool> {
    let mut is_whole = true;
    for path in files.into_iter().map(|name| snapshot.join(name)) {
        if !path.exists() {
            is_whole &= !path.is_symlink();
            continue;
        }
        let blob = path.canonicalize().map_err(FileError::io("read", &path))?;
        check_blob(repository, &blob)?;
    }
    Ok(is_whole)
}

/// Refuses a changed blob of the hub's cache.
///
/// # Errors
/// As the summary says, and when it cannot be read.
pub(crate) fn check_blob(repository: &Path, blob: &Path) -> Result<()> {
    let etag = blob.file_name().unwrap_or_default().to_string_lossy();
    if is_sha256(&etag) {
        return compare(blob, &etag, "a file of your own belongs into a folder of your own");
    }
    check(blob, &record_of(repository, &etag))
}

/// The file with the SHA-256 of a blob whose name is another digest.
pub(crate) fn record_of(repository: &Path, etag: &str) -> PathBuf {
    repository.join(".midashi").join("sha256").join(etag)
}

fn compare(path: &Path, expected: &str, own: &str) -> Result<()> {
    let found = sha256_of(path)?;
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Error::Changed { path: path.to_owned(), found, expected: expected.to_owned(), own: own.to_owned() })
}
