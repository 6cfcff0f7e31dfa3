//! The errors of a stage: each message names the file, what was found and what to do.

use std::path::{Path, PathBuf};

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a stage cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The operation as a verb: "read", "write", "rename".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] midashi_config::Error),
    /// Another stage works in the run's folder.
    #[error("another stage is at work in {}: wait for it, or choose another run.name", folder.display())]
    Busy {
        /// The run's folder.
        folder: PathBuf,
    },
    /// There is work, and the run's folder may only be read.
    #[error(
        "{} may only be read, and {stage} is not up to date; allow writing, or choose another run.artifacts or run.name",
        folder.display()
    )]
    ReadOnly {
        /// The run's folder.
        folder: PathBuf,
        /// The stage that has work.
        stage: &'static str,
    },
    /// An artifact of an earlier stage is missing.
    #[error("{} is missing: run `make {stage}` first", path.display())]
    MissingArtifact {
        /// Where the artifact should be.
        path: PathBuf,
        /// The stage that makes it.
        stage: &'static str,
    },
    /// An artifact has changed since its stage wrote it.
    #[error(
        "{} is not as {stage} wrote it: SHA-256 is {found}, expected {expected}; run `make {stage}` to make it again",
        path.display()
    )]
    ChangedArtifact {
        /// The artifact, or the file of a folder that differs.
        path: PathBuf,
        /// The stage that made it.
        stage: &'static str,
        /// Its digest, or that there is no such file.
        found: String,
        /// The digest that the stage recorded.
        expected: String,
    },
    /// An artifact is not in the record of the stage that makes it.
    #[error(
        "{} cannot be checked: run.json has no digest of it by {stage}; run `make {stage}` to make it again",
        path.display()
    )]
    UnrecordedArtifact {
        /// The artifact.
        path: PathBuf,
        /// The stage that makes it.
        stage: &'static str,
    },
    /// A file of a folder has changed since the folder was written.
    #[error(
        "{} has changed since it was written: SHA-256 is {found}, expected {expected} as in {}; restore the file, or \
         remove its line there if you changed it on purpose",
        path.display(),
        sums.display()
    )]
    ChangedFile {
        /// The file.
        path: PathBuf,
        /// Its digest.
        found: String,
        /// The recorded digest.
        expected: String,
        /// The file that records it.
        sums: PathBuf,
    },
    /// Content cannot be written in the file's format.
    #[error("cannot write {}: {message}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The writer's reason.
        message: String,
    },
}

impl Error {
    /// For `map_err`: wraps an I/O error with the operation and the file.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// For `map_err`: wraps a writer's error.
    pub fn encode<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> Self {
        let path = path.to_owned();
        move |error| Self::Encode { path: path.clone(), message: error.to_string() }
    }
}

/// The user stopped the work, which can go on. A recipe returns it as it is, not inside another error.
#[derive(Debug, thiserror::Error)]
#[error("interrupted: {0}")]
pub struct Interrupted(pub String);
