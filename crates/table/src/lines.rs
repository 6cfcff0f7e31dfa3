//! One text a line.

use std::io::{BufRead, BufReader, Read};
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

/// The lines of an input, which end with a line feed or a carriage return and a line feed.
pub(crate) struct Lines {
    name: String,
    reader: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    pub fn new(input: Input, options: &ReadOptions) -> Result<Self> {
        let (name, head) = (input.name.clone(), input.head.clone());
        let text =
            encoding::as_utf8(input.into_reader(), &head, options).map_err(Error::io(&name, "read"))?;
        Ok(Self { name, reader: BufReader::with_capacity(64 << 10, text), line: Vec::new(), number: 0 })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next line with its number, from 1.
    pub fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        self.line.clear();
        let limit = LARGEST_ROW as u64 + 2;
        let mut limited = self.reader.by_ref().take(limit);
        let read = limited.read_until(b'\n', &mut self.line).map_err(Error::io(&self.name, "read"))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read as u64 == limit && self.line.last() != Some(&b'\n') {
            let reason = format!(
                "line {} is longer than {} MiB; expected one row a line",
                self.number,
                LARGEST_ROW >> 20
            );
            return Err(Error::content(&self.name, reason));
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        Ok(Some((self.number, line.strip_suffix(b"\r").unwrap_or(line))))
    }
}

impl LineRows {
    pub fn new(input: Input, options: &ReadOptions) -> Result<Self> {
        let schema = Arc::new(Schema::new(vec![Field::new(TEXT_COLUMN, DataType::Utf8, true)]));
        Ok(Self { lines: Lines::new(input, options)?, schema, options: options.clone() })
    }
}

impl Rows for LineRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut texts = StringBuilder::new();
        let (mut numbers, mut bad, mut bytes) = (Vec::new(), Vec::new(), 0);
        while numbers.len() < self.options.batch_rows && bytes < BATCH_BYTES {
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
