//! Reading JSON values by their keys.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::Problem;

/// The value's `type`, which says what a part of the file is.
pub(super) fn kind<'v>(value: &'v Value, place: &str) -> Result<&'v str, Problem> {
    value
        .get("type")
        .and_then(Value::as_str)
        .ok_or_else(|| Problem::new(place, start_of(value), "an object with its \"type\""))
}

/// The value as a type of the library or ours.
pub(super) fn typed<T: DeserializeOwned>(value: &Value, place: &str) -> Result<T, Problem> {
    T::deserialize(value).map_err(|error| Problem::new(place, error.to_string(), "the settings of its type"))
}

/// Checks the length of the text under `key`, if there is one.
pub(super) fn text_within(value: &Value, key: &str, bytes: usize, place: &str) -> Result<(), Problem> {
    match value.get(key).and_then(Value::as_str).map(str::len) {
        Some(length) if length > bytes => Err(Problem::new(
            &format!("{place}.{key}"),
            format!("{length} bytes"),
            format!("{bytes} bytes at most"),
        )),
        _ => Ok(()),
    }
}

/// The first characters of a value, for messages.
pub(super) fn start_of(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The value under `key`, unless it is missing or null.
pub(super) fn part<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    value.get(key).filter(|part| !part.is_null())
}
