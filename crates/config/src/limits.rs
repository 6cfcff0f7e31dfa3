//! Section `[corpus.limits]`: what a corpus may cost before it is refused.

use serde::{Deserialize, Serialize};

/// Bounds of a corpus of text files, checked before memory is taken. Each refusal names its key. Raise a key for a larger corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorpusLimits {
    /// Largest text file, in bytes; a larger one is a bad file (see `corpus.bad_files`). At most 1 GiB.
    pub text_bytes: u64,
    /// Bytes of all texts and their names, of tables too. At most 2,147,483,647, which is the largest column of an artifact.
    pub total_bytes: u64,
    /// Files and folders of the corpus, those that hold no texts among them.
    pub files: u64,
    /// Bytes that an archive may unpack to, files that are no texts among them.
    pub unpacked_bytes: u64,
    /// Bytes of the file or of all files in the folder `corpus.source`. All of them are read for the digest that tells whether
    /// the corpus has changed.
    pub source_bytes: u64,
    /// Bytes of an archive's long name or extended header, of which each is held in memory. At most 64 MiB.
    pub header_bytes: u64,
    /// Folders within folders, in a folder of texts.
    pub depth: u64,
}

impl Default for CorpusLimits {
    fn default() -> Self {
        Self {
            text_bytes: 16 << 20,
            total_bytes: 1 << 30,
            files: 1_000_000,
            unpacked_bytes: 8 << 30,
            source_bytes: 32 << 30,
            header_bytes: 1 << 20,
            depth: 32,
        }
    }
}

impl CorpusLimits {
    /// Each key with its value and the largest value that it may have. The bounds without a reason of their own keep sums of
    /// sizes within 64 bits.
    pub(crate) fn bounds(&self) -> [(&'static str, u64, u64); 7] {
        const LARGEST_COLUMN: u64 = i32::MAX as u64;
        const LARGE: u64 = 1 << 50;
        [
            ("text_bytes", self.text_bytes, 1 << 30),
            ("total_bytes", self.total_bytes, LARGEST_COLUMN),
            ("files", self.files, 1 << 32),
            ("unpacked_bytes", self.unpacked_bytes, LARGE),
            ("source_bytes", self.source_bytes, LARGE),
            ("header_bytes", self.header_bytes, 64 << 20),
            ("depth", self.depth, 255),
        ]
    }

    /// Whether the keys that decide which texts are in the corpus have their defaults.
    pub fn keeps_the_same_texts(&self) -> bool {
        self.text_bytes == Self::default().text_bytes
    }
}
