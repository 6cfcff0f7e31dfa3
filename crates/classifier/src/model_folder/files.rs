//! Names of Midashi's own files in `model/`, and how files are read and written.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Category names, in the order of the logits.
pub const LABELS: &str = "labels.json";
/// How the model was trained ([`Training`](super::Training)).
pub const TRAINING: &str = "midashi.json";

/// Reads a JSON file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = midashi_stage::read_file(path)?;
    serde_json::from_slice(&text).map_err(|error| Error::bad_model(path, error))
}

/// Writes a JSON file, keys in the order of `value`.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::bad_model(path, error))?;
    write_file(path, format!("{text}\n").as_bytes())
}

/// Writes a file.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(fs::write(path, bytes).map_err(midashi_stage::Error::io("write", path))?)
}
