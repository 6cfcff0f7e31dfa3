//! JSON files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};

/// Writes `value` as indented JSON.
pub(super) fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let file = File::create(path).map_err(Error::write(path))?;
    let mut writer = BufWriter::new(file);
    serde_json::to_writer_pretty(&mut writer, value).map_err(|error| Error::write(path)(error.into()))?;
    writer.write_all(b"\n").and_then(|()| writer.flush()).map_err(Error::write(path))
}
