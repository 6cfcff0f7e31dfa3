//! The error type of this crate.

use std::path::PathBuf;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused to read the file.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// The configuration file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The configuration holds a key or a value that does not exist.
    #[error("{origin}: {message}")]
    Invalid {
        /// The file, or the `SET` override, that holds it.
        origin: String,
        /// What was found and what was expected.
        message: String,
    },
}
