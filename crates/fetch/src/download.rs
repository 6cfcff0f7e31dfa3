//! One file from one address: resumed after a break, locked against a second process, verified,
//! and renamed into place only when it is whole.
//!
//! While it comes it is `<name>.part` beside its destination; `<name>.part.version` keeps the
//! server's name for that version of the file (ETag, or else the date of its last change), so
//! that a part is never continued with bytes of another version (RFC 9110, section 13.1.5).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use midashi_stage::{Error as FileError, Progress};
use sha2::{Digest, Sha256};
use ureq::Body;
use ureq::http::Response;

use crate::client::{Client, header, refusal};
use crate::{Error, Result};

/// What to fetch, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// The file's address.
    pub url: &'a str,
    /// Its name for people.
    pub label: &'a str,
    /// Where it lands.
    pub destination: &'a Path,
    /// The lock that all processes fetching it agree on.
    pub lock: &'a Path,
    /// Its SHA-256 as 64 hexadecimal digits, where known.
    pub sha256: Option<&'a str>,
    /// Its length in bytes, where known beforehand.
    pub length: Option<u64>,
}

impl Download<'_> {
    /// Fetches the file unless it is there.
    ///
    /// # Errors
    /// When the server cannot be reached, has no such file or sends another one, or the file cannot
    /// be written. What came of an interrupted download stays for the next time.
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
        if let Err(error) = client.persist(|| self.attempt(client, &mut part)) {
            part.remove_if_empty()?;
            return Err(error);
        }
        self.verify(&part)?;
        let length = part.length;
        part.land(self.destination)?;
        let (megabytes, seconds) = (length as f64 / 1e6, started.elapsed().as_secs_f64());
        println!("  downloaded {} ({megabytes:.1} MB in {seconds:.1} s)", self.label);
        Ok(())
    }

    fn lock(&self) -> Result<File> {
        create_parent(self.lock)?;
        let file = File::create(self.lock).map_err(FileError::io("create", self.lock))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                println!("  {}: waiting for another process that is fetching it", self.label);
            }
            Err(TryLockError::Error(error)) => return Err(FileError::io("lock", self.lock)(error).into()),
        }
        file.lock().map_err(FileError::io("lock", self.lock))?;
        Ok(file)
    }

    /// One request, for what is still missing.
    fn attempt(&self, client: &Client, part: &mut Part) -> Result<()> {
        let asked_from = part.length;
        if asked_from > 0 && self.length == Some(asked_from) {
            return Ok(());
        }
        let mut response = client.get(self.url, &range_headers(part))?;
        let total = match response.status().as_u16() {
            200 => {
                part.restart(version_of(&response).as_deref())?;
                self.length.or(content_length(&response))
            }
            206 if ContentRange::of(&response).start == Some(asked_from) => {
                self.length.or(ContentRange::of(&response).total)
            }
            416 if asked_from > 0 && self.is_whole(asked_from, &response) => return Ok(()),
            206 | 416 if asked_from > 0 => {
                part.restart(None)?;
                return Err(self.broken_off(0, "the server cannot continue what is there, starting anew"));
            }
            status => {
                return Err(refusal(self.url, status)
                    .unwrap_or_else(|| Error::Status { url: self.url.to_owned(), status }));
            }
        };
        self.receive(client, part, &mut response, total)?;
        match total {
            Some(total) if part.length < total => {
                Err(self.broken_off(part.length, &format!("the file has {total}")))
            }
            Some(expected) if part.length > expected => {
                let found = part.length;
                part.remove()?;
                Err(Error::WrongLength { url: self.url.to_owned(), found, expected })
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

    /// 416 to a request from the file's very end: nothing is missing.
    fn is_whole(&self, length: u64, response: &Response<Body>) -> bool {
        self.length.or(ContentRange::of(response).total) == Some(length)
    }

    fn verify(&self, part: &Part) -> Result<()> {
        let Some(expected) = self.sha256 else { return Ok(()) };
        let found = sha256_of(&part.path)?;
        if found.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        part.remove()?;
        Err(Error::WrongChecksum { url: self.url.to_owned(), found, expected: expected.to_owned() })
    }

    fn broken_off(&self, received: u64, reason: &str) -> Error {
        Error::BrokenOff { url: self.url.to_owned(), received, reason: reason.to_owned() }
    }
}

/// SHA-256 of a file's content, as 64 hexadecimal digits.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(FileError::io("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(FileError::io("read", path))? {
            0 => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Makes the folder that `path` will lie in.
pub(crate) fn create_parent(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
    }
    Ok(())
}

/// What has come so far.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
    version: Option<String>,
}

impl Part {
    /// Opens what an earlier process left. Without the server's name for the version it came from,
    /// it is only good if the whole will be `verified`.
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

    /// Forgets what has come; what comes next is of `version`.
    fn restart(&mut self, version: Option<&str>) -> Result<()> {
        self.file.set_len(0).map_err(FileError::io("write", &self.path))?;
        self.length = 0;
        self.version = version.map(str::to_owned);
        let note = with_suffix(&self.path, ".version");
        match version {
            Some(version) => fs::write(&note, version).map_err(FileError::io("write", &note))?,
            None => remove_if_there(&note)?,
        }
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        remove_if_there(&self.path)?;
        remove_if_there(&with_suffix(&self.path, ".version"))
    }

    /// A file that never began to come leaves nothing behind.
    fn remove_if_empty(&self) -> Result<()> {
        if self.length == 0 { self.remove() } else { Ok(()) }
    }

    fn land(self, destination: &Path) -> Result<()> {
        self.file.sync_all().map_err(FileError::io("flush", &self.path))?;
        fs::rename(&self.path, destination).map_err(FileError::io("rename to", destination))?;
        remove_if_there(&with_suffix(&self.path, ".version"))
    }
}

/// `Range`, and `If-Range` so that a server whose file has changed sends all of the new one.
fn range_headers(part: &Part) -> Vec<(&'static str, String)> {
    if part.length == 0 {
        return Vec::new();
    }
    let range = ("Range", format!("bytes={}-", part.length));
    let condition = part.version.clone().map(|version| ("If-Range", version));
    std::iter::once(range).chain(condition).collect()
}

/// What `If-Range` may name: a strong ETag, or else the date of the last change.
fn version_of(response: &Response<Body>) -> Option<String> {
    let strong = header(response, "etag").filter(|etag| !etag.starts_with("W/"));
    strong.or_else(|| header(response, "last-modified")).map(str::to_owned)
}

fn content_length(response: &Response<Body>) -> Option<u64> {
    header(response, "content-length")?.parse().ok()
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

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::io("remove", path)(error).into())
        }
        _ => Ok(()),
    }
}
