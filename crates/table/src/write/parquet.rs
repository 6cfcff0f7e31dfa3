//! Parquet with fixed properties, so that equal tables have equal bytes.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::failure::Failure;

/// Rows of a row group. A group is what `--shard` of `midashi-predict` hands out, and the most that is held in memory.
const ROW_GROUP: usize = 65_536;

/// The rows so far.
pub(crate) struct ParquetWriter<W: Write + Send> {
    inner: ArrowWriter<W>,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub fn new(inner: W, schema: &SchemaRef) -> Result<Self, Failure> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("midashi".to_owned())
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        Ok(Self { inner: ArrowWriter::try_new(inner, schema.clone(), Some(properties))? })
    }

    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        Ok(self.inner.write(rows)?)
    }

    pub fn finish(self) -> Result<W, Failure> {
        Ok(self.inner.into_inner()?)
    }
}
