//! `SHA256SUMS`: the digests of the files of a folder that a stage writes, in the format of `sha256sum`. The digest of
//! the folder is that of this file, so a reader of one file checks one file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::digest::{SUMS, sha256_of, sha256_of_bytes, sha256_of_files};
use crate::error::{Error, Result};

/// The recorded digests of a folder's files.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    folder: PathBuf,
    /// By path relative to the folder.
    files: BTreeMap<String, String>,
}

impl Sums {
    /// Computes those of the files in `folder`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn compute(folder: &Path) -> Result<Self> {
        let mut files = sha256_of_files(folder)?;
        files.remove(SUMS);
        Ok(Self { folder: folder.to_owned(), files })
    }

    /// Reads the file in `folder`; none if there is none, as in folders of older versions and of other programs.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(SUMS);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let text = String::from_utf8_lossy(&bytes);
        let files = text.lines().filter_map(|line| line.split_once("  "));
        let files = files.map(|(sha256, name)| (name.to_owned(), sha256.to_owned())).collect();
        Ok(Some(Self { folder: folder.to_owned(), files }))
    }

    /// Writes the file. It appears before the folder does.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<()> {
        let path = self.folder.join(SUMS);
        fs::write(&path, self.listing()).map_err(Error::io("write", &path))
    }

    /// The digest of the folder.
    pub fn sha256(&self) -> String {
        sha256_of_bytes(self.listing().as_bytes())
    }

    /// The recorded digest of the file with this path relative to the folder.
    pub fn of(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }

    /// The paths of the files that are different or absent in `other`, or that only `other` has.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let additional = other.files.keys().filter(|name| !self.files.contains_key(*name));
        let names = self.files.keys().chain(additional);
        names.filter(|name| self.files.get(*name) != other.files.get(*name)).map(String::as_str)
    }

    /// Refuses the file with this path if its bytes are not those that were recorded. A file that is not listed was not
    /// written with the folder and is accepted.
    ///
    /// # Errors
    /// When the digest differs or the file cannot be read.
    pub fn check(&self, name: &str) -> Result<()> {
        let Some(expected) = self.of(name) else { return Ok(()) };
        let path = self.folder.join(name);
        let found = sha256_of(&path)?;
        if found == expected {
            return Ok(());
        }
        Err(Error::ChangedFile { path, found, expected: expected.to_owned(), sums: self.folder.join(SUMS) })
    }

    /// Refuses a `folder` with a list if a file of it is not as it is listed. A folder may lack listed files.
    ///
    /// # Errors
    /// When a digest differs or a file cannot be read.
    pub fn check_folder(folder: &Path) -> Result<()> {
        let Some(sums) = Self::read(folder)? else { return Ok(()) };
        sums.files.keys().filter(|name| folder.join(name).is_file()).try_for_each(|name| sums.check(name))
    }

    fn listing(&self) -> String {
        self.files.iter().map(|(name, sha256)| format!("{sha256}  {name}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_the_digest_of_its_list() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "one").unwrap();
        assert_eq!(Sums::read(folder.path()).unwrap(), None);
        let sums = Sums::compute(folder.path()).unwrap();
        sums.write().unwrap();
        assert_eq!(Sums::read(folder.path()).unwrap().as_ref(), Some(&sums));
        assert_eq!(Sums::compute(folder.path()).unwrap(), sums, "the list does not list itself");
        assert_eq!(sha256_of(&folder.path().join(SUMS)).unwrap(), sums.sha256());
        assert_eq!(sha256_of(folder.path()).unwrap(), sums.sha256());
    }

    #[test]
    fn a_changed_file_is_refused_and_an_additional_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "one").unwrap();
        let sums = Sums::compute(folder.path()).unwrap();
        sums.write().unwrap();
        fs::write(folder.path().join("b"), "another program's").unwrap();
        sums.check("a").unwrap();
        sums.check("b").unwrap();
        fs::write(folder.path().join("a"), "two").unwrap();
        let message = sums.check("a").unwrap_err().to_string();
        assert!(message.contains(&sha256_of_bytes(b"two")) && message.contains("SHA256SUMS"), "{message}");
        assert_eq!(Sums::check_folder(folder.path()).unwrap_err().to_string(), message);
        fs::remove_file(folder.path().join("a")).unwrap();
        Sums::check_folder(folder.path()).unwrap();
        let now = Sums::compute(folder.path()).unwrap();
        assert_eq!(sums.differing(&now).collect::<Vec<_>>(), ["a", "b"]);
    }
}
