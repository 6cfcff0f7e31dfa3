//! Atomic writes: a reader sees the old artifact or the new one, never a part of either.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use tempfile::{NamedTempFile, TempDir};

use crate::error::{Error, Result};
use crate::folder::entries;
use crate::sums::Sums;

/// Prefix of the names of temporary files and folders.
pub(crate) const TEMPORARY: &str = ".tmp";
/// How the name of a folder ends that is being replaced.
const ASIDE: &str = ".old";

/// Writes a file: into a temporary one in the same folder, which is flushed to disk and then renamed.
///
/// # Errors
/// When `fill` fails, or the file cannot be written; the old file is then untouched.
pub fn write<E: From<Error>>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> Result<(), E>,
) -> Result<(), E> {
    let mut temporary = create(path)?;
    let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
    fill(&mut writer)?;
    writer.flush().map_err(Error::io("write", path))?;
    drop(writer);
    Ok(commit(temporary, path)?)
}

/// As [`write()`], but `fill` gets the temporary file's path and writes or replaces it itself.
///
/// # Errors
/// As [`write()`].
pub fn write_at<E: From<Error>>(path: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let temporary = create(path)?.into_temp_path();
    fill(&temporary)?;
    sync(&temporary)?;
    temporary.persist(path).map_err(|error| Error::io("rename to", path)(error.error))?;
    Ok(sync(parent(path)?)?)
}

/// Writes bytes.
///
/// # Errors
/// As [`write()`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, |file| file.write_all(bytes).map_err(Error::io("write", path)))
}

/// Creates a temporary file in the folder of `path`, for [`commit`]. Its permissions are those of an ordinary
/// file: temporary files are private by default, but artifacts are for everybody whom the umask allows.
///
/// # Errors
/// When the folder or the file cannot be created.
pub fn create(path: &Path) -> Result<NamedTempFile> {
    let folder = parent(path)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(Error::io("create a file in", folder))
}

/// Flushes a file of [`create`] to disk and renames it to `path`.
///
/// # Errors
/// When the file cannot be flushed or renamed.
pub fn commit(temporary: NamedTempFile, path: &Path) -> Result<()> {
    temporary.as_file().sync_all().map_err(Error::io("flush", path))?;
    temporary.persist(path).map_err(|error| Error::io("rename to", path)(error.error))?;
    sync(parent(path)?)
}

/// Makes a folder: `fill` writes files into a temporary one beside it, which then replaces the old one. The digests of the
/// files are added as `SHA256SUMS`, unless `fill` has taken over that file with the others.
///
/// # Errors
/// When `fill` fails, or the folder cannot be made; the old folder is then still there.
pub fn write_folder<E: From<Error>>(path: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let parent = parent(path)?;
    let temporary = create_folder(path)?;
    fill(temporary.path())?;
    if Sums::read(temporary.path())?.is_none() {
        Sums::compute(temporary.path())?.write()?;
    }
    sync_all(temporary.path())?;
    // A folder cannot be renamed to the name of one that is not empty, so the old one is renamed first.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = parent.join(format!(".{name}{ASIDE}"));
    remove_folder(&aside)?;
    if path.exists() {
        fs::rename(path, &aside).map_err(Error::io("rename", path))?;
    }
    if let Err(error) = fs::rename(temporary.path(), path) {
        if aside.exists() {
            fs::rename(&aside, path).map_err(Error::io("restore", path))?;
        }
        return Err(Error::io("rename to", path)(error).into());
    }
    // The folder was renamed, so there is nothing to remove.
    let _ = temporary.keep();
    sync(parent)?;
    Ok(remove_folder(&aside)?)
}

/// The name that a folder had before it was set aside to be replaced; none if it was not.
pub(crate) fn name_before(aside: &str) -> Option<&str> {
    aside.strip_prefix('.')?.strip_suffix(ASIDE)
}

/// Creates a temporary folder beside `path`, with the permissions of an ordinary folder.
///
/// # Errors
/// When the folder cannot be created.
pub fn create_folder(path: &Path) -> Result<TempDir> {
    let folder = parent(path)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder.tempdir_in(folder).map_err(Error::io("create a folder in", folder))
}

fn remove_folder(path: &Path) -> Result<()> {
    if path.exists() { fs::remove_dir_all(path).map_err(Error::io("remove", path)) } else { Ok(()) }
}

fn parent(path: &Path) -> Result<&Path> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    Ok(folder)
}

/// Flushes a folder and everything in it to disk.
fn sync_all(folder: &Path) -> Result<()> {
    for entry in entries(folder)? {
        let path = entry.path();
        if path.is_dir() { sync_all(&path)? } else { sync(&path)? }
    }
    sync(folder)
}

/// Flushes a file or folder to disk. A folder needs it after a rename: a power cut may otherwise undo the rename.
fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("flush", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_bytes(&path, b"old").unwrap();
        let failed = write(&path, |file| {
            file.write_all(b"half").unwrap();
            Err(Error::Busy { folder: "test".into() })
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        for name in ["a", "b"] {
            write_folder(&path, |inside| write_bytes(&inside.join(name), b"x")).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["SHA256SUMS", "b"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
