//! Arrow IPC, files and streams.

use std::io::{BufReader, Read};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::options::ReadOptions;
use crate::reader::Rows;

/// The first bytes of an Arrow IPC file.
const FILE_MAGIC: &[u8] = b"ARROW1";

/// The rows of an Arrow IPC file or stream.
pub(crate) struct ArrowRows {
    name: String,
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>,
    /// The rest of a batch that is larger than asked for.
    rest: Option<RecordBatch>,
    batch_rows: usize,
    rows: u64,
}

impl ArrowRows {
    pub fn new(input: Input, options: &ReadOptions) -> Result<Self> {
        let name = input.name.clone();
        let broken =
            |error: ArrowError| Error::content(&name, format!("is broken, or not Arrow IPC: {error}"));
        let (schema, batches): (_, Box<dyn Iterator<Item = _> + Send>) = if input.head.starts_with(FILE_MAGIC)
        {
            let reader = FileReader::try_new(BufReader::new(input.into_file()?), None).map_err(broken)?;
            (reader.schema(), Box::new(reader))
        } else {
            let stream: Box<dyn Read + Send> = input.into_reader();
            let reader = StreamReader::try_new(BufReader::new(stream), None).map_err(broken)?;
            (reader.schema(), Box::new(reader))
        };
        Ok(Self { name, schema, batches, rest: None, batch_rows: options.batch_rows, rows: 0 })
    }
}

impl Rows for ArrowRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let whole = match self.rest.take() {
            Some(rest) => rest,
            None => match self.batches.next() {
                None => return Ok(None),
                Some(batch) => batch.map_err(|error| {
                    Error::content(&self.name, format!("is broken after row {}: {error}", self.rows))
                })?,
            },
        };
        let length = whole.num_rows().min(self.batch_rows);
        let rows = whole.slice(0, length);
        if length < whole.num_rows() {
            self.rest = Some(whole.slice(length, whole.num_rows() - length));
        }
        let first = self.rows + 1;
        self.rows += length as u64;
        Ok(Some(Batch { rows, numbers: (first..=self.rows).collect(), bad: Vec::new() }))
    }
}
