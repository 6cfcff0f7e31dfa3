//! JSON Lines: an object a line, whose keys are columns.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;
use serde_json::{Map, Value};

use crate::batch::{BadRow, Batch};
use crate::encoding;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::json_schema::{JsonSchema, fits, stored};
use crate::lines::{LineEnds, Lines};
use crate::options::{BATCH_BYTES, ReadOptions};
use crate::reader::Rows;

/// The number of rows from which the columns of a stream are taken.
const SAMPLED_ROWS: usize = 1000;

/// The rows of JSON Lines.
pub(crate) struct JsonRows {
    lines: Lines,
    options: ReadOptions,
    schema: SchemaRef,
    decoder: Decoder,
    /// The rows from which the columns were taken, which are still to be returned.
    sampled: VecDeque<Row>,
    rows: u64,
}

/// A row before it is checked against the columns.
struct Row {
    number: u64,
    line: u64,
    bytes: usize,
    value: Result<Map<String, Value>, String>,
}

impl JsonRows {
    /// Reads an input with the columns `schema`, or those of its first rows.
    pub fn new(input: Input, schema: Option<JsonSchema>, options: &ReadOptions) -> Result<Self> {
        refuse_array(&input, options)?;
        let mut lines = Lines::new(input, options, LineEnds::LineFeed)?;
        let (mut sampled, mut rows) = (VecDeque::new(), 0);
        let schema = match schema {
            Some(schema) => schema,
            None => {
                let (mut schema, mut bytes) = (JsonSchema::default(), 0);
                while sampled.len() < SAMPLED_ROWS && bytes < BATCH_BYTES {
                    let Some(row) = next_row(&mut lines, &mut rows, options)? else { break };
                    if let Ok(value) = &row.value {
                        schema.add(value);
                    }
                    bytes += row.bytes;
                    sampled.push_back(row);
                }
                schema
            }
        };
        let schema = Arc::new(schema.to_arrow());
        let decoder = ReaderBuilder::new(schema.clone()).with_batch_size(options.batch_rows).build_decoder();
        let decoder = decoder.map_err(|error| Error::content(lines.name(), error))?;
        Ok(Self { lines, options: options.clone(), schema, decoder, sampled, rows })
    }

    /// The row as the decoder takes it, or the reason why it is bad.
    fn checked(&self, row: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut cells = Map::with_capacity(row.len());
        for (at, (key, value)) in row.into_iter().enumerate() {
            let fields = self.schema.fields();
            let field = match fields.get(at) {
                Some(field) if *field.name() == key => Some(field),
                _ => fields.iter().find(|field| *field.name() == key),
            };
            let Some(field) = field else {
                return Err(format!(
                    "has the key {key:?}, which the first {SAMPLED_ROWS} rows do not have; give the rows as a \
                     file, where the keys of all rows are found"
                ));
            };
            if !fits(&value, field.data_type()) {
                return Err(format!(
                    "{key:?} is {}, expected {} as in the rows before",
                    kind_of(&value),
                    field.data_type()
                ));
            }
            cells.insert(key, stored(value, field.data_type()));
        }
        Ok(cells)
    }
}

impl Rows for JsonRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let (mut rows, mut numbers, mut bad, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        while numbers.len() < self.options.batch_rows && bytes < BATCH_BYTES {
            let row = match self.sampled.pop_front() {
                Some(row) => Some(row),
                None => next_row(&mut self.lines, &mut self.rows, &self.options)?,
            };
            let Some(Row { number, line, bytes: length, value }) = row else { break };
            bytes += length;
            match value.and_then(|value| self.checked(value)) {
                Ok(row) => {
                    rows.push(row);
                    numbers.push(number);
                }
                Err(reason) => bad.push(BadRow { number, line: Some(line), reason }),
            }
        }
        if numbers.is_empty() && bad.is_empty() {
            return Ok(None);
        }
        let name = self.lines.name().to_owned();
        let broken = |error: arrow::error::ArrowError| Error::content(&name, error);
        let rows = match rows.is_empty() {
            true => arrow::array::RecordBatch::new_empty(self.schema.clone()),
            false => {
                self.decoder.serialize(&rows).map_err(broken)?;
                let rows = self.decoder.flush().map_err(broken)?;
                rows.ok_or_else(|| Error::content(&name, "the rows gave no batch"))?
            }
        };
        Ok(Some(Batch { rows, numbers, bad }))
    }
}

/// The next row. Blank lines are no rows.
fn next_row(lines: &mut Lines, rows: &mut u64, options: &ReadOptions) -> Result<Option<Row>> {
    while let Some((line, text)) = lines.next()? {
        if text.trim_ascii().is_empty() {
            continue;
        }
        *rows += 1;
        return Ok(Some(Row { number: *rows, line, bytes: text.len(), value: parse(text, options) }));
    }
    Ok(None)
}

fn parse(line: &[u8], options: &ReadOptions) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(line).map_err(|error| encoding::explain(line, error, options))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(other) => Err(format!("is {}, expected a JSON object", kind_of(&other))),
        // The parser sees one line; its own line number would mislead.
        Err(error) => {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            Err(format!("is not JSON: {message} at column {}; expected one object a line", error.column()))
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Refuses one JSON array around all rows, which is a usual form of `.json` files.
fn refuse_array(input: &Input, options: &ReadOptions) -> Result<()> {
    let is_converted = options.encoding.is_some_and(|encoding| encoding != encoding_rs::UTF_8);
    let head = encoding::without_marks(&input.head);
    if !is_converted && head.trim_ascii_start().starts_with(b"[") {
        let reason = "is a JSON array; expected JSON Lines, one object a line (jq -c '.[]' converts it)";
        return Err(Error::content(&input.name, reason));
    }
    Ok(())
}
