//! Writing so that a reader sees the old artifact or the new one, never half of either.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::{Error, Result};

/// How the names of temporary files and folders begin.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Writes a file: a temporary one in the same folder, flushed to disk, then renamed.
///
/// # Errors
/// When `fill` fails, or the file cannot be written; the old file is then untouched.
pub fn write<E: From<Error>>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> Result<(), E>,
) -> Result<(), E> {
    let folder = parent(path)?;
    let mut temporary = temporary_file(folder)?;
    let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
    fill(&mut writer)?;
    writer.flush().map_err(Error::io("write", path))?;
    drop(writer);
    temporary.as_file().sync_all().map_err(Error::io("flush", path))?;
    temporary.persist(path).map_err(|error| Error::io("rename to", path)(error.error))?;
    sync_folder(folder)?;
    Ok(())
}

/// As [`write`], for those who write to a path: `fill` fills the file that is there.
///
/// # Errors
/// As [`write`].
pub fn write_at<E: From<Error>>(path: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let folder = parent(path)?;
    let temporary = temporary_file(folder)?.into_temp_path();
    fill(&temporary)?;
    File::open(&temporary).and_then(|file| file.sync_all()).map_err(Error::io("flush", path))?;
    temporary.persist(path).map_err(|error| Error::io("rename to", path)(error.error))?;
    sync_folder(folder)?;
    Ok(())
}

/// Writes bytes that are already in memory.
///
/// # Errors
/// As [`write`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, |file| file.write_all(bytes).map_err(Error::io("write", path)))
}

/// Makes a flat folder: `fill` writes files into a temporary one beside it, which then takes its
/// place.
///
/// # Errors
/// When `fill` fails, or the folder cannot be made; the old folder is then still there.
pub fn write_folder<E: From<Error>>(path: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let parent = parent(path)?;
    let temporary = temporary_folder(parent)?;
    fill(temporary.path())?;
    for entry in fs::read_dir(temporary.path()).map_err(Error::io("list", temporary.path()))? {
        let file = entry.map_err(Error::io("list", temporary.path()))?.path();
        File::open(&file).and_then(|file| file.sync_all()).map_err(Error::io("flush", &file))?;
    }
    sync_folder(temporary.path())?;
    // A folder cannot be renamed over a full one, so the old one steps aside first.
    let aside = parent.join(format!(".{}.old", path.file_name().unwrap_or_default().to_string_lossy()));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Error::io("remove", &aside))?;
    }
    if path.exists() {
        fs::rename(path, &aside).map_err(Error::io("rename", path))?;
    }
    if let Err(error) = fs::rename(temporary.path(), path) {
        if aside.exists() {
            fs::rename(&aside, path).map_err(Error::io("put back", path))?;
        }
        return Err(Error::io("rename to", path)(error).into());
    }
    // It has moved away, so there is nothing left to remove.
    let _ = temporary.keep();
    sync_folder(parent)?;
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Error::io("remove", &aside))?;
    }
    Ok(())
}

fn parent(path: &Path) -> Result<&Path> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    Ok(folder)
}

/// After a rename the folder itself must reach the disk, or a power cut may undo the rename.
fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("flush", folder))
}

/// A temporary file in `folder` with the permissions of an ordinary file: temporary files are made
/// private otherwise, and artifacts are for everybody whom the umask lets read them.
///
/// # Errors
/// When the file cannot be created.
pub fn temporary_file(folder: &Path) -> Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(Error::io("create a file in", folder))
}

pub(crate) fn temporary_folder(folder: &Path) -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder.tempdir_in(folder).map_err(Error::io("create a folder in", folder))
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
        let names: Vec<_> = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["b"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
