//! A bound on what an archive unpacks to. A few kilobytes can unpack to any size.

use std::io::{self, Read};

/// The end of messages about archives that cannot be read.
pub const BROKEN: &str = "broken, or not a .tar.gz, .tar.zst, .tar or .zip archive; if Midashi downloaded it, remove it and \
     fetch it again, else replace it, or set corpus.source to a folder";

/// A reader that fails after so many bytes.
pub struct Metered<R> {
    inner: R,
    most: u64,
    left: u64,
}

/// Why reading stopped: not because the archive is broken.
#[derive(Debug)]
struct TooLarge(String);

impl std::fmt::Display for TooLarge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for TooLarge {}

impl<R: Read> Metered<R> {
    /// A reader of at most `most` bytes.
    pub fn new(inner: R, most: u64) -> Self {
        Self { inner, most, left: most }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(TooLarge(too_large(self.most)))),
        }
        Ok(read)
    }
}

/// The message about an archive that unpacks to more than `most` bytes.
pub fn too_large(most: u64) -> String {
    format!(
        "the archive unpacks to more than {most} bytes; leave out files that are no texts, or raise \
         corpus.limits.unpacked_bytes"
    )
}

/// The error of reading an archive: it is broken, unless it is too large.
pub fn failed(error: io::Error) -> anyhow::Error {
    if error.get_ref().is_some_and(|inner| inner.is::<TooLarge>()) {
        return anyhow::Error::new(error);
    }
    anyhow::Error::new(error).context(BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_stops_behind_the_bound_and_says_which() {
        let read = |most| io::copy(&mut Metered::new(io::repeat(0).take(1000), most), &mut io::sink());
        assert_eq!(read(1000).unwrap(), 1000);
        let message = format!("{:#}", failed(read(999).unwrap_err()));
        assert!(message.starts_with("the archive unpacks to more than 999 bytes"), "{message}");
        assert!(!message.contains("broken"), "{message}");
        assert!(format!("{:#}", failed(io::Error::other("cut"))).starts_with("broken, or not"));
    }
}
