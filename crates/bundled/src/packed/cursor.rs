//! Reads little-endian values one after another and checks that they are there.

use crate::error::{Result, damaged};

/// A position in the file.
pub(super) struct Cursor<'f> {
    file: &'f [u8],
    at: usize,
}

impl<'f> Cursor<'f> {
    pub(super) fn new(file: &'f [u8]) -> Self {
        Self { file, at: 0 }
    }

    /// Bytes after the position.
    pub(super) fn left(&self) -> usize {
        self.file.len().saturating_sub(self.at)
    }

    /// The position in words, for errors.
    pub(super) fn place(&self) -> String {
        format!("byte {}", self.at)
    }

    /// The next `length` bytes, which are `what`.
    pub(super) fn take(&mut self, length: usize, what: &str) -> Result<&'f [u8]> {
        let taken = self.at.checked_add(length).and_then(|end| self.file.get(self.at..end));
        let Some(taken) = taken else {
            return Err(damaged(
                self.place(),
                format!("{} bytes until the end of the file", self.left()),
                format!("{length} bytes of {what}"),
            ));
        };
        self.at += length;
        Ok(taken)
    }

    /// `count` values of `SIZE` bytes each.
    pub(super) fn array<const SIZE: usize>(&mut self, count: usize, what: &str) -> Result<&'f [[u8; SIZE]]> {
        let length = count.checked_mul(SIZE).ok_or_else(|| {
            damaged(self.place(), format!("{count} {what}"), "no more than the file has bytes for")
        })?;
        Ok(self.take(length, what)?.as_chunks().0)
    }

    fn bytes<const SIZE: usize>(&mut self, what: &str) -> Result<[u8; SIZE]> {
        let place = self.place();
        let taken = self.take(SIZE, what)?;
        taken
            .try_into()
            .map_err(|_| damaged(place, format!("{} bytes", taken.len()), format!("{SIZE} bytes of {what}")))
    }

    pub(super) fn u8(&mut self, what: &str) -> Result<u8> {
        Ok(u8::from_le_bytes(self.bytes(what)?))
    }

    pub(super) fn u16(&mut self, what: &str) -> Result<u16> {
        Ok(u16::from_le_bytes(self.bytes(what)?))
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.bytes(what)?))
    }

    pub(super) fn f32(&mut self, what: &str) -> Result<f32> {
        Ok(f32::from_le_bytes(self.bytes(what)?))
    }

    /// A size or an index of 32 bits, which the format stores with a sign.
    pub(super) fn size(&mut self, what: &str) -> Result<usize> {
        let place = self.place();
        let stored = i32::from_le_bytes(self.bytes(what)?);
        usize::try_from(stored)
            .map_err(|_| damaged(place, format!("{stored} as {what}"), "no negative number"))
    }

    /// A length or an offset of 64 bits.
    pub(super) fn long_size(&mut self, what: &str) -> Result<usize> {
        let place = self.place();
        let stored = u64::from_le_bytes(self.bytes(what)?);
        usize::try_from(stored)
            .map_err(|_| damaged(place, format!("{stored} as {what}"), "no more than the file's length"))
    }
}
