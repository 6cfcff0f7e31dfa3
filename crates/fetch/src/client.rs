//! Requests: time limits, whom the token is shown to, and how often a failure is tried again.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Timeout};

use crate::{BadCertificates, Error, Result};

/// How long to wait and how often to try.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For a connection to come about.
    pub connect: Duration,
    /// For the next byte of an answer.
    pub silence: Duration,
    /// Tries after a failure that brought no new byte.
    pub retries: u32,
    /// Pause before the first new try; it doubles with each.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(15), silence: seconds(30), retries: 4, pause: seconds(1) }
    }
}

/// Makes requests.
#[derive(Debug)]
pub struct Client {
    /// Without certificates nothing can be asked for; what is on this machine needs none.
    agent: Result<Agent, BadCertificates>,
    patience: Patience,
    hub: String,
    token: Option<String>,
}

impl Client {
    /// A client that shows `token` to addresses below `hub` and to no others.
    pub fn new(patience: Patience, hub: &str, token: Option<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(patience.connect))
            .timeout_per_read(Some(patience.silence))
            .timeout_per_write(Some(patience.silence))
            // Ranges and digests are of the file itself, not of a compressed form of it.
            .accept_encoding("identity")
            .user_agent(concat!("midashi/", env!("CARGO_PKG_VERSION")));
        let agent = certificates_of_the_environment().map(|roots| {
            let config = match roots {
                Some(roots) => config.tls_config(TlsConfig::builder().root_certs(roots).build()),
                None => config,
            };
            config.build().new_agent()
        });
        Self { agent, patience, hub: format!("{hub}/"), token }
    }

    fn agent(&self) -> Result<&Agent> {
        Ok(self.agent.as_ref().map_err(Clone::clone)?)
    }

    /// Asks for `url`, redirects followed, but without the token.
    ///
    /// # Errors
    /// When no answer comes; an answer of any status is none.
    pub(crate) fn get(&self, url: &str, headers: &[(&str, String)]) -> Result<Response<Body>> {
        let mut request = self.agent()?.get(url);
        for (name, value) in self.authorization(url).iter().chain(headers) {
            request = request.header(*name, value);
        }
        request.call().map_err(|error| self.explain(url, error))
    }

    /// Asks for the headers of `url` alone, redirects not followed.
    ///
    /// # Errors
    /// When no answer comes; an answer of any status is none.
    pub(crate) fn head(&self, url: &str) -> Result<Response<Body>> {
        let request = self.agent()?.head(url).config().max_redirects(0).max_redirects_will_error(false);
        let request = request.build();
        let request = match self.authorization(url) {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        request.call().map_err(|error| self.explain(url, error))
    }

    /// Tries until it succeeds, fails for good, or has failed too often without a new byte.
    ///
    /// # Errors
    /// The last failure.
    pub(crate) fn persist<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let (mut failures, mut furthest) = (0, 0);
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // A server that cannot be reached at all is reported at once; one that was lost on the
            // way may come back.
            let was_reached = furthest > 0 && matches!(error, Error::Unreachable { .. });
            if !error.is_transient() && !was_reached {
                return Err(error);
            }
            if let Error::BrokenOff { received, .. } = error
                && received > furthest
            {
                (failures, furthest) = (0, received);
            }
            if failures == self.patience.retries {
                return Err(error);
            }
            eprintln!("  {error}; trying again");
            thread::sleep(self.patience.pause * 2_u32.saturating_pow(failures));
            failures += 1;
        }
    }

    /// What a failure to read the body means.
    pub(crate) fn broken_off(&self, url: &str, received: u64, error: std::io::Error) -> Error {
        Error::BrokenOff { url: url.to_owned(), received, reason: self.reason(&error.into()) }
    }

    fn authorization(&self, url: &str) -> Option<(&'static str, String)> {
        let token = self.token.as_ref().filter(|_| url.starts_with(&self.hub))?;
        Some(("Authorization", format!("Bearer {token}")))
    }

    /// A failure before the answer's headers were there.
    fn explain(&self, url: &str, error: ureq::Error) -> Error {
        let (url, reason) = (url.to_owned(), self.reason(&error));
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Error::BadUrl { url, reason },
            ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
                Error::BrokenOff { url, received: 0, reason }
            }
            ureq::Error::Io(error) if is_a_lost_connection(&error) => {
                Error::BrokenOff { url, received: 0, reason }
            }
            _ => Error::Unreachable { url, reason },
        }
    }

    fn reason(&self, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
                format!("the server was silent for {:?}", self.patience.silence)
            }
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                format!("no connection within {:?}", self.patience.connect)
            }
            other => other.to_string(),
        }
    }
}

/// The error that a status stands for; `None` when it is an answer one can work with.
pub(crate) fn refusal(url: &str, status: u16) -> Option<Error> {
    let url = url.to_owned();
    match status {
        200..=399 => None,
        401 | 403 => Some(Error::Denied { url, status }),
        404 | 410 => Some(Error::NotFound { url, status }),
        _ => Some(Error::Status { url, status }),
    }
}

/// A header's value, if it is there and readable.
pub(crate) fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn is_a_lost_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// The roots in `SSL_CERT_FILE`, which networks with an inspecting proxy set for every program;
/// otherwise `ureq`'s own (Mozilla's), which need nothing installed.
fn certificates_of_the_environment() -> Result<Option<RootCerts>, BadCertificates> {
    match std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
        Some(path) => certificates_in(Path::new(&path)).map(Some),
        None => Ok(None),
    }
}

fn certificates_in(path: &Path) -> Result<RootCerts, BadCertificates> {
    let bad = |reason: String| BadCertificates { path: path.to_owned(), reason };
    let bundle = fs::read(path).map_err(|error| bad(format!("cannot read it: {error}")))?;
    let certificates: Vec<_> = parse_pem(&bundle)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(bad("it holds no certificate".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
