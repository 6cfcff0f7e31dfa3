//! Arrow IPC, files and streams. A file is a stream between its magic and its footer, so both are read from the front.

use std::io::{self, BufReader, Read};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;

use crate::arrow_messages::CheckedMessages;
use crate::batch::Batch;
use crate::decoding::guarded;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::reader::Rows;

/// The first bytes of an Arrow IPC file, with their padding.
const FILE_MAGIC: &[u8] = b"ARROW1\0\0";

type Messages = BufReader<CheckedMessages<BufReader<Box<dyn Read + Send>>>>;

/// The rows of an Arrow IPC file or stream, in the batches of its writer.
pub(crate) struct ArrowRows {
    name: String,
    schema: SchemaRef,
    batches: StreamReader<Messages>,
    /// Batches before the next one.
    count: u64,
    /// Their rows.
    rows: u64,
}

impl ArrowRows {
    pub fn new(input: Input) -> Result<Self> {
        let name = input.name.clone();
        let before = stream_start(&input.head);
        let mut bytes = BufReader::new(input.into_reader());
        io::copy(&mut bytes.by_ref().take(before), &mut io::sink()).map_err(Error::io(&name, "read"))?;
        let messages = BufReader::new(CheckedMessages::new(bytes, before > 0));
        let batches = guarded(|| StreamReader::try_new(messages, None).map_err(|error| error.to_string()));
        let batches = batches
            .map_err(|reason| Error::content(&name, format!("is broken, or not Arrow IPC: {reason}")))?;
        let schema = batches.schema();
        Ok(Self { name, schema, batches, count: 0, rows: 0 })
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
        let batches = &mut self.batches;
        let next = guarded(|| batches.next().transpose().map_err(|error: ArrowError| error.to_string()));
        let next = next.map_err(|reason| {
            let Self { name, count, rows, .. } = self;
            Error::content(name, format!("is broken in batch {}, after row {rows}: {reason}", *count + 1))
        })?;
        let Some(rows) = next else { return Ok(None) };
        let first = self.rows + 1;
        self.rows += rows.num_rows() as u64;
        self.count += 1;
        Ok(Some(Batch { rows, numbers: (first..=self.rows).collect(), bad: Vec::new() }))
    }
}
