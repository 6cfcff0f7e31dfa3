//! Parquet, read row group by row group.

use std::fs::File;
use std::path::Path;

use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::batch::Batch;
use crate::decoding::guarded;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::options::ReadOptions;
use crate::reader::Rows;

/// The number of rows of each row group of a Parquet file.
///
/// # Errors
/// When the file cannot be read or is not Parquet.
pub fn row_groups(path: &Path) -> Result<Vec<u64>> {
    let name = path.display().to_string();
    let builder = open(Input::of_file(path)?.into_file()?, &name)?;
    Ok(builder.metadata().row_groups().iter().map(|group| group.num_rows().max(0) as u64).collect())
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
    rows: u64,
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
        let total = rows + groups[wanted.clone()].iter().sum::<u64>();
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
