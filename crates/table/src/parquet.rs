//! Parquet, read row group by row group.

use std::fmt::Display;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use crate::batch::Batch;
use crate::decoding::guarded;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::options::ReadOptions;
use crate::reader::Rows;

/// Where the parts of a Parquet file lie, in bytes from its beginning.
pub struct RowGroups {
    /// The row groups.
    pub groups: Vec<Range<u64>>,
    /// The description of columns and row groups at the end.
    pub footer: Range<u64>,
}

/// The row groups of a Parquet file.
///
/// # Errors
/// When the file cannot be read or is not Parquet.
pub fn row_groups(path: &Path) -> Result<RowGroups> {
    let name = path.display().to_string();
    let broken = |reason: &dyn Display| Error::content(&name, format!("is broken, or not Parquet: {reason}"));
    let mut file = Input::of_file(path)?.into_file()?;
    let builder = open(file.try_clone().map_err(|error| broken(&error))?, &name)?;
    // `byte_range` panics on negative numbers.
    let groups = guarded(|| Ok(builder.metadata().row_groups().iter().map(bytes_of).collect()));
    let groups = groups.map_err(|reason: String| broken(&reason))?;
    let mut length = [0; 4];
    let end = file.seek(SeekFrom::End(-8)).map_err(|error| broken(&error))?;
    file.read_exact(&mut length).map_err(|error| broken(&error))?;
    let start = end.saturating_sub(u64::from(u32::from_le_bytes(length)));
    Ok(RowGroups { groups, footer: start..end + 8 })
}

/// The bytes of a row group's columns, which lie one after the other.
fn bytes_of(group: &RowGroupMetaData) -> Range<u64> {
    let ranges = || group.columns().iter().map(ColumnChunkMetaData::byte_range);
    let start = ranges().map(|(start, _)| start).min().unwrap_or(0);
    start..ranges().map(|(start, length)| start.saturating_add(length)).max().unwrap_or(start)
}

fn open(file: File, name: &str) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    guarded(|| ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string()))
        .map_err(|reason| Error::content(name, format!("is broken, or not Parquet: {reason}")))
}

/// The rows of a Parquet file.
pub(crate) struct ParquetRows {
    name: String,
    schema: SchemaRef,
    reader: ParquetRecordBatchReader,
    /// Rows of the file before the next one.
    rows: u64,
    /// Rows that are read.
    total: u64,
}

impl ParquetRows {
    pub fn new(input: Input, options: &ReadOptions) -> Result<Self> {
        let name = input.name.clone();
        let mut builder = open(input.into_file()?, &name)?;
        let schema = builder.schema().clone();
        let groups: Vec<u64> =
            builder.metadata().row_groups().iter().map(|group| group.num_rows().max(0) as u64).collect();
        let wanted = options.row_groups.clone().unwrap_or(0..groups.len());
        if wanted.end > groups.len() {
            let reason = format!("has {} row groups; expected at least {}", groups.len(), wanted.end);
            return Err(Error::content(&name, reason));
        }
        let rows = groups[..wanted.start.min(wanted.end)].iter().sum();
        let total = groups[wanted.clone()].iter().sum();
        builder = builder.with_row_groups(wanted.collect()).with_batch_size(options.batch_rows);
        let reader = guarded(|| builder.build().map_err(|error| error.to_string()));
        let reader = reader.map_err(|reason| Error::content(&name, reason))?;
        Ok(Self { name, schema, reader, rows, total })
    }
}

impl Rows for ParquetRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let reader = &mut self.reader;
        let rows = guarded(|| reader.next().transpose().map_err(|error| error.to_string()));
        let rows = rows.map_err(|reason| {
            Error::content(&self.name, format!("is broken after row {}: {reason}", self.rows))
        })?;
        let Some(rows) = rows else { return Ok(None) };
        let first = self.rows + 1;
        self.rows += rows.num_rows() as u64;
        Ok(Some(Batch { rows, numbers: (first..=self.rows).collect(), bad: Vec::new() }))
    }

    fn total(&self) -> Option<u64> {
        Some(self.total)
    }
}
