//! Errors. Each message names the file, what was found and what to do.

use std::path::PathBuf;

use crate::shown_url::ShownUrl;

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The file's URL.
        url: ShownUrl,
        /// The network layer's reason.
        reason: String,
    },
    /// A connection was lost or timed out, and retries did not help.
    #[error("{url} broke off after {received} bytes: {reason}")]
    BrokenOff {
        /// The file's URL.
        url: ShownUrl,
        /// Bytes of the file received so far.
        received: u64,
        /// The network layer's reason.
        reason: String,
    },
    /// 404 or 410.
    #[error("{url} is not there ({status}): check its name")]
    NotFound {
        /// The file's URL.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
    },
    /// 401 or 403.
    #[error(
        "{url} is refused ({status}): check its name; if it is gated or private on the hub, accept its \
         terms there and set HF_TOKEN to a token that may read it"
    )]
    Denied {
        /// The file's URL.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
    },
    /// Any other status that is not a success.
    #[error("{url}: the server answered {status}; expected 200 or 206")]
    Status {
        /// The file's URL.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
    },
    /// The configuration or a server names an invalid URL.
    #[error("{url} is no usable address: {reason}; expected http://host/path or https://host/path")]
    BadUrl {
        /// The URL.
        url: ShownUrl,
        /// What is wrong with it.
        reason: String,
    },
    /// The complete file has another digest than expected.
    #[error(
        "{url}: SHA-256 is {found}, expected {expected}; the download was removed: fetch again, or correct \
         the expected digest if the file was replaced on purpose"
    )]
    WrongChecksum {
        /// The file's URL.
        url: ShownUrl,
        /// Digest of the received file.
        found: String,
        /// Expected digest.
        expected: String,
    },
    /// The server sent more bytes than the file has.
    #[error("{url}: received {found} bytes, expected {expected}; the download was removed: fetch again")]
    WrongLength {
        /// The file's URL.
        url: ShownUrl,
        /// Number of received bytes.
        found: u64,
        /// Expected number of bytes.
        expected: u64,
    },
    /// A file would come over plain `http`.
    #[error(
        "{url}: over plain http anyone on the way can read and change the file; use https, or set \
         fetch.allow_http = true"
    )]
    PlainHttp {
        /// The file's URL.
        url: ShownUrl,
    },
    /// A file is larger than is allowed.
    #[error(
        "{url}: the file has {found} bytes or more, and fetch.max_megabytes allows {largest}; raise it if the \
         file is the right one"
    )]
    TooLarge {
        /// The file's URL.
        url: ShownUrl,
        /// Its bytes, or as many as were received.
        found: u64,
        /// The most bytes that are allowed.
        largest: u64,
    },
    /// What was downloaded is another kind of file.
    #[error(
        "{url}: received {found}; expected {expected}; the download was removed: open the address in a browser, log in to the \
         network if it asks for it, and fetch again"
    )]
    Unrecognised {
        /// The file's URL.
        url: ShownUrl,
        /// What came.
        found: String,
        /// What should have come.
        expected: &'static str,
    },
    /// A file is not as it was when it was downloaded.
    #[error(
        "{}: SHA-256 is {found}, but it was {expected} when the file was downloaded; remove the file to fetch it again; {own}",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its digest now.
        found: String,
        /// Its digest then.
        expected: String,
        /// What to do if that was on purpose.
        own: String,
    },
    /// The digest of a download is damaged.
    #[error(
        "{}: expected the SHA-256 with which {} was downloaded, and the file is damaged; remove both to fetch it again",
        record.display(), path.display()
    )]
    BadRecord {
        /// The file that should have the digest.
        record: PathBuf,
        /// The download.
        path: PathBuf,
    },
    /// The endpoint is not a Hugging Face hub.
    #[error("{url}: the answer lacks a usable {header}; expected a Hugging Face hub, check HF_ENDPOINT")]
    NotAHub {
        /// The file's URL.
        url: ShownUrl,
        /// The header that is missing or malformed.
        header: &'static str,
    },
    /// `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` forbids network access and the cache lacks the checkpoint or dataset.
    #[error(
        "{id} at revision {revision} is not complete in {} and HF_HUB_OFFLINE is set (or TRANSFORMERS_OFFLINE): \
         unset it, or set HF_HOME to a cache that has it", cache.display()
    )]
    Offline {
        /// The checkpoint's id.
        id: String,
        /// The requested revision.
        revision: String,
        /// The cache that was searched.
        cache: PathBuf,
    },
    /// `SSL_CERT_FILE` holds no usable certificates.
    #[error(transparent)]
    Certificates(#[from] BadCertificates),
    /// A checkpoint has no weights in a supported form.
    #[error(
        "{url} is not there, and neither are model.safetensors and model.safetensors.index.json beside it; \
         expected weights in one of these forms"
    )]
    NoWeights {
        /// URL of the form tried last.
        url: ShownUrl,
    },
    /// A file of a checkpoint cannot be used.
    #[error("{}: {message}", path.display())]
    BadCheckpoint {
        /// The file or folder.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },
    /// A dataset of the hub is no corpus.
    #[error("{name}: {message}")]
    BadDataset {
        /// Its id and revision.
        name: String,
        /// What was found and what was expected.
        message: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] midashi_stage::Error),
}

/// `SSL_CERT_FILE` names a file without usable certificates.
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
    /// Whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::BrokenOff { .. } => true,
            // Request timeout, too many requests, and server errors.
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            _ => false,
        }
    }

    /// Whether the network failed, so that fetching by hand may help.
    pub(crate) fn is_network_failure(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::BrokenOff { .. } | Self::Status { .. })
    }
}
