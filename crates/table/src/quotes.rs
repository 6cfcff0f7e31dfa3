//! Where the records of a CSV file begin, and whether the last quote is closed.
//!
//! The `csv` crate parses the records, but it counts only line feeds as line ends, and it takes the rest of the file as
//! one field if a quote is not closed. This reader sits before it and watches the same bytes.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// The lines at which records begin, from 1, in the order of the file. The parser takes one with each record.
pub(crate) type RecordLines = Arc<Mutex<VecDeque<u64>>>;

/// Watches the bytes of a CSV file.
pub(crate) struct QuoteWatch<R> {
    inner: R,
    delimiter: u8,
    largest_row: usize,
    state: State,
    line: u64,
    after_carriage_return: bool,
    quote_line: u64,
    record_bytes: usize,
    record_line: u64,
    lines: RecordLines,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    RecordStart,
    FieldStart,
    Unquoted,
    Quoted,
    /// After a quote inside a quoted field: the field's end, or the first of two quotes.
    QuoteInQuoted,
}

impl<R: Read> QuoteWatch<R> {
    /// Watches `inner`. A row longer than `largest_row` bytes is an error.
    pub fn new(inner: R, delimiter: u8, largest_row: usize) -> (Self, RecordLines) {
        let lines = RecordLines::default();
        let watch = Self {
            inner,
            delimiter,
            largest_row,
            state: State::RecordStart,
            line: 1,
            after_carriage_return: false,
            quote_line: 0,
            record_bytes: 0,
            record_line: 1,
            lines: lines.clone(),
        };
        (watch, lines)
    }

    fn watch(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut begun = Vec::new();
        for &byte in bytes {
            let ends_line = match byte {
                b'\n' => !self.after_carriage_return,
                b'\r' => true,
                _ => false,
            };
            self.after_carriage_return = byte == b'\r';
            if self.state == State::RecordStart && byte != b'\n' && byte != b'\r' {
                begun.push(self.line);
                (self.record_line, self.record_bytes) = (self.line, 0);
            }
            self.record_bytes += 1;
            self.state = self.next_state(byte);
            if self.state == State::Quoted && byte == b'"' && self.quote_line == 0 {
                self.quote_line = self.line;
            } else if self.state != State::Quoted && self.state != State::QuoteInQuoted {
                self.quote_line = 0;
            }
            self.line += u64::from(ends_line);
        }
        if self.record_bytes > self.largest_row && self.state != State::RecordStart {
            return Err(self.too_long());
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend(begun);
        Ok(())
    }

    fn next_state(&self, byte: u8) -> State {
        match (self.state, byte) {
            (State::Quoted, b'"') => State::QuoteInQuoted,
            (State::Quoted, _) => State::Quoted,
            (State::QuoteInQuoted | State::RecordStart | State::FieldStart, b'"') => State::Quoted,
            (_, b'\n' | b'\r') => State::RecordStart,
            (_, byte) if byte == self.delimiter => State::FieldStart,
            _ => State::Unquoted,
        }
    }

    fn too_long(&self) -> io::Error {
        let cause = match self.state {
            State::Quoted => format!("; the quote in line {} is perhaps not closed", self.quote_line),
            _ => String::new(),
        };
        io::Error::other(format!(
            "the row that begins in line {} is longer than {} MiB{cause}",
            self.record_line,
            self.largest_row >> 20
        ))
    }
}

impl<R: Read> Read for QuoteWatch<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.watch(&buffer[..read])?;
        if read == 0 && !buffer.is_empty() && self.state == State::Quoted {
            return Err(io::Error::other(format!(
                "the quote in line {} is not closed; expected another quote at the end of the field (a quote \
                 inside a quoted field is written twice)",
                self.quote_line
            )));
        }
        Ok(read)
    }
}
