//! The size of a corpus, known before its bytes are read. The digest that tells whether the corpus has changed reads all of them.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use midashi_config::CorpusLimits;

use crate::texts::admission::check_count;

/// Files and folders, and bytes, so far.
struct Weight<'l> {
    limits: &'l CorpusLimits,
    files: u64,
    bytes: u64,
    largest: (u64, PathBuf),
}

/// Checks that `source` is a file or a folder, with at most `corpus.limits.files` files and folders in it and at most
/// `corpus.limits.source_bytes` bytes. Links to files count as the files, as the digest reads them; links to folders do
/// not.
///
/// # Errors
/// When it is something else or more, or cannot be read.
pub fn check(source: &Path, limits: &CorpusLimits) -> Result<()> {
    let cannot_read = || format!("cannot read {}", source.display());
    let metadata = fs::metadata(source).with_context(cannot_read)?;
    let mut weight = Weight { limits, files: 0, bytes: 0, largest: (0, source.to_owned()) };
    if metadata.is_dir() {
        return weight.folder(source).with_context(|| format!("corpus.source, {}", source.display()));
    }
    ensure!(
        metadata.is_file(),
        "corpus.source, {}, is neither a file nor a folder, but a device, a socket or a FIFO; expected a table, an archive \
         or a folder",
        source.display()
    );
    weight.add(source, &metadata)
}

impl Weight<'_> {
    fn folder(&mut self, folder: &Path) -> Result<()> {
        let listed = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = match listed {
            // Whether it is an error depends on corpus.bad_files.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            entries => entries.with_context(|| format!("cannot list {}", folder.display()))?,
        };
        for entry in entries {
            let path = entry.path();
            if entry.file_type().with_context(|| format!("cannot read {}", path.display()))?.is_dir() {
                self.count()?;
                self.folder(&path)?;
            } else {
                // A link may lead nowhere, and a file may have vanished.
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => self.add(&path, &metadata)?,
                    _ => self.count()?,
                }
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<()> {
        self.files += 1;
        check_count(self.files, self.limits)
    }

    fn add(&mut self, path: &Path, metadata: &Metadata) -> Result<()> {
        self.count()?;
        let size = metadata.len();
        self.bytes = self.bytes.saturating_add(size);
        if size > self.largest.0 {
            self.largest = (size, path.to_owned());
        }
        let most = self.limits.source_bytes;
        if self.bytes > most {
            let (size, path) = &self.largest;
            bail!(
                "the corpus has more than {most} bytes, of which {} has {size}; leave out what is no text, or raise \
                 corpus.limits.source_bytes",
                path.display()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(source: &Path, limits: &CorpusLimits) -> String {
        check(source, limits).map_err(|error| format!("{error:#}")).unwrap_err()
    }

    #[test]
    fn a_corpus_has_a_bound_that_is_checked_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/1.txt"), "x").unwrap();
        let limits = CorpusLimits::default();
        check(folder.path(), &limits).unwrap();
        // A terabyte of holes takes no room on the disk, and hours to read.
        let sparse = folder.path().join("a/holes.bin");
        fs::File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        let found = message(folder.path(), &limits);
        assert!(found.contains("holes.bin has 1099511627776"), "{found}");
        assert!(found.ends_with("raise corpus.limits.source_bytes"), "{found}");
        assert!(message(&sparse, &limits).contains("corpus.limits.source_bytes"));
        let few = CorpusLimits { files: 1, source_bytes: 1 << 41, ..limits };
        assert!(message(folder.path(), &few).contains("more than 1 files and folders"));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_corpus() {
        let found = message(Path::new("/dev/zero"), &CorpusLimits::default());
        assert!(found.contains("/dev/zero, is neither a file nor a folder"), "{found}");
    }
}
