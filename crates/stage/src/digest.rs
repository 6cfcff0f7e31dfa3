//! SHA-256 of files and folders. Every digest is computed from the bytes: size and modification time say nothing about a
//! damaged disk or an archive that was unpacked again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::Digest;

use crate::error::{Error, Result};
use crate::folder::entries;

/// The file with the digests of a folder's files.
pub const SUMS: &str = "SHA256SUMS";

/// SHA-256 of bytes that come in parts.
#[derive(Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest, as 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// SHA-256 of bytes, as 64 hexadecimal digits.
pub fn sha256_of_bytes(bytes: &[u8]) -> String {
    let mut hasher = Sha256::default();
    hasher.update(bytes);
    hasher.finish()
}

/// SHA-256 of a file; of a folder, that of the sorted list of its files' digests and relative paths, as
/// `sha256sum` writes them. [`SUMS`](crate::SUMS), which holds this list, is not in it.
///
/// # Errors
/// When the file, or a file of the folder, cannot be read.
pub fn sha256_of(path: &Path) -> Result<String> {
    let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_dir() {
        return digest_file(path);
    }
    let files = sha256_of_files(path)?;
    let listed = files.iter().filter(|(name, _)| *name != SUMS);
    let lines: String = listed.map(|(name, sha256)| format!("{sha256}  {name}\n")).collect();
    Ok(sha256_of_bytes(lines.as_bytes()))
}

/// SHA-256 of parts of a file, one after the other, each from its first byte to before its last.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_of_parts(path: &Path, parts: &[Range<u64>]) -> Result<String> {
    let mut file = fs::File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Sha256::default();
    for part in parts {
        file.seek(SeekFrom::Start(part.start)).map_err(Error::io("read", path))?;
        let part = (&mut file).take(part.end.saturating_sub(part.start));
        digest_all(part, &mut hasher).map_err(Error::io("read", path))?;
    }
    Ok(hasher.finish())
}

/// SHA-256 of every file below `folder`, by its path relative to the folder. Files are read in parallel.
///
/// # Errors
/// When a file cannot be read.
pub fn sha256_of_files(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut paths = Vec::new();
    list_files(folder, &mut paths)?;
    let files = distinct(&paths)?;
    let digests: Vec<String> = files.par_iter().map(|file| digest_entry(file[0])).collect::<Result<_>>()?;
    let named = files.iter().zip(digests).flat_map(|(names, digest)| {
        names.iter().map(move |path| {
            let relative = path.strip_prefix(folder).unwrap_or(path);
            (relative.display().to_string(), digest.clone())
        })
    });
    Ok(named.collect())
}

/// A link to a file is read (the Hugging Face cache is made of such links). A link to a folder may be circular and
/// a pipe may never end: they are listed but not read. So is what may not be read: whether that matters is known to the
/// reader of the folder.
fn digest_entry(path: &Path) -> Result<String> {
    if !path.is_file() {
        return Ok("not a file".to_owned());
    }
    match digest_file(path) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            Ok("may not be read".to_owned())
        }
        digest => digest,
    }
}

/// The names of each file. Hard links are several names of one file, which is read once.
fn distinct(paths: &[PathBuf]) -> Result<Vec<Vec<&Path>>> {
    let mut files: BTreeMap<Identity, Vec<&Path>> = BTreeMap::new();
    for (number, path) in paths.iter().enumerate() {
        files.entry(identity(path, number)?).or_default().push(path);
    }
    Ok(files.into_values().collect())
}

/// Device and inode where the system has them.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path, _number: usize) -> Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_path: &Path, number: usize) -> Result<Identity> {
    Ok((0, number as u64))
}

/// Everything below `folder` that is not a folder itself.
fn list_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = match entries(folder) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            found.push(folder.to_owned());
            return Ok(());
        }
        entries => entries?,
    };
    for entry in entries {
        if entry.file_type().map_err(Error::io("list", folder))?.is_dir() {
            list_files(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn digest_file(path: &Path) -> Result<String> {
    let file = fs::File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Sha256::default();
    digest_all(file, &mut hasher).map_err(Error::io("read", path))?;
    Ok(hasher.finish())
}

fn digest_all(mut bytes: impl Read, hasher: &mut Sha256) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = bytes.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        hasher.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_that_of_the_standard() {
        // FIPS 180-4, example "abc".
        assert_eq!(
            sha256_of_bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn another_content_of_the_same_size_and_time_has_another_digest() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        let digest = |text: &str| {
            fs::write(&file, text).unwrap();
            fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
            sha256_of(&file).unwrap()
        };
        assert_eq!(digest("one"), sha256_of_bytes(b"one"));
        assert_eq!(digest("two"), sha256_of_bytes(b"two"));
    }

    #[test]
    fn parts_are_those_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "0123456789").unwrap();
        assert_eq!(sha256_of_parts(&file, &[7..9, 0..2]).unwrap(), sha256_of_bytes(b"7801"));
        assert_eq!(sha256_of_parts(&file, &[8..9, 9..20]).unwrap(), sha256_of_bytes(b"89"));
    }

    #[test]
    fn a_renamed_file_changes_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "text").unwrap();
        let before = sha256_of(folder.path()).unwrap();
        fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
        assert_ne!(sha256_of(folder.path()).unwrap(), before);
    }

    #[test]
    fn every_name_of_a_hard_link_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("a"), "text").unwrap();
        fs::write(folder.path().join("b"), "text").unwrap();
        fs::hard_link(folder.path().join("a"), folder.path().join("in/c")).unwrap();
        let files = sha256_of_files(folder.path()).unwrap();
        let text = sha256_of_bytes(b"text");
        let expected = ["a", "b", "in/c"].map(|name| (name.to_owned(), text.clone()));
        assert_eq!(files, BTreeMap::from(expected));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_back_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path();
        fs::write(inside.join("a"), "text").unwrap();
        std::os::unix::fs::symlink(inside, inside.join("again")).unwrap();
        std::os::unix::fs::symlink("nowhere", inside.join("dangling")).unwrap();
        std::os::unix::fs::symlink("a", inside.join("link")).unwrap();
        let files = sha256_of_files(inside).unwrap();
        assert_eq!(files["link"], sha256_of_bytes(b"text"), "a link to a file is read");
        assert_eq!((files["again"].as_str(), files["dangling"].as_str()), ("not a file", "not a file"));
    }
}
