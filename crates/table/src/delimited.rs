//! CSV and TSV as in RFC 4180, with any line ends and a recognised delimiter. All columns are texts as written.

use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::sync::{Arc, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use csv::ByteRecord;
use encoding_rs::UTF_8;

use crate::batch::{BadRow, Batch};
use crate::encoding;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::input::Input;
use crate::options::{BATCH_BYTES, LARGEST_ROW, ReadOptions};
use crate::quotes::{QuoteWatch, RecordLines};
use crate::reader::Rows;

/// The delimiters that are recognised. The first wins a tie.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// The number of records from which the delimiter is recognised.
const SAMPLED_RECORDS: usize = 100;

/// The rows of a CSV file.
pub(crate) struct DelimitedRows {
    name: String,
    options: ReadOptions,
    schema: SchemaRef,
    csv: csv::Reader<QuoteWatch<Box<dyn Read + Send>>>,
    lines: RecordLines,
    record: ByteRecord,
    rows: u64,
}

impl DelimitedRows {
    pub fn new(input: Input, format: Format, options: &ReadOptions) -> Result<Self> {
        let name = input.name.clone();
        let delimiter = match (options.delimiter, format) {
            (Some(delimiter), _) => delimiter,
            (None, Format::Tsv) => b'\t',
            (None, _) => recognise_delimiter(&converted_head(&input.head, options)),
        };
        let text = encoding::as_utf8(input.into_reader(), options).map_err(Error::io(&name, "read"))?;
        let (watched, lines) = QuoteWatch::new(text, delimiter, LARGEST_ROW);
        let mut csv = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(64 << 10)
            .from_reader(watched);
        let mut header = ByteRecord::new();
        let found = csv.read_byte_record(&mut header).map_err(|error| unreadable(&name, error))?;
        if !found {
            return Err(Error::content(&name, "is empty; expected a header with the columns' names"));
        }
        next_line(&lines);
        let schema = schema_of(&header, &name, options)?;
        Ok(Self { name, options: options.clone(), schema, csv, lines, record: header, rows: 0 })
    }
}

impl Rows for DelimitedRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let width = self.schema.fields().len();
        let mut columns: Vec<StringBuilder> = (0..width).map(|_| StringBuilder::new()).collect();
        let (mut numbers, mut bad, mut bytes) = (Vec::new(), Vec::new(), 0);
        while numbers.len() + bad.len() < self.options.batch_rows && bytes < BATCH_BYTES {
            let found = self.csv.read_byte_record(&mut self.record);
            if !found.map_err(|error| unreadable(&self.name, error))? {
                break;
            }
            self.rows += 1;
            let line = next_line(&self.lines);
            // With the delimiters: a record of empty fields takes memory too.
            bytes += self.record.as_slice().len() + self.record.len();
            match cells(&self.record, &self.schema, &self.options) {
                Ok(cells) => {
                    columns.iter_mut().zip(cells).for_each(|(column, cell)| column.append_value(cell));
                    numbers.push(self.rows);
                }
                Err(reason) => bad.push(BadRow { number: self.rows, line, reason }),
            }
        }
        if numbers.is_empty() && bad.is_empty() {
            return Ok(None);
        }
        let columns: Vec<ArrayRef> =
            columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
        let rows = RecordBatch::try_new(self.schema.clone(), columns);
        let rows = rows.map_err(|error| Error::content(&self.name, error))?;
        Ok(Some(Batch { rows, numbers, bad }))
    }
}

/// The texts of a record, or the reason why it is bad.
fn cells<'r>(
    record: &'r ByteRecord,
    schema: &Schema,
    options: &ReadOptions,
) -> Result<impl Iterator<Item = &'r str>, String> {
    let width = schema.fields().len();
    if record.len() != width {
        return Err(format!(
            "has {} fields, the header has {width}; a field with the delimiter or a line feed needs quotes",
            record.len()
        ));
    }
    check_utf8(record, schema, options)?;
    Ok(record.iter().map(|field| std::str::from_utf8(field).unwrap_or_default()))
}

fn check_utf8(record: &ByteRecord, schema: &Schema, options: &ReadOptions) -> Result<(), String> {
    for (field, column) in record.iter().zip(schema.fields()) {
        if let Err(error) = std::str::from_utf8(field) {
            return Err(format!("column {:?} {}", column.name(), encoding::explain(field, error, options)));
        }
    }
    Ok(())
}

fn next_line(lines: &RecordLines) -> Option<u64> {
    lines.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn unreadable(name: &str, error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::Io { name: name.to_owned(), doing: "read", source },
        other => Error::content(name, format!("{other:?}")),
    }
}

/// The columns of a header. A name that is empty, as pandas writes for its index, becomes `column_<number>`.
fn schema_of(header: &ByteRecord, name: &str, options: &ReadOptions) -> Result<SchemaRef> {
    let mut names = HashSet::new();
    let mut fields = Vec::with_capacity(header.len());
    for (at, field) in header.iter().enumerate() {
        let column = std::str::from_utf8(field).map_err(|error| {
            Error::content(name, format!("the header {}", encoding::explain(field, error, options)))
        })?;
        let column = match column.trim() {
            "" => format!("column_{}", at + 1),
            column => column.to_owned(),
        };
        if !names.insert(column.clone()) {
            let reason = format!("the header names the column {column:?} twice; expected unique names");
            return Err(Error::content(name, reason));
        }
        fields.push(Field::new(column, DataType::Utf8, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The beginning as UTF-8.
fn converted_head(head: &[u8], options: &ReadOptions) -> Vec<u8> {
    options.encoding.unwrap_or(UTF_8).decode(head).0.into_owned().into_bytes()
}

/// The delimiter that divides the header and most of the next records into the same number of fields.
fn recognise_delimiter(head: &[u8]) -> u8 {
    let score = |delimiter: u8| {
        let sample = BufReader::new(head);
        let mut csv = csv::ReaderBuilder::new();
        let csv = csv.delimiter(delimiter).has_headers(false).flexible(true).from_reader(sample);
        let widths: Vec<usize> = csv
            .into_byte_records()
            .take(1 + SAMPLED_RECORDS)
            .map_while(Result::ok)
            .map(|record| record.len())
            .collect();
        // The last record may be cut.
        let rows =
            if widths.len() > 2 { &widths[1..widths.len() - 1] } else { &widths[1.min(widths.len())..] };
        let header = widths.first().copied().unwrap_or(0);
        if header < 2 {
            return (0, 0);
        }
        let equal = rows.iter().filter(|&&width| width == header).count();
        // In thousandths, so that scores have an order. A header alone counts as consistent.
        (1 + (equal * 1000).checked_div(rows.len()).unwrap_or(1000), header)
    };
    let mut best = (DELIMITERS[0], score(DELIMITERS[0]));
    for delimiter in &DELIMITERS[1..] {
        let found = score(*delimiter);
        if found > best.1 {
            best = (*delimiter, found);
        }
    }
    best.0
}
