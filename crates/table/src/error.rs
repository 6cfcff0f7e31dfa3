//! Errors of reading and writing tables.

use std::io;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a table cannot be read or written. Every message names the input.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened, read or written.
    #[error("{name}: cannot {doing}: {source}")]
    Io {
        /// The input or output.
        name: String,
        /// What was tried, such as `read`.
        doing: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The input is not what it is taken for.
    #[error("{name}: {reason}")]
    Content {
        /// The input or output.
        name: String,
        /// Place, what was found, what was expected and what to do.
        reason: String,
    },
    /// A column that the settings name or a role needs is not there.
    #[error("{reason}")]
    Column {
        /// What was looked for, the columns that are there and what to do.
        reason: String,
    },
}

impl Error {
    /// The error for a failed operation on `name`.
    pub(crate) fn io(name: &str, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let name = name.to_owned();
        move |source| Self::Io { name, doing, source }
    }

    /// The error for content of `name` that cannot be used.
    pub(crate) fn content(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::Content { name: name.to_owned(), reason: reason.to_string() }
    }
}
