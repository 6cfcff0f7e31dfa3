//! SHA-256 of files and folders, stored so that an unchanged gigabyte is not read again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::atomic;
use crate::error::{Error, Result};
use crate::folder::entries;

/// SHA-256 of bytes, as 64 hexadecimal digits.
pub fn sha256_of_bytes(bytes: &[u8]) -> String {
    hexadecimal(Sha256::digest(bytes))
}

/// Digests of files, each valid as long as the file's size and modification time stay the same.
#[derive(Default)]
pub struct DigestMemory {
    store: PathBuf,
    known: BTreeMap<String, Known>,
    changed: bool,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct Known {
    bytes: u64,
    modified_nanoseconds: u128,
    sha256: String,
}

impl DigestMemory {
    /// Opens the digests in the file `store`; a missing or unreadable file only costs time.
    pub fn open(store: PathBuf) -> Self {
        let known = fs::read(&store).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { store, known: known.unwrap_or_default(), changed: false }
    }

    /// SHA-256 of a file; of a folder, that of the sorted list of its files' relative paths and digests.
    ///
    /// # Errors
    /// When the file, or a file of the folder, cannot be read.
    pub fn of(&mut self, path: &Path) -> Result<String> {
        let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
        if metadata.is_dir() {
            return self.of_folder(path);
        }
        let modified = metadata.modified().map_err(Error::io("read", path))?;
        let modified_nanoseconds =
            modified.duration_since(UNIX_EPOCH).map(|time| time.as_nanos()).unwrap_or(0);
        let key = fs::canonicalize(path).map_err(Error::io("read", path))?.display().to_string();
        if let Some(known) = self.known.get(&key)
            && known.bytes == metadata.len()
            && known.modified_nanoseconds == modified_nanoseconds
        {
            return Ok(known.sha256.clone());
        }
        let sha256 = digest_file(path)?;
        let known = Known { bytes: metadata.len(), modified_nanoseconds, sha256: sha256.clone() };
        self.known.insert(key, known);
        self.changed = true;
        Ok(sha256)
    }

    /// Adds the digests of another run that are unknown here. A digest of a file in the run's folder `theirs`
    /// is taken for the file of the same name in `ours`; if that is another file, size or time differ.
    ///
    /// # Errors
    /// When one of the folders does not exist.
    pub fn learn(&mut self, other: Self, theirs: &Path, ours: &Path) -> Result<()> {
        let canonical = |folder: &Path| fs::canonicalize(folder).map_err(Error::io("read", folder));
        let (theirs, ours) = (canonical(theirs)?, canonical(ours)?);
        for (path, known) in other.known {
            let path = match Path::new(&path).strip_prefix(&theirs) {
                Ok(inside) => ours.join(inside).display().to_string(),
                Err(_) => path,
            };
            if let Entry::Vacant(unknown) = self.known.entry(path) {
                unknown.insert(known);
                self.changed = true;
            }
        }
        Ok(())
    }

    /// Whether a digest was added since the last save.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// Writes the digests back if one was added.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&mut self) -> Result<()> {
        if self.changed {
            let text = serde_json::to_vec(&self.known).map_err(Error::encode(&self.store))?;
            atomic::write_bytes(&self.store, &text)?;
            self.changed = false;
        }
        Ok(())
    }

    fn of_folder(&mut self, folder: &Path) -> Result<String> {
        let mut files = Vec::new();
        list_files(folder, &mut files)?;
        files.sort();
        let mut listing = String::new();
        for path in files {
            // A link to a file is read (the Hugging Face cache is made of such links). A link to a folder may
            // be circular and a pipe may never end: they are listed but not read.
            let content = if path.is_file() { self.of(&path)? } else { "not a file".to_owned() };
            let relative = path.strip_prefix(folder).unwrap_or(&path);
            listing.push_str(&format!("{content}  {}\n", relative.display()));
        }
        Ok(sha256_of_bytes(listing.as_bytes()))
    }
}

/// Everything below `folder` that is not a folder itself.
fn list_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in entries(folder)? {
        if entry.file_type().map_err(Error::io("list", folder))?.is_dir() {
            list_files(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn digest_file(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if read == 0 {
            return Ok(hexadecimal(hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

fn hexadecimal(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
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
    fn a_changed_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        let mut memory = DigestMemory::open(folder.path().join("memory"));
        fs::write(&file, "one").unwrap();
        let one = memory.of(&file).unwrap();
        fs::write(&file, "three").unwrap();
        let three = memory.of(&file).unwrap();
        assert_ne!(one, three);
        memory.save().unwrap();
        let mut again = DigestMemory::open(folder.path().join("memory"));
        assert_eq!(again.of(&file).unwrap(), three);
        assert!(!again.is_changed(), "nothing was read again");
    }

    #[test]
    fn a_renamed_file_changes_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("in");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("a"), "text").unwrap();
        let mut memory = DigestMemory::open(folder.path().join("memory"));
        let before = memory.of(&inside).unwrap();
        fs::rename(inside.join("a"), inside.join("b")).unwrap();
        assert_ne!(memory.of(&inside).unwrap(), before);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_back_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("in");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("a"), "text").unwrap();
        std::os::unix::fs::symlink(&inside, inside.join("again")).unwrap();
        std::os::unix::fs::symlink("nowhere", inside.join("dangling")).unwrap();
        std::os::unix::fs::symlink("a", inside.join("link")).unwrap();
        let mut memory = DigestMemory::open(folder.path().join("memory"));
        let before = memory.of(&inside).unwrap();
        fs::write(inside.join("a"), "other").unwrap();
        assert_ne!(memory.of(&inside).unwrap(), before, "a link to a file is read");
    }
}
