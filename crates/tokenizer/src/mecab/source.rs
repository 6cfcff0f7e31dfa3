//! Checked access to a file's bytes.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// A file's bytes, read by position.
pub(super) struct Source<'a> {
    pub(super) file: PathBuf,
    pub(super) bytes: &'a [u8],
}

impl<'a> Source<'a> {
    fn slice(&self, at: usize, length: usize) -> Result<&'a [u8]> {
        let slice = at.checked_add(length).and_then(|end| self.bytes.get(at..end));
        slice.ok_or_else(|| {
            self.malformed(format!("byte {at}"), "the end of the file", format!("{length} more bytes"))
        })
    }

    pub(super) fn array<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(at, N)?);
        Ok(array)
    }

    pub(super) fn u16(&self, at: usize) -> Result<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, at: usize) -> Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// A name in a field of fixed length, padded with zeros.
    pub(super) fn name(&self, at: usize, length: usize) -> Result<&'a str> {
        let name = self.slice(at, length)?.split(|&byte| byte == 0).next().unwrap_or_default();
        std::str::from_utf8(name)
            .map_err(|_| self.malformed(format!("byte {at}"), "bytes that are not UTF-8", "a name"))
    }

    /// Fails unless `sound`.
    pub(super) fn check(
        &self,
        sound: bool,
        place: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Result<()> {
        if sound { Ok(()) } else { Err(self.malformed(place, found, expected)) }
    }

    pub(super) fn malformed(
        &self,
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Error {
        Error::Malformed {
            file: self.file.clone(),
            place: place.into(),
            found: found.into(),
            expected: expected.into(),
            advice: "unpack the dictionary's package again",
        }
    }
}
