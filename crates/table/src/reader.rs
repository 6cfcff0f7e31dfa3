//! A table that is being read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;

use crate::batch::Batch;
use crate::error::Result;
use crate::format::Format;

/// The rows of one format.
pub(crate) trait Rows: Send {
    /// The columns.
    fn schema(&self) -> SchemaRef;

    /// The next rows; none at the end.
    fn next_batch(&mut self) -> Result<Option<Batch>>;

    /// The number of all rows that are read, if the format tells.
    fn total(&self) -> Option<u64> {
        None
    }
}

/// A table that is being read: an iterator of batches. Its memory does not grow with the number of rows.
pub struct Reader {
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) schema: SchemaRef,
    pub(crate) rows: Box<dyn Rows>,
    pub(crate) read: Arc<AtomicU64>,
    pub(crate) size: Option<u64>,
    pub(crate) rows_read: u64,
    pub(crate) ended: bool,
}

impl Reader {
    /// The input's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The format that was given or recognised.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The columns. The metadata is the file's own, such as the features that Hugging Face's `datasets` writes.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The number of all rows that are read, if the format tells.
    pub fn total(&self) -> Option<u64> {
        self.rows.total()
    }

    /// The part of the input that was read, in [0, 1], if the size is known.
    pub fn fraction(&self) -> Option<f64> {
        let (done, all) = match self.rows.total() {
            Some(rows) => (self.rows_read, rows),
            None => (self.read.load(Ordering::Relaxed), self.size?),
        };
        Some(if all == 0 { 1.0 } else { (done as f64 / all as f64).min(1.0) })
    }
}

impl Iterator for Reader {
    type Item = Result<Batch>;

    /// The next batch. Nothing comes after an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.rows.next_batch() {
            Ok(Some(batch)) => {
                self.rows_read += (batch.numbers.len() + batch.bad.len()) as u64;
                Some(Ok(batch))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Reader").field("name", &self.name).field("schema", &self.schema).finish()
    }
}
