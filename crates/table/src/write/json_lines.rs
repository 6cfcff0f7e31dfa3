//! JSON Lines: one object a row, with nulls written out.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::json::writer::{LineDelimited, WriterBuilder};

use super::failure::Failure;
use super::times::with_times_as_text;

/// The rows so far.
pub(crate) struct JsonLinesWriter<W: Write> {
    inner: W,
}

impl<W: Write> JsonLinesWriter<W> {
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let mut lines = WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, LineDelimited>(Vec::with_capacity(1 << 16));
        lines.write(&*with_times_as_text(rows)?)?;
        lines.finish()?;
        Ok(self.inner.write_all(&lines.into_inner())?)
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.inner.flush()?)
    }

    pub fn finish(self) -> Result<W, Failure> {
        Ok(self.inner)
    }
}
