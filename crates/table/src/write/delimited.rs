//! CSV and TSV (RFC 4180). Values that have no text of their own, such as lists, are written as JSON.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::failure::Failure;
use super::formulas::Formulas;
use super::times::{no_text, with_instants, with_times_as_text};

/// The rows so far.
pub(crate) struct DelimitedWriter<W: Write> {
    inner: csv::Writer<W>,
    formulas: Formulas,
    escaped: u64,
}

/// A column whose values become texts.
enum Column<'a> {
    Utf8(&'a StringArray),
    Formatted(ArrayFormatter<'a>),
    /// By row.
    Json(Vec<String>),
}

impl<W: Write> DelimitedWriter<W> {
    pub fn new(inner: W, delimiter: u8, formulas: Formulas, schema: &Schema) -> Result<Self, Failure> {
        let inner = csv::WriterBuilder::new().delimiter(delimiter).from_writer(inner);
        let mut writer = Self { inner, formulas, escaped: 0 };
        for field in schema.fields() {
            writer.text(field.name())?;
        }
        writer.inner.write_record(None::<&[u8]>)?;
        Ok(writer)
    }

    /// The number of cells that were changed.
    pub fn escaped(&self) -> u64 {
        self.escaped
    }

    fn text(&mut self, text: &str) -> Result<(), Failure> {
        let (cell, is_changed) = self.formulas.cell(text);
        self.escaped += u64::from(is_changed);
        Ok(self.inner.write_field(&*cell)?)
    }

    /// A null is an empty field.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let rows = with_instants(rows)?;
        let schema = rows.schema_ref();
        let columns = rows.columns().iter().zip(schema.fields());
        let columns =
            columns.map(|(column, field)| column_of(column, field.name())).collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.num_rows() {
            for ((column, texts), field) in rows.columns().iter().zip(&columns).zip(schema.fields()) {
                match texts {
                    _ if column.is_null(row) => self.inner.write_field("")?,
                    Column::Utf8(array) => self.text(array.value(row))?,
                    Column::Formatted(formatter) => {
                        let value = formatter.value(row).try_to_string();
                        let value = value.map_err(|error| no_text(field.name(), error))?;
                        // Numbers and times are no texts; dictionaries and long strings are.
                        match column.data_type() {
                            kind if kind.is_numeric() || kind.is_temporal() => {
                                self.inner.write_field(value)?
                            }
                            _ => self.text(&value)?,
                        }
                    }
                    Column::Json(values) => self.text(&values[row])?,
                }
            }
            self.inner.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.inner.flush()?)
    }

    pub fn finish(self) -> Result<W, Failure> {
        self.inner.into_inner().map_err(|error| Failure::Io(error.into_error()))
    }
}

fn column_of<'a>(array: &'a ArrayRef, name: &str) -> Result<Column<'a>, Failure> {
    Ok(match array.data_type() {
        DataType::Utf8 => Column::Utf8(array.as_string()),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::Struct(_)
        | DataType::Map(..) => Column::Json(as_json(array, name)?),
        _ => Column::Formatted(ArrayFormatter::try_new(array, &FORMAT)?),
    })
}

/// Bare values: a null is handled before.
const FORMAT: FormatOptions<'static> = FormatOptions::new();

/// Each value of the column `name` as JSON.
fn as_json(array: &ArrayRef, name: &str) -> Result<Vec<String>, Failure> {
    const KEY: &str = "v";
    let row_of = |key: &str, array: &ArrayRef| {
        let schema = Schema::new(vec![Field::new(key, array.data_type().clone(), true)]);
        RecordBatch::try_new(Arc::new(schema), vec![array.clone()])
    };
    let named = row_of(name, array)?;
    let rows = row_of(KEY, with_times_as_text(&named)?.column(0))?;
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(&rows)?;
    writer.finish()?;
    let lines =
        String::from_utf8(writer.into_inner()).map_err(|error| ArrowError::JsonError(error.to_string()))?;
    // A line is {"v":…}.
    let value = |line: &str| {
        let value = line.strip_prefix("{\"v\":").and_then(|rest| rest.strip_suffix('}'));
        value.unwrap_or_default().to_owned()
    };
    Ok(lines.lines().map(value).collect())
}
