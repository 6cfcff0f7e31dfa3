//! Arrow IPC, files and streams. A file is a stream between its magic and its footer, so both are read from the front.

use std::io::{self, BufReader, Read};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;

use crate::arrow_messages::CheckedMessages;
use crate::batch::Batch;
use crate::decoding::guarded;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::options::ReadOptions;
use crate::reader::Rows;

/// The first bytes of an Arrow IPC file, with their padding.
const FILE_MAGIC: &[u8] = b"ARROW1\0\0";

type Messages = BufReader<CheckedMessages<BufReader<Box<dyn Read + Send>>>>;

/// The rows of an Arrow IPC file or stream.
pub(crate) struct ArrowRows {
    name: String,
    schema: SchemaRef,
    batches: StreamReader<Messages>,
    /// The rest of a batch that is larger than asked for.
    rest: Option<RecordBatch>,
    batch_rows: usize,
    rows: u64,
}

impl ArrowRows {
    pub fn new(input: Input, options: &ReadOptions) -> Result<Self> {
        let name = input.name.clone();
        let before = stream_start(&input.head);
        let mut bytes = BufReader::new(input.into_reader());
        io::copy(&mut bytes.by_ref().take(before), &mut io::sink()).map_err(Error::io(&name, "read"))?;
        let messages = BufReader::new(CheckedMessages::new(bytes, before > 0));
        let batches = guarded(|| StreamReader::try_new(messages, None).map_err(|error| error.to_string()));
        let batches = batches
            .map_err(|reason| Error::content(&name, format!("is broken, or not Arrow IPC: {reason}")))?;
        let schema = batches.schema();
        Ok(Self { name, schema, batches, rest: None, batch_rows: options.batch_rows, rows: 0 })
    }
}

/// The number of bytes before the first message: in a file, the magic and zeros up to a writer's alignment, 8 or 64 bytes.
fn stream_start(head: &[u8]) -> u64 {
    if !head.starts_with(FILE_MAGIC) {
        return 0;
    }
    let zeros = head[FILE_MAGIC.len()..].chunks(8).take_while(|group| *group == [0; 8]).count();
    (FILE_MAGIC.len() + 8 * zeros) as u64
}

impl Rows for ArrowRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let whole = match self.rest.take() {
            Some(rest) => rest,
            None => {
                let batches = &mut self.batches;
                let next =
                    guarded(|| batches.next().transpose().map_err(|error: ArrowError| error.to_string()));
                let next = next.map_err(|reason| {
                    Error::content(&self.name, format!("is broken after row {}: {reason}", self.rows))
                })?;
                let Some(batch) = next else { return Ok(None) };
                batch
            }
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
