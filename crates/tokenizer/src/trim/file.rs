//! Files of a folder that a trimmed tokenizer no longer has.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// Removes a file beside the tokenizer's own, if it is there: it holds the untrimmed vocabulary for other programs.
pub(super) fn remove(folder: &Path, name: &str) -> Result<()> {
    let file = folder.join(name);
    match std::fs::remove_file(&file) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Write { file, source }),
        _ => Ok(()),
    }
}
