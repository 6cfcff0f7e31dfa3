//! Downloading one file: resumed after a lost connection, locked against other processes, verified, and renamed into place
//! when it is complete.
//!
//! During the download it is `<name>.part` beside its destination. `<name>.part.version` holds the server's version of the
//! file (ETag, or else the date of its last change), so that a part is never continued with bytes of another version
//! (RFC 9110, section 13.1.5).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use midashi_stage::{Error as FileError, Progress, sha256_of};
use ureq::Body;
use ureq::http::Response;

use crate::client::{Client, header, status_error};
use crate::error::{Error, Result};
use crate::first_bytes::{Unrecognised, recognise};

/// A file to download.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// The file's URL.
    pub url: &'a str,
    /// Its name in messages.
    pub label: &'a str,
    /// Its path on this machine.
    pub destination: &'a Path,
    /// The path of the lock file, the same in all processes that fetch the file.
    pub lock: &'a Path,
    /// Its SHA-256 as 64 hexadecimal digits, if known.
    pub sha256: Option<&'a str>,
    /// Its length in bytes, if known beforehand.
    pub length: Option<u64>,
}

impl Download<'_> {
    /// Fetches the file unless its destination exists. An interrupted download is resumed by the next run.
    ///
    /// # Errors
    /// When the server cannot be reached, lacks the file or sends another one, or the file cannot be written.
    pub fn run(&self, client: &Client) -> Result<()> {
        if self.destination.exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        // Another process may have fetched it while this one waited for the lock.
        if self.destination.exists() {
            return Ok(());
        }
        let started = Instant::now();
        let mut part = Part::open(self.destination, self.sha256.is_some())?;
        if let Err(error) = client.with_retries(|| self.attempt(client, &mut part)) {
            part.remove_if_empty()?;
            return Err(error);
        }
        self.verify(&part)?;
        self.recognise(&part)?;
        let length = part.length;
        part.complete(self.destination)?;
        let (megabytes, seconds) = (length as f64 / 1e6, started.elapsed().as_secs_f64());
        midashi_stage::outln!("  downloaded {} ({megabytes:.1} MB in {seconds:.1} s)", self.label);
        Ok(())
    }

    fn lock(&self) -> Result<File> {
        create_parent(self.lock)?;
        let file = File::create(self.lock).map_err(FileError::io("create", self.lock))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                midashi_stage::outln!("  {}: waiting for another process that is fetching it", self.label);
            }
            Err(TryLockError::Error(error)) => return Err(FileError::io("lock", self.lock)(error).into()),
        }
        file.lock().map_err(FileError::io("lock", self.lock))?;
        Ok(file)
    }

    /// Makes one request for the missing bytes.
    fn attempt(&self, client: &Client, part: &mut Part) -> Result<()> {
        let start = part.length;
        if start > 0 && self.length == Some(start) {
            return Ok(());
        }
        let mut response = client.get(self.url, &range_headers(part))?;
        let total = match response.status().as_u16() {
            200 => {
                part.restart(version_of(&response).as_deref())?;
                self.length.or_else(|| header(&response, "content-length")?.parse().ok())
            }
            206 if ContentRange::of(&response).start == Some(start) => {
                self.length.or(ContentRange::of(&response).total)
            }
            // The range starts at the end of the file: nothing is missing.
            416 if start > 0 && self.length.or(ContentRange::of(&response).total) == Some(start) => {
                return Ok(());
            }
            206 | 416 if start > 0 => {
                part.restart(None)?;
                return Err(self.broken_off(0, "the server cannot continue the partial file, starting again"));
            }
            status => {
                return Err(status_error(self.url, status)
                    .unwrap_or_else(|| Error::Status { url: self.url.into(), status }));
            }
        };
        if let Some(total) = total {
            client.rules().check_length(self.url, total)?;
        }
        self.receive(client, part, &mut response, total)?;
        match total {
            Some(total) if part.length < total => {
                Err(self.broken_off(part.length, &format!("the file has {total}")))
            }
            Some(expected) if part.length > expected => {
                let found = part.length;
                part.remove()?;
                Err(Error::WrongLength { url: self.url.into(), found, expected })
            }
            _ => Ok(()),
        }
    }

    fn receive(
        &self,
        client: &Client,
        part: &mut Part,
        response: &mut Response<Body>,
        total: Option<u64>,
    ) -> Result<()> {
        let missing = total.unwrap_or_default().saturating_sub(part.length);
        let label = match part.length {
            0 => self.label.to_owned(),
            there => format!("{} (continued at {there})", self.label),
        };
        let mut progress = Progress::new(label, missing, "bytes");
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 17];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    part.append(&buffer[..count])?;
                    progress.advance(count as u64);
                    // The server may not have said how long the file is.
                    if let Err(error) = client.rules().check_length(self.url, part.length) {
                        progress.finish();
                        part.remove()?;
                        return Err(error);
                    }
                }
                Err(error) => {
                    progress.finish();
                    return Err(client.broken_off(self.url, part.length, error));
                }
            }
        }
        progress.finish();
        Ok(())
    }

    fn verify(&self, part: &Part) -> Result<()> {
        let Some(expected) = self.sha256 else { return Ok(()) };
        let found = sha256_of(&part.path)?;
        if found.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        part.remove()?;
        Err(Error::WrongChecksum { url: self.url.into(), found, expected: expected.to_owned() })
    }

    /// Without a digest, the first bytes tell whether this is the file or a page in its place.
    fn recognise(&self, part: &Part) -> Result<()> {
        if self.sha256.is_some() {
            return Ok(());
        }
        let Err(Unrecognised { found, expected }) = recognise(&part.path, self.label)? else { return Ok(()) };
        part.remove()?;
        Err(Error::Unrecognised { url: self.url.into(), found, expected })
    }

    fn broken_off(&self, received: u64, reason: &str) -> Error {
        Error::BrokenOff { url: self.url.into(), received, reason: reason.to_owned() }
    }
}

/// Whether a text is a SHA-256: 64 hexadecimal digits.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Creates the folder of `path`.
pub(crate) fn create_parent(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
    }
    Ok(())
}

/// The partial file.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
    version: Option<String>,
}

impl Part {
    /// Opens the partial file of an earlier process. If its version is unknown, it is kept only if the complete file will be
    /// `verified`.
    fn open(destination: &Path, verified: bool) -> Result<Self> {
        create_parent(destination)?;
        let path = with_suffix(destination, ".part");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(FileError::io("create", &path))?;
        let length = file.metadata().map_err(FileError::io("read", &path))?.len();
        let version = fs::read_to_string(with_suffix(&path, ".version")).ok();
        let mut part = Self { path, file, length, version };
        if part.version.is_none() && !verified {
            part.restart(None)?;
        }
        Ok(part)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(FileError::io("write", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Drops the received bytes; the next ones are of `version`.
    fn restart(&mut self, version: Option<&str>) -> Result<()> {
        self.file.set_len(0).map_err(FileError::io("write", &self.path))?;
        self.length = 0;
        self.version = version.map(str::to_owned);
        let note = with_suffix(&self.path, ".version");
        match version {
            Some(version) => fs::write(&note, version).map_err(FileError::io("write", &note))?,
            None => remove_if_exists(&note)?,
        }
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        remove_if_exists(&self.path)?;
        remove_if_exists(&with_suffix(&self.path, ".version"))
    }

    /// Removes the partial file if no byte was received.
    fn remove_if_empty(&self) -> Result<()> {
        if self.length == 0 { self.remove() } else { Ok(()) }
    }

    fn complete(self, destination: &Path) -> Result<()> {
        self.file.sync_all().map_err(FileError::io("flush", &self.path))?;
        fs::rename(&self.path, destination).map_err(FileError::io("rename to", destination))?;
        remove_if_exists(&with_suffix(&self.path, ".version"))
    }
}

/// The headers `Range` and `If-Range`. With the latter, a server whose file has changed sends the whole new file.
fn range_headers(part: &Part) -> Vec<(&'static str, String)> {
    if part.length == 0 {
        return Vec::new();
    }
    let range = ("Range", format!("bytes={}-", part.length));
    let condition = part.version.clone().map(|version| ("If-Range", version));
    std::iter::once(range).chain(condition).collect()
}

/// A version that `If-Range` accepts: a strong ETag, or else the date of the last change.
fn version_of(response: &Response<Body>) -> Option<String> {
    let strong = header(response, "etag").filter(|etag| !etag.starts_with("W/"));
    strong.or_else(|| header(response, "last-modified")).map(str::to_owned)
}

/// `Content-Range: bytes 5-9/10` or `bytes */10` (RFC 9110, section 14.4).
#[derive(Default)]
struct ContentRange {
    start: Option<u64>,
    total: Option<u64>,
}

impl ContentRange {
    fn of(response: &Response<Body>) -> Self {
        let written = header(response, "content-range").and_then(|value| value.strip_prefix("bytes "));
        let Some((range, total)) = written.and_then(|value| value.split_once('/')) else {
            return Self::default();
        };
        let start = range.split_once('-').and_then(|(start, _)| start.trim().parse().ok());
        Self { start, total: total.trim().parse().ok() }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_if_exists(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::io("remove", path)(error).into())
        }
        _ => Ok(()),
    }
}
