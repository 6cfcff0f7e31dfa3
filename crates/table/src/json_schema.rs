//! The columns of JSON Lines: the union of the keys of its objects, with a kind of values for each.

use std::collections::HashMap;
use std::path::Path;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use serde_json::{Map, Number, Value};

use crate::batch::BadRow;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::json_row::{JsonLines, JsonRow};
use crate::options::ReadOptions;

/// The most keys of all rows together, those of objects within objects included. Every row has a cell for each.
const MOST_KEYS: usize = 1024;

/// Up to this number, a float holds every integer.
const LARGEST_EXACT: u64 = 1 << f64::MANTISSA_DIGITS;

/// The columns that were seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct JsonSchema {
    columns: Keys,
    count: usize,
}

/// The keys of objects in the order of their first occurrence, with the kind of their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    places: HashMap<String, usize>,
    kinds: Vec<(String, Kind)>,
}

/// What the values of a key have in common.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Integer(Range),
    Float,
    /// Everything else: a value that is no text becomes its JSON text.
    Text,
    List(Box<Kind>),
    Object(Keys),
}

/// The range of integers, which also holds 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    lowest: i64,
    highest: u64,
}

/// The columns of all rows of a file. Rows that do not parse are left to the reader.
pub(crate) fn of_file(path: &Path, options: &ReadOptions) -> Result<JsonSchema> {
    let mut lines = JsonLines::new(Input::of_file(path)?, options)?;
    let mut schema = JsonSchema::default();
    while let Some(row) = lines.next()? {
        schema.add(&row, lines.name())?;
    }
    Ok(schema)
}

impl JsonSchema {
    /// Adds the keys and kinds of a row of the input `name`, if it is an object.
    pub fn add(&mut self, row: &JsonRow, name: &str) -> Result<()> {
        let Ok(object) = &row.value else { return Ok(()) };
        self.columns.widen(object, &mut self.count).map_err(|key| {
            let reason = format!(
                "has the key {key:?}, which is one more than {MOST_KEYS} different keys; expected at most \
                 {MOST_KEYS} in all rows, with those of objects within them; write keys that are data as an array or \
                 a text, or leave keys out"
            );
            Error::content(name, BadRow { number: row.number, line: Some(row.line), reason })
        })
    }

    /// The columns when all rows are known.
    pub fn into_columns(mut self) -> Keys {
        self.columns.settle();
        self.columns
    }
}

impl Keys {
    /// The kind of a key's values.
    pub fn get(&self, key: &str) -> Option<&Kind> {
        self.places.get(key).map(|&place| &self.kinds[place].1)
    }

    /// The columns as Arrow's.
    pub fn to_arrow(&self) -> Schema {
        Schema::new(self.fields())
    }

    fn fields(&self) -> Fields {
        self.kinds.iter().map(|(key, kind)| Field::new(key, kind.data_type(), true)).collect()
    }

    /// Adds the keys and kinds of an object. The first key beyond the most is an error.
    fn widen(&mut self, object: &Map<String, Value>, count: &mut usize) -> Result<(), String> {
        for (key, value) in object {
            let place = match self.places.get(key) {
                Some(&place) => place,
                None if *count == MOST_KEYS => return Err(key.clone()),
                None => {
                    *count += 1;
                    self.places.insert(key.clone(), self.kinds.len());
                    self.kinds.push((key.clone(), Kind::Null));
                    self.kinds.len() - 1
                }
            };
            self.kinds[place].1.widen(value, count)?;
        }
        Ok(())
    }

    fn settle(&mut self) {
        self.kinds.iter_mut().for_each(|(_, kind)| kind.settle());
    }
}

impl Kind {
    /// Whether a value can be a cell of this kind. An integer that a float would round is no float.
    pub fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) | (Self::Text, _) | (Self::Boolean, Value::Bool(_)) => true,
            (Self::Integer(range), Value::Number(number)) if range.is_unsigned() => number.is_u64(),
            (Self::Integer(_), Value::Number(number)) => number.is_i64(),
            (Self::Float, Value::Number(number)) => {
                number.is_f64() || Range::default().with(number).is_exact()
            }
            (Self::List(item), Value::Array(items)) => items.iter().all(|value| item.fits(value)),
            (Self::Object(keys), Value::Object(object)) => {
                object.iter().all(|(key, value)| keys.get(key).is_some_and(|kind| kind.fits(value)))
            }
            _ => false,
        }
    }

    /// The value as it is stored in a cell of this kind: everything is a text among texts.
    pub fn stored(&self, value: Value) -> Value {
        match (self, value) {
            (_, value @ (Value::Null | Value::String(_))) => value,
            (Self::Text, value) => Value::String(value.to_string()),
            (Self::List(item), Value::Array(items)) => {
                items.into_iter().map(|value| item.stored(value)).collect()
            }
            (Self::Object(keys), Value::Object(object)) => {
                let cell = |(key, value): (String, Value)| {
                    let value = keys.get(&key).map_or(Value::Null, |kind| kind.stored(value));
                    (key, value)
                };
                object.into_iter().map(cell).collect()
            }
            (_, value) => value,
        }
    }

    /// The kind in words, for a value that does not fit.
    pub fn expected(&self) -> String {
        match self {
            Self::Float => "Float64, which holds no integers beyond 2^53,".to_owned(),
            Self::List(_) => "an array of the same types".to_owned(),
            Self::Object(_) => "an object of the same keys and types".to_owned(),
            other => other.data_type().to_string(),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Null | Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Integer(range) if range.is_unsigned() => DataType::UInt64,
            Self::Integer(_) => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::List(item) => DataType::new_list(item.data_type(), true),
            Self::Object(keys) => DataType::Struct(keys.fields()),
        }
    }

    /// Makes it a kind that also holds `value`, without a change of any value.
    fn widen(&mut self, value: &Value, count: &mut usize) -> Result<(), String> {
        if let Self::Null = self {
            *self = match value {
                Value::Null => Self::Null,
                Value::Bool(_) => Self::Boolean,
                Value::Number(number) if number.is_f64() => Self::Float,
                Value::Number(_) => Self::Integer(Range::default()),
                Value::String(_) => Self::Text,
                Value::Array(_) => Self::List(Box::new(Self::Null)),
                Value::Object(_) => Self::Object(Keys::default()),
            };
        }
        match (&mut *self, value) {
            (Self::List(item), Value::Array(items)) => {
                items.iter().try_for_each(|value| item.widen(value, count))?;
            }
            (Self::Object(keys), Value::Object(object)) => keys.widen(object, count)?,
            (Self::Integer(range), Value::Number(number)) => {
                *self = match number.is_f64() {
                    true if range.is_exact() => Self::Float,
                    false if range.with(number).has_type() => Self::Integer(range.with(number)),
                    _ => Self::Text,
                };
            }
            (kind, value) if kind.fits(value) => {}
            _ => *self = Self::Text,
        }
        Ok(())
    }

    /// Texts take the place of values that are always null, and of objects without keys, which not all formats store.
    fn settle(&mut self) {
        match self {
            Self::List(item) => item.settle(),
            Self::Object(keys) if !keys.kinds.is_empty() => keys.settle(),
            Self::Null | Self::Object(_) => *self = Self::Text,
            _ => {}
        }
    }
}

impl Range {
    /// The range that also holds an integer.
    fn with(self, number: &Number) -> Self {
        let (lowest, highest) = (number.as_i64().unwrap_or(0), number.as_u64().unwrap_or(0));
        Self { lowest: self.lowest.min(lowest), highest: self.highest.max(highest) }
    }

    fn is_unsigned(self) -> bool {
        i64::try_from(self.highest).is_err()
    }

    /// Whether there is an integer type for it.
    fn has_type(self) -> bool {
        self.lowest == 0 || !self.is_unsigned()
    }

    /// Whether a float holds all of its integers.
    fn is_exact(self) -> bool {
        self.lowest.unsigned_abs().max(self.highest) <= LARGEST_EXACT
    }
}
