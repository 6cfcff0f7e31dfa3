//! One text a line.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::sync::Arc;

use arrow::array::{RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::batch::{BadRow, Batch};
use crate::encoding;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::options::{BATCH_BYTES, LARGEST_ROW, ReadOptions};
use crate::reader::Rows;

/// The name of the only column.
pub const TEXT_COLUMN: &str = "text";

/// The lines of an input as rows. An empty line is a row with an empty text.
pub(crate) struct LineRows {
    lines: Lines,
    schema: SchemaRef,
    options: ReadOptions,
}

/// The lines of an input.
pub(crate) struct Lines {
    name: String,
    reader: BufReader<Box<dyn Read + Send>>,
    ends: LineEnds,
    /// Whether the last line ended with a carriage return, so that a line feed after it belongs to it.
    after_return: bool,
    line: Vec<u8>,
    number: u64,
}

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnds {
    /// `\n` or `\r\n`, as JSON Lines has it: a lone `\r` is white space of JSON.
    LineFeed,
    /// Also a lone `\r`.
    Any,
}

impl Lines {
    pub fn new(input: Input, options: &ReadOptions, ends: LineEnds) -> Result<Self> {
        let name = input.name.clone();
        let text = encoding::as_utf8(input.into_reader(), options).map_err(Error::io(&name, "read"))?;
        let reader = BufReader::with_capacity(64 << 10, text);
        Ok(Self { name, reader, ends, after_return: false, line: Vec::new(), number: 0 })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next line with its number, from 1.
    pub fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        self.line.clear();
        let (mut is_there, mut is_ended) = (false, false);
        while !is_ended {
            let bytes = match self.reader.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                bytes => bytes.map_err(Error::io(&self.name, "read"))?,
            };
            if std::mem::take(&mut self.after_return) && bytes.first() == Some(&b'\n') {
                self.reader.consume(1);
                continue;
            }
            if bytes.is_empty() {
                break;
            }
            is_there = true;
            let is_end = |byte: &u8| *byte == b'\n' || *byte == b'\r' && self.ends == LineEnds::Any;
            let end = bytes.iter().position(is_end);
            let length = end.unwrap_or(bytes.len());
            self.line.extend_from_slice(&bytes[..length]);
            if let Some(end) = end {
                self.after_return = bytes[end] == b'\r';
                is_ended = true;
            }
            self.reader.consume(length + usize::from(is_ended));
            if self.line.len() > LARGEST_ROW + 1 {
                let reason = format!(
                    "line {} is longer than {} MiB; expected one row a line",
                    self.number + 1,
                    LARGEST_ROW >> 20
                );
                return Err(Error::content(&self.name, reason));
            }
        }
        if !is_there {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some((self.number, self.line.strip_suffix(b"\r").unwrap_or(&self.line))))
    }
}

impl LineRows {
    pub fn new(input: Input, options: &ReadOptions) -> Result<Self> {
        let schema = Arc::new(Schema::new(vec![Field::new(TEXT_COLUMN, DataType::Utf8, true)]));
        Ok(Self { lines: Lines::new(input, options, LineEnds::Any)?, schema, options: options.clone() })
    }
}

impl Rows for LineRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut texts = StringBuilder::new();
        let (mut numbers, mut bad, mut bytes) = (Vec::new(), Vec::new(), 0);
        while numbers.len() + bad.len() < self.options.batch_rows && bytes < BATCH_BYTES {
            let Some((number, line)) = self.lines.next()? else { break };
            bytes += line.len();
            match std::str::from_utf8(line) {
                Ok(text) => {
                    texts.append_value(text);
                    numbers.push(number);
                }
                Err(error) => {
                    let reason = encoding::explain(line, error, &self.options);
                    bad.push(BadRow { number, line: Some(number), reason });
                }
            }
        }
        if numbers.is_empty() && bad.is_empty() {
            return Ok(None);
        }
        let rows = RecordBatch::try_new(self.schema.clone(), vec![Arc::new(texts.finish())]);
        let rows = rows.map_err(|error| Error::content(self.lines.name(), error))?;
        Ok(Some(Batch { rows, numbers, bad }))
    }
}
