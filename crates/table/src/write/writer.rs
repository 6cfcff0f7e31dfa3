//! A table that is being written.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::arrow_ipc::ArrowWriter;
use super::compressed::Compressed;
use super::delimited::DelimitedWriter;
use super::failure::Failure;
use super::formulas::Formulas;
use super::json_lines::JsonLinesWriter;
use super::parquet::ParquetWriter;
use crate::decoding::guarded;
use crate::error::{Error, Result};
use crate::format::{Compression, Format};

/// Bytes that are collected before they are written.
const BUFFER: usize = 256 << 10;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// The format.
    pub format: Format,
    /// The compression around it.
    pub compression: Compression,
    /// For Arrow IPC, whether to write a stream and not a file. A stream can be read while it is written.
    pub arrow_stream: bool,
    /// For CSV and TSV, the treatment of texts that a spreadsheet would compute.
    pub formulas: Formulas,
}

impl WriteOptions {
    /// Whether the format holds the columns `schema` of the table `name`, before there are rows.
    ///
    /// # Errors
    /// When it has no form for the type of a column.
    pub fn check(self, name: &str, schema: &Schema) -> Result<()> {
        // The library of a format may panic on a type that it does not know.
        let is_known =
            |field: &&FieldRef| guarded(|| self.try_column(field).map_err(|error| error.to_string())).is_ok();
        let Some(field) = schema.fields().iter().find(|field| !is_known(field)) else { return Ok(()) };
        let others = if self.format == Format::Parquet { "arrow" } else { "parquet or arrow" };
        let reason = format!(
            "{} has no form for the column {:?}, which is {}; choose the format {others}, or leave the column out",
            self.format,
            field.name(),
            field.data_type()
        );
        Err(Error::content(name, reason))
    }

    /// Writes a column with one null to nowhere.
    fn try_column(self, field: &FieldRef) -> Result<()> {
        let field = field.as_ref().clone().with_nullable(true);
        let (name, null) = (field.name().clone(), new_null_array(field.data_type(), 1));
        let schema = Arc::new(Schema::new(vec![field]));
        let mut writer = Writer::new(io::sink(), &name, self, &schema)?;
        let rows = RecordBatch::try_new(schema, vec![null]).map_err(|error| Error::content(&name, error))?;
        writer.write(&rows)?;
        writer.finish().map(drop)
    }
}

/// A table that is being written. Its memory does not grow with the number of rows, except for a row group of Parquet.
///
/// A table is whole only after [`finish`](Self::finish).
pub struct Writer<W: Write + Send> {
    name: String,
    rows: Rows<BufWriter<Compressed<W>>>,
}

/// The writer of a format.
enum Rows<W: Write + Send> {
    Delimited(DelimitedWriter<W>),
    JsonLines(JsonLinesWriter<W>),
    Parquet(ParquetWriter<W>),
    Arrow(ArrowWriter<W>),
}

impl<W: Write + Send> Writer<W> {
    /// Starts a table of the columns `schema` in `destination`, which messages call `name`.
    ///
    /// # Errors
    /// When the destination cannot be written, or the format has no such columns.
    pub fn new(destination: W, name: &str, options: WriteOptions, schema: &SchemaRef) -> Result<Self> {
        let failed = |failure: Failure| failure.of(name);
        let compressed =
            Compressed::new(options.compression, destination).map_err(Error::io(name, "write"))?;
        let buffered = BufWriter::with_capacity(BUFFER, compressed);
        let rows = match options.format {
            Format::Csv | Format::Tsv => {
                let delimiter = if options.format == Format::Csv { b',' } else { b'\t' };
                let writer = DelimitedWriter::new(buffered, delimiter, options.formulas, schema);
                Rows::Delimited(writer.map_err(failed)?)
            }
            Format::JsonLines => Rows::JsonLines(JsonLinesWriter::new(buffered)),
            Format::Parquet => Rows::Parquet(ParquetWriter::new(buffered, schema).map_err(failed)?),
            Format::Arrow => {
                Rows::Arrow(ArrowWriter::new(buffered, schema, options.arrow_stream).map_err(failed)?)
            }
            Format::Lines => {
                let reason = "lines have no columns; expected one of csv, tsv, jsonl, parquet, arrow";
                return Err(Error::content(name, reason));
            }
        };
        Ok(Self { name: name.to_owned(), rows })
    }

    /// Adds rows with the columns of the table.
    ///
    /// # Errors
    /// When the destination cannot be written, or a value has no form in the format.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let written = match &mut self.rows {
            Rows::Delimited(writer) => writer.write(rows),
            Rows::JsonLines(writer) => writer.write(rows),
            Rows::Parquet(writer) => writer.write(rows),
            Rows::Arrow(writer) => writer.write(rows),
        };
        written.map_err(|failure| failure.of(&self.name))
    }

    /// Passes on the rows so far, for a reader that waits for them. Parquet has no rows before its end.
    ///
    /// # Errors
    /// When the destination cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        let flushed = match &mut self.rows {
            Rows::Delimited(writer) => writer.flush(),
            Rows::JsonLines(writer) => writer.flush(),
            Rows::Arrow(writer) => writer.flush(),
            Rows::Parquet(_) => Ok(()),
        };
        flushed.map_err(|failure| failure.of(&self.name))
    }

    /// The number of cells that got an apostrophe so far ([`Formulas::Escape`]).
    pub fn escaped_formulas(&self) -> u64 {
        match &self.rows {
            Rows::Delimited(writer) => writer.escaped(),
            Rows::JsonLines(_) | Rows::Parquet(_) | Rows::Arrow(_) => 0,
        }
    }

    /// Ends the table and returns its destination, to which everything has been written.
    ///
    /// # Errors
    /// When the destination cannot be written.
    pub fn finish(self) -> Result<W> {
        let Self { name, rows } = self;
        let buffered = match rows {
            Rows::Delimited(writer) => writer.finish(),
            Rows::JsonLines(writer) => writer.finish(),
            Rows::Parquet(writer) => writer.finish(),
            Rows::Arrow(writer) => writer.finish(),
        };
        let buffered = buffered.map_err(|failure| failure.of(&name))?;
        let compressed =
            buffered.into_inner().map_err(|error| Error::io(&name, "write")(error.into_error()))?;
        let mut destination = compressed.finish().map_err(Error::io(&name, "write"))?;
        destination.flush().map_err(Error::io(&name, "write"))?;
        Ok(destination)
    }
}
