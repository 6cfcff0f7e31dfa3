//! Section `[fetch]`: what may be downloaded.

use serde::{Deserialize, Serialize};

/// What `fetch` may download.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fetch {
    /// Whether files may come over plain `http`, which anyone on the way can read and change. Addresses of this machine
    /// (`localhost`, `127.0.0.1`, `[::1]`) always may.
    pub allow_http: bool,
    /// Largest file that is downloaded, in megabytes; at most 1,000,000.
    pub max_megabytes: u64,
}

impl Default for Fetch {
    fn default() -> Self {
        Self { allow_http: false, max_megabytes: 50_000 }
    }
}
