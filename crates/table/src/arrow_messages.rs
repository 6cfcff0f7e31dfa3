//! The messages of an Arrow IPC stream, checked before they are decoded.
//!
//! The decoder believes the lengths in a message: it allocates what a compressed buffer claims to hold, and it panics if a
//! buffer lies outside the message. This reader sits before it and checks both. Layout: "Encapsulated message format" and
//! "Compression" of the Arrow columnar format.

use std::io::{self, Read};

use arrow::ipc::{Buffer, RecordBatch, root_as_message};

/// The marker before the length of a message since version 0.15.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The longest description of a message. One of a thousand columns has some hundred kilobytes.
const LONGEST_METADATA: u64 = 256 << 20;

/// The largest buffer after decompression. Texts have 32-bit offsets, but batches are far smaller.
const LARGEST_BUFFER: i64 = 1 << 30;

/// Reads a stream message by message.
pub(crate) struct CheckedMessages<R> {
    inner: R,
    /// Whether a file's footer comes after the last message. A file without it was cut off.
    is_file: bool,
    message: Vec<u8>,
    at: usize,
    ended: bool,
}

/// The last bytes of a file.
const FILE_END: &[u8] = b"ARROW1";

impl<R: Read> CheckedMessages<R> {
    /// Reads `inner`, which is at the start of a message.
    pub fn new(inner: R, is_file: bool) -> Self {
        Self { inner, is_file, message: Vec::new(), at: 0, ended: false }
    }

    /// Reads the next message into `self.message`; an empty one is the end.
    fn fill(&mut self) -> io::Result<()> {
        self.message.clear();
        self.at = 0;
        self.take(4)?;
        if self.message == CONTINUATION {
            self.take(4)?;
        }
        // A stream may end without a marker.
        let length = match self.message.split_last_chunk::<4>() {
            Some((_, length)) => u64::from(u32::from_le_bytes(*length)),
            None if self.message.is_empty() => 0,
            None => return Err(broken("a message is cut off")),
        };
        let start = self.message.len();
        if length == 0 {
            self.ended = true;
            return self.check_end();
        }
        if length > LONGEST_METADATA {
            return Err(broken(format!("a message has a description of {length} bytes")));
        }
        self.take(length)?;
        let message = root_as_message(&self.message[start..])
            .map_err(|error| broken(format!("a message cannot be read: {error}")))?;
        let body =
            u64::try_from(message.bodyLength()).map_err(|_| broken("a message has a negative length"))?;
        let end = self.message.len();
        self.take(body)?;
        if ((self.message.len() - end) as u64) < body {
            return Err(broken("a message is cut off"));
        }
        let message = root_as_message(&self.message[start..end])
            .map_err(|error| broken(format!("a message cannot be read: {error}")))?;
        let batch = message.header_as_record_batch();
        let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
        batch.or(dictionary).map_or(Ok(()), |batch| check(&batch, &self.message[end..]))
    }

    /// Checks the end of a file.
    fn check_end(&mut self) -> io::Result<()> {
        if self.is_file {
            let mut footer = Vec::new();
            self.inner.by_ref().take(LONGEST_METADATA).read_to_end(&mut footer)?;
            if !footer.ends_with(FILE_END) {
                return Err(broken("the file is cut off: it has no footer"));
            }
        }
        Ok(())
    }

    /// Appends at most `length` bytes. Memory grows with the bytes that are there, not with `length`.
    fn take(&mut self, length: u64) -> io::Result<()> {
        self.inner.by_ref().take(length).read_to_end(&mut self.message).map(drop)
    }
}

/// Checks that all buffers lie inside the body, and what the compressed ones claim to hold.
fn check(batch: &RecordBatch<'_>, body: &[u8]) -> io::Result<()> {
    let rows = batch.length();
    if rows < 0 || batch.nodes().iter().flatten().any(|node| node.length() < 0 || node.null_count() < 0) {
        return Err(broken("a batch has a negative number of rows"));
    }
    for buffer in batch.buffers().iter().flatten() {
        let bytes = slice(buffer, body).ok_or_else(|| broken("a buffer lies outside its message"))?;
        if batch.compression().is_some() && !bytes.is_empty() {
            let claimed = bytes.first_chunk::<8>().map(|length| i64::from_le_bytes(*length));
            // -1 marks a buffer that is not compressed.
            if !claimed.is_some_and(|claimed| (-1..=LARGEST_BUFFER).contains(&claimed)) {
                return Err(broken(format!("a buffer claims to hold {} bytes", claimed.unwrap_or_default())));
            }
        }
    }
    Ok(())
}

fn slice<'b>(buffer: &Buffer, body: &'b [u8]) -> Option<&'b [u8]> {
    let start = usize::try_from(buffer.offset()).ok()?;
    let length = usize::try_from(buffer.length()).ok()?;
    body.get(start..start.checked_add(length)?)
}

fn broken(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

impl<R: Read> Read for CheckedMessages<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.message.len() && !self.ended {
            self.fill()?;
        }
        let length = buffer.len().min(self.message.len() - self.at);
        buffer[..length].copy_from_slice(&self.message[self.at..][..length]);
        self.at += length;
        Ok(length)
    }
}
