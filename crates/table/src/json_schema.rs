//! The columns of JSON Lines: the union of the keys of its objects, with a type for each.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Map, Value};

use crate::error::Result;
use crate::input::Input;
use crate::lines::{LineEnds, Lines};
use crate::options::ReadOptions;

/// The columns that were seen so far, in the order of their first occurrence.
#[derive(Clone, Debug, Default)]
pub(crate) struct JsonSchema {
    columns: Vec<(String, DataType)>,
}

/// The columns of all rows of a file. Rows that do not parse are left to the reader.
pub(crate) fn of_file(path: &Path, options: &ReadOptions) -> Result<JsonSchema> {
    let mut lines = Lines::new(Input::of_file(path)?, options, LineEnds::LineFeed)?;
    let mut schema = JsonSchema::default();
    while let Some((_, line)) = lines.next()? {
        if let Ok(Value::Object(row)) = serde_json::from_slice(line) {
            schema.add(&row);
        }
    }
    Ok(schema)
}

impl JsonSchema {
    /// Adds the keys and types of a row.
    pub fn add(&mut self, row: &Map<String, Value>) {
        for (at, (key, value)) in row.iter().enumerate() {
            // Rows usually have the same keys in the same order.
            let known = match self.columns.get(at) {
                Some((name, _)) if name == key => Some(at),
                _ => self.columns.iter().position(|(name, _)| name == key),
            };
            match known {
                Some(at) => {
                    let kind = &mut self.columns[at].1;
                    if !fits(value, kind) {
                        *kind = union(kind, &type_of(value));
                    }
                }
                None => self.columns.push((key.clone(), type_of(value))),
            }
        }
    }

    /// The columns as Arrow's. A column that is always null is one of texts.
    pub fn to_arrow(&self) -> Schema {
        let fields = self.columns.iter().map(|(name, kind)| Field::new(name, without_null(kind), true));
        Schema::new(fields.collect::<Vec<_>>())
    }
}

/// Whether a value can be a cell of a column. A number or an object in a column of texts becomes its JSON text.
pub(crate) fn fits(value: &Value, kind: &DataType) -> bool {
    match (value, kind) {
        (Value::Null, _) | (_, DataType::Utf8) => true,
        (Value::Bool(_), DataType::Boolean) => true,
        (Value::Number(number), DataType::Int64) => number.is_i64(),
        (Value::Number(_), DataType::Float64) => true,
        (Value::Array(items), DataType::List(item)) => {
            items.iter().all(|value| fits(value, item.data_type()))
        }
        (Value::Object(object), DataType::Struct(fields)) => object.iter().all(|(key, value)| {
            fields.iter().any(|field| field.name() == key && fits(value, field.data_type()))
        }),
        _ => false,
    }
}

/// The value as it is stored in a column of this type: in columns of texts everything is a text.
pub(crate) fn stored(value: Value, kind: &DataType) -> Value {
    match (value, kind) {
        (value @ (Value::Null | Value::String(_)), _) => value,
        (value, DataType::Utf8) => Value::String(value.to_string()),
        (Value::Array(items), DataType::List(item)) => {
            items.into_iter().map(|value| stored(value, item.data_type())).collect()
        }
        (Value::Object(object), DataType::Struct(fields)) => {
            let cell = |(key, value)| {
                let field = fields.iter().find(|field| *field.name() == key);
                let value = field.map_or(Value::Null, |field| stored(value, field.data_type()));
                (key, value)
            };
            object.into_iter().map(cell).collect()
        }
        (value, _) => value,
    }
}

fn type_of(value: &Value) -> DataType {
    match value {
        Value::Null => DataType::Null,
        Value::Bool(_) => DataType::Boolean,
        Value::Number(number) if number.is_i64() => DataType::Int64,
        Value::Number(_) => DataType::Float64,
        Value::String(_) => DataType::Utf8,
        Value::Array(items) => {
            let item = items.iter().fold(DataType::Null, |kind, value| union(&kind, &type_of(value)));
            DataType::List(Arc::new(Field::new_list_field(item, true)))
        }
        Value::Object(object) => DataType::Struct(
            object.iter().map(|(key, value)| Field::new(key, type_of(value), true)).collect(),
        ),
    }
}

/// The type whose cells hold the values of both.
fn union(one: &DataType, other: &DataType) -> DataType {
    match (one, other) {
        (one, other) if one == other => one.clone(),
        (DataType::Null, kind) | (kind, DataType::Null) => kind.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        (DataType::List(one), DataType::List(other)) => {
            let item = union(one.data_type(), other.data_type());
            DataType::List(Arc::new(Field::new_list_field(item, true)))
        }
        (DataType::Struct(one), DataType::Struct(other)) => {
            let mut fields: Vec<(String, DataType)> =
                one.iter().map(|field| (field.name().clone(), field.data_type().clone())).collect();
            for field in other {
                match fields.iter_mut().find(|(name, _)| name == field.name()) {
                    Some((_, kind)) => *kind = union(kind, field.data_type()),
                    None => fields.push((field.name().clone(), field.data_type().clone())),
                }
            }
            DataType::Struct(fields.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect())
        }
        _ => DataType::Utf8,
    }
}

/// The type with texts in place of nulls, which not all formats store.
fn without_null(kind: &DataType) -> DataType {
    match kind {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => {
            DataType::List(Arc::new(Field::new_list_field(without_null(item.data_type()), true)))
        }
        // Parquet has no struct without fields.
        DataType::Struct(fields) if fields.is_empty() => DataType::Utf8,
        DataType::Struct(fields) => {
            let field = |field: &Arc<Field>| Field::new(field.name(), without_null(field.data_type()), true);
            DataType::Struct(fields.iter().map(field).collect())
        }
        other => other.clone(),
    }
}
