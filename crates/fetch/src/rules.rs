//! What may be downloaded: over which protocol, and how much.

use midashi_config::Fetch;

use crate::error::{Error, Result};

/// What may be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether plain `http` is allowed beyond this machine.
    pub allow_http: bool,
    /// Bytes of the largest file.
    pub largest: u64,
}

impl From<&Fetch> for Rules {
    fn from(settings: &Fetch) -> Self {
        const MEGABYTE: u64 = 1_000_000;
        Self { allow_http: settings.allow_http, largest: settings.max_megabytes.saturating_mul(MEGABYTE) }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::from(&Fetch::default())
    }
}

impl Rules {
    /// Checks that a request to `url` is allowed.
    pub(crate) fn check_protocol(&self, url: &str) -> Result<()> {
        let is_plain = url.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("http:"));
        if is_plain && !self.allow_http && !is_this_machine(url) {
            return Err(Error::PlainHttp { url: url.into() });
        }
        Ok(())
    }

    /// Checks that a file of `bytes` may be downloaded.
    pub(crate) fn check_length(&self, url: &str, bytes: u64) -> Result<()> {
        match bytes > self.largest {
            true => Err(Error::TooLarge { url: url.into(), found: bytes, largest: self.largest }),
            false => Ok(()),
        }
    }
}

/// Whether a URL's host is this machine: what is sent to it passes no network.
fn is_this_machine(url: &str) -> bool {
    let Ok(uri) = url.parse::<ureq::http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_unless_it_is_allowed() {
        let rules = Rules::default();
        for url in ["https://host/a", "http://localhost:8000/a", "http://127.0.0.1/a", "http://[::1]:80/a"] {
            assert!(rules.check_protocol(url).is_ok(), "{url}");
        }
        for url in
            ["http://host/a", "HTTP://host/a", "http://127.0.0.1.host/a", "http://localhost@host/a", "http:"]
        {
            assert!(matches!(rules.check_protocol(url), Err(Error::PlainHttp { .. })), "{url}");
            assert!(Rules { allow_http: true, ..rules }.check_protocol(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn the_largest_file_is_the_configured_one() {
        let rules = Rules::from(&Fetch { max_megabytes: 2, ..Fetch::default() });
        assert!(rules.check_length("https://host/a", 2_000_000).is_ok());
        assert!(matches!(rules.check_length("https://host/a", 2_000_001), Err(Error::TooLarge { .. })));
    }
}
