//! What is read of a corpus of text files, and the bounds that it must keep.

use anyhow::{Result, ensure};
use midashi_config::CorpusLimits;

/// Which files are read, and how much has been read so far.
#[derive(Debug)]
pub struct Admission<'l> {
    limits: &'l CorpusLimits,
    /// Whether `LICENSE.txt` is a text, for `compat.article`.
    pub licences: bool,
    /// Whether texts are read. Without it, files are only classified.
    pub reads: bool,
    files: u64,
    bytes: u64,
}

impl<'l> Admission<'l> {
    /// Nothing has been read.
    pub fn new(limits: &'l CorpusLimits, licences: bool) -> Self {
        Self { limits, licences, reads: true, files: 0, bytes: 0 }
    }

    /// The bounds.
    pub fn limits(&self) -> &'l CorpusLimits {
        self.limits
    }

    /// Counts a file of any kind, or a folder in a folder.
    ///
    /// # Errors
    /// When there are more than `corpus.limits.files`.
    pub fn file(&mut self) -> Result<()> {
        self.files += 1;
        check_count(self.files, self.limits)
    }

    /// Checks the number of files of an archive that tells it at its start.
    ///
    /// # Errors
    /// When there are more than `corpus.limits.files`.
    pub fn files(&self, count: u64) -> Result<()> {
        let most = self.limits.files;
        ensure!(
            count <= most,
            "the corpus has {count} files, expected at most {most}; leave out those that are no texts, or raise \
             corpus.limits.files"
        );
        Ok(())
    }

    /// Counts a text of `size` bytes before it is read. Returns the reason if it is too large for a text.
    ///
    /// # Errors
    /// When all texts are more than `corpus.limits.total_bytes`.
    pub fn text(&mut self, path: &str, size: u64) -> Result<Option<String>> {
        let CorpusLimits { text_bytes, total_bytes, .. } = *self.limits;
        if size > text_bytes {
            return Ok(Some(format!(
                "has {size} bytes; expected at most {text_bytes} in a text (corpus.limits.text_bytes)"
            )));
        }
        self.bytes = self.bytes.saturating_add(size).saturating_add(path.len() as u64);
        ensure!(
            self.bytes <= total_bytes,
            "with {path}, the texts have {} bytes, expected at most {total_bytes}; they are held in memory; leave texts out, \
             convert the corpus to a table, or raise corpus.limits.total_bytes",
            self.bytes
        );
        Ok(None)
    }
}

/// Checks how many files, and folders in a folder, of a corpus have been found so far.
///
/// # Errors
/// When there are more than `corpus.limits.files`.
pub fn check_count(files: u64, limits: &CorpusLimits) -> Result<()> {
    let most = limits.files;
    ensure!(
        files <= most,
        "the corpus has more than {most} files and folders, each counted as often as links lead to it; leave out those \
         that have no texts, or raise corpus.limits.files"
    );
    Ok(())
}
