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
use crate::json_row::{JsonLines, JsonRow, kind_of};
use crate::json_schema::{JsonSchema, Keys};
use crate::options::{BATCH_BYTES, ReadOptions};
use crate::reader::Rows;

/// The number of rows from which the columns of a stream are taken.
const SAMPLED_ROWS: usize = 1000;

/// The rows of JSON Lines.
pub(crate) struct JsonRows {
    lines: JsonLines,
    batch_rows: usize,
    columns: Keys,
    schema: SchemaRef,
    decoder: Decoder,
    /// The rows from which the columns were taken, which are still to be returned.
    sampled: VecDeque<JsonRow>,
}

impl JsonRows {
    /// Reads an input with the columns `schema`, or those of its first rows.
    pub fn new(input: Input, schema: Option<JsonSchema>, options: &ReadOptions) -> Result<Self> {
        refuse_array(&input, options)?;
        let mut lines = JsonLines::new(input, options)?;
        let mut sampled = VecDeque::new();
        let schema = match schema {
            Some(schema) => schema,
            None => {
                let (mut schema, mut bytes) = (JsonSchema::default(), 0);
                while sampled.len() < SAMPLED_ROWS && bytes < BATCH_BYTES {
                    let Some(row) = lines.next()? else { break };
                    schema.add(&row, lines.name())?;
                    bytes += row.bytes;
                    sampled.push_back(row);
                }
                schema
            }
        };
        let columns = schema.into_columns();
        let schema = Arc::new(columns.to_arrow());
        let decoder = ReaderBuilder::new(schema.clone()).with_batch_size(options.batch_rows).build_decoder();
        let decoder = decoder.map_err(|error| Error::content(lines.name(), error))?;
        Ok(Self { lines, batch_rows: options.batch_rows, columns, schema, decoder, sampled })
    }

    /// The row as the decoder takes it, or the reason why it is bad.
    fn checked(&self, row: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut cells = Map::with_capacity(row.len());
        for (key, value) in row {
            let Some(kind) = self.columns.get(&key) else {
                return Err(format!(
                    "has the key {key:?}, which the first {SAMPLED_ROWS} rows do not have; give the rows as a \
                     file, where the keys of all rows are found"
                ));
            };
            if !kind.fits(&value) {
                let (found, expected) = (kind_of(&value), kind.expected());
                return Err(format!("{key:?} is {found}, expected {expected} as in the rows before"));
            }
            let cell = kind.stored(value);
            cells.insert(key, cell);
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
        while numbers.len() + bad.len() < self.batch_rows && bytes < BATCH_BYTES {
            let row = match self.sampled.pop_front() {
                Some(row) => Some(row),
                None => self.lines.next()?,
            };
            let Some(JsonRow { number, line, bytes: length, value }) = row else { break };
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
