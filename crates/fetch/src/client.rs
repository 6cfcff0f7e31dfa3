//! HTTP requests: timeouts, authorisation and retries.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use midashi_config::hide_secrets;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Timeout};

use crate::error::{BadCertificates, Error, Result};
use crate::redirect::joined;
use crate::rules::Rules;
use crate::shown_url::ShownUrl;

/// The largest number of redirects to a file.
const MAX_REDIRECTS: usize = 10;

/// Timeouts and retries.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for the next byte of a response.
    pub read_timeout: Duration,
    /// Number of retries after an attempt that received no new byte.
    pub retries: u32,
    /// The wait before the first retry. It doubles with each retry.
    pub backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect_timeout: seconds(15), read_timeout: seconds(30), retries: 4, backoff: seconds(1) }
    }
}

/// An HTTP client.
#[derive(Debug)]
pub struct Client {
    /// The error is kept until a request is made: local sources need no certificates.
    agent: Result<Agent, BadCertificates>,
    policy: RetryPolicy,
    hub: String,
    token: Option<String>,
    rules: Rules,
}

impl Client {
    /// A client that sends `token` only to URLs below `hub`.
    pub fn new(policy: RetryPolicy, hub: &str, token: Option<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(policy.connect_timeout))
            .timeout_per_read(Some(policy.read_timeout))
            .timeout_per_write(Some(policy.read_timeout))
            // Ranges and digests refer to the file and not to a compressed form of it.
            .accept_encoding("identity")
            .user_agent(concat!("midashi/", env!("CARGO_PKG_VERSION")));
        let agent = certificates_of_the_environment().map(|roots| {
            let config = match roots {
                Some(roots) => config.tls_config(TlsConfig::builder().root_certs(roots).build()),
                None => config,
            };
            config.build().new_agent()
        });
        Self { agent, policy, hub: format!("{hub}/"), token, rules: Rules::default() }
    }

    /// The same client with other rules than the default ones.
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// What may be downloaded.
    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    fn agent(&self) -> Result<&Agent> {
        Ok(self.agent.as_ref().map_err(Clone::clone)?)
    }

    /// Sends a GET request. Redirects are followed, without the token, and each under the same rules.
    ///
    /// # Errors
    /// When there is no response, or a URL is not allowed. A response of any status is not an error.
    pub(crate) fn get(&self, url: &str, headers: &[(&str, String)]) -> Result<Response<Body>> {
        let (mut place, mut authorization) = (url.to_owned(), self.authorization(url));
        for _ in 0..=MAX_REDIRECTS {
            self.rules.check_protocol(&place)?;
            let request = self.agent()?.get(&place).config().max_redirects(0).max_redirects_will_error(false);
            let mut request = request.build();
            for (name, value) in authorization.iter().chain(headers) {
                request = request.header(*name, value);
            }
            let response = request.call().map_err(|error| self.explain(&place, error))?;
            let target = header(&response, "location").filter(|_| response.status().is_redirection());
            let Some(target) = target else { return Ok(response) };
            (place, authorization) = (joined(&place, target), None);
        }
        Err(Error::BadUrl { url: url.into(), reason: "too many redirects".to_owned() })
    }

    /// Sends a HEAD request. Redirects are not followed.
    ///
    /// # Errors
    /// When there is no response. A response of any status is not an error.
    pub(crate) fn head(&self, url: &str) -> Result<Response<Body>> {
        self.rules.check_protocol(url)?;
        let request = self.agent()?.head(url).config().max_redirects(0).max_redirects_will_error(false);
        let mut request = request.build();
        if let Some((name, value)) = self.authorization(url) {
            request = request.header(name, value);
        }
        request.call().map_err(|error| self.explain(url, error))
    }

    /// Repeats `attempt` until it succeeds, fails permanently, or has used all retries without receiving a new byte.
    ///
    /// # Errors
    /// The last failure.
    pub(crate) fn with_retries<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let (mut failures, mut furthest) = (0, 0);
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // A server that was never reached is reported at once. A server that was lost may come back.
            let was_reached = furthest > 0 && matches!(error, Error::Unreachable { .. });
            if !error.is_transient() && !was_reached {
                return Err(error);
            }
            if let Error::BrokenOff { received, .. } = error
                && received > furthest
            {
                (failures, furthest) = (0, received);
            }
            if failures == self.policy.retries {
                return Err(error);
            }
            midashi_stage::errln!("  {error}; trying again");
            thread::sleep(self.policy.backoff * 2_u32.saturating_pow(failures));
            failures += 1;
        }
    }

    /// The error for a failure to read the body.
    pub(crate) fn broken_off(&self, url: &str, received: u64, error: std::io::Error) -> Error {
        Error::BrokenOff { url: url.into(), received, reason: self.reason(&error.into()) }
    }

    fn authorization(&self, url: &str) -> Option<(&'static str, String)> {
        let token = self.token.as_ref().filter(|_| url.starts_with(&self.hub))?;
        Some(("Authorization", format!("Bearer {token}")))
    }

    /// The error for a failure before the response's headers.
    fn explain(&self, url: &str, error: ureq::Error) -> Error {
        let (url, reason) = (ShownUrl::from(url), self.reason(&error));
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Error::BadUrl { url, reason },
            ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
                Error::BrokenOff { url, received: 0, reason }
            }
            ureq::Error::Io(error) if is_lost_connection(&error) => {
                Error::BrokenOff { url, received: 0, reason }
            }
            _ => Error::Unreachable { url, reason },
        }
    }

    fn reason(&self, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
                format!("the server was silent for {:?}", self.policy.read_timeout)
            }
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                format!("no connection within {:?}", self.policy.connect_timeout)
            }
            // Some name a URL.
            other => hide_secrets(&other.to_string()),
        }
    }
}

/// The error for an HTTP status; none for a success or a redirect.
pub(crate) fn status_error(url: &str, status: u16) -> Option<Error> {
    let url = ShownUrl::from(url);
    match status {
        200..=399 => None,
        401 | 403 => Some(Error::Denied { url, status }),
        404 | 410 => Some(Error::NotFound { url, status }),
        _ => Some(Error::Status { url, status }),
    }
}

/// The value of a header, if it exists and is text.
pub(crate) fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn is_lost_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// The root certificates in `SSL_CERT_FILE`, which networks with an inspecting proxy set for all programs. None selects
/// `ureq`'s own (Mozilla's list).
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
