//! The error type of this crate.

use std::path::{Path, PathBuf};

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a packed encoder cannot be turned into a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file does not follow its format.
    #[error("{place}: found {found}, expected {expected}")]
    Damaged {
        /// Where in the file: a byte, a piece, a tensor.
        place: String,
        /// What was found there.
        found: String,
        /// What was expected there.
        expected: String,
    },
    /// A file of the checkpoint cannot be written.
    #[error("{}: cannot be written: {source}; check the folder's permissions and free space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`: the file at `path` cannot be written.
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}

/// A place in the file where something else was found than expected.
pub(crate) fn damaged(
    place: impl Into<String>,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> Error {
    Error::Damaged { place: place.into(), found: found.into(), expected: expected.into() }
}
