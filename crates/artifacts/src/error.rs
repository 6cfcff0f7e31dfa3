//! The errors of artifacts: each message names the file, what was found and what to do.

use std::path::PathBuf;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an artifact cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written, or is missing.
    #[error(transparent)]
    Stage(#[from] midashi_stage::Error),
    /// An artifact does not follow its schema.
    #[error("{}: {message}; run `make {stage}` again to remake it", path.display())]
    BadArtifact {
        /// The artifact.
        path: PathBuf,
        /// The stage that makes it.
        stage: &'static str,
        /// What was found and what was expected.
        message: String,
    },
    /// A hidden state is too large for the precision in which it is to be stored.
    #[error("a hidden state is {value}, more than float16 holds; set train.features.precision = \"f32\"")]
    BeyondFloat16 {
        /// The hidden state.
        value: f32,
        /// Its place among the numbers.
        at: usize,
    },
}
