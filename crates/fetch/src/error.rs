//! The one error type of this crate: each message names the file, what was found and what to do.

use std::path::PathBuf;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while a file is fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection came about.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The file's address.
        url: String,
        /// Why, as the network layer says.
        reason: String,
    },
    /// A connection was lost or fell silent, and trying again did not help.
    #[error("{url} broke off after {received} bytes: {reason}")]
    BrokenOff {
        /// The file's address.
        url: String,
        /// Bytes of the file that are there by now.
        received: u64,
        /// Why, as the network layer says.
        reason: String,
    },
    /// 404 or 410.
    #[error("{url} is not there ({status}): check its name")]
    NotFound {
        /// The file's address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// 401 or 403.
    #[error(
        "{url} is refused ({status}): check its name; if it is gated or private on the hub, accept its \
         terms there and set HF_TOKEN to a token that may read it"
    )]
    Denied {
        /// The file's address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// Any other answer that is not the file.
    #[error("{url}: the server answered {status}; expected 200 or 206")]
    Status {
        /// The file's address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The configuration or a server names something that is no address of a file.
    #[error("{url} is no usable address: {reason}; expected http://host/path or https://host/path")]
    BadUrl {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The whole file came, but it is another one.
    #[error(
        "{url}: SHA-256 is {found}, expected {expected}; the download was removed: fetch again, or correct \
         the expected digest if the file was replaced on purpose"
    )]
    WrongChecksum {
        /// The file's address.
        url: String,
        /// Digest of what came.
        found: String,
        /// Digest that was expected.
        expected: String,
    },
    /// The server sent more than the file's length.
    #[error("{url}: {found} bytes came, expected {expected}; the download was removed: fetch again")]
    WrongLength {
        /// The file's address.
        url: String,
        /// Bytes that came.
        found: u64,
        /// Bytes that were expected.
        expected: u64,
    },
    /// The endpoint does not speak the hub's protocol.
    #[error("{url}: the answer lacks a usable {header}; expected a Hugging Face hub, check HF_ENDPOINT")]
    NotAHub {
        /// The file's address.
        url: String,
        /// The header that is missing or malformed.
        header: &'static str,
    },
    /// `HF_HUB_OFFLINE` forbids the network and the cache does not help.
    #[error(
        "{id} at revision {revision} is not complete in {} and HF_HUB_OFFLINE is set: unset it, or set \
         HF_HOME to a cache that has it", cache.display()
    )]
    Offline {
        /// The checkpoint's id.
        id: String,
        /// The revision asked for.
        revision: String,
        /// The cache that was searched.
        cache: PathBuf,
    },
    /// `SSL_CERT_FILE` names no usable certificates.
    #[error(transparent)]
    Certificates(#[from] BadCertificates),
    /// A checkpoint comes without weights in a form that can be read.
    #[error(
        "{url} is not there, and neither are model.safetensors and model.safetensors.index.json beside it; \
         expected weights in one of these forms"
    )]
    NoWeights {
        /// Address of the form tried last.
        url: String,
    },
    /// A file of a checkpoint cannot be used.
    #[error("{}: {message}", path.display())]
    BadCheckpoint {
        /// The file or folder.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] midashi_stage::Error),
}

/// `SSL_CERT_FILE` is set to a file that holds no certificates.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "SSL_CERT_FILE is {}: {reason}; expected a file of certificates in PEM form, or unset it to trust \
     Mozilla's list", path.display()
)]
pub struct BadCertificates {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl Error {
    /// Whether the same request may well succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::BrokenOff { .. } => true,
            // Request timeout, too many requests, and everything that is the server's own trouble.
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            _ => false,
        }
    }

    /// Whether the network is the trouble, so that fetching by hand is a way out.
    pub(crate) fn is_of_the_network(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::BrokenOff { .. } | Self::Status { .. })
    }
}
