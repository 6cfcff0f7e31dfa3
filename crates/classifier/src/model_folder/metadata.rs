//! What `classifier.onnx` says about itself: what a program needs to read its input and output.

use std::collections::BTreeMap;
use std::path::Path;

use midashi_stage::sha256_of_bytes;
use midashi_tokenizer::TOKENIZER_FILES;
use serde::Serialize;

use super::training::Training;
use crate::{Error, Result};

/// The metadata of the classifier whose tokenizer's files are in `folder`: values are JSON.
///
/// - `midashi.labels`: category names, in the order of the logits.
/// - `midashi.tokenizer`: SHA-256 of each of the tokenizer's files.
/// - `midashi.text`, `midashi.max_length`: how texts were read in the training.
/// - `midashi.long_texts`, `midashi.stride`: only if long texts were read in windows, of which the graph takes one.
///
/// # Errors
/// When a file cannot be read.
pub fn metadata(
    folder: &Path,
    labels: &[String],
    training: &Training,
) -> Result<Vec<(&'static str, String)>> {
    let mut digests = BTreeMap::new();
    for name in TOKENIZER_FILES {
        let path = folder.join(name);
        if path.is_file() {
            let bytes = midashi_stage::read_file(&path)?;
            digests.insert(name, sha256_of_bytes(&bytes));
        }
    }
    let mut entries = vec![
        ("midashi.labels", json(folder, &labels)?),
        ("midashi.max_length", json(folder, &training.max_length)?),
        ("midashi.text", json(folder, &training.text)?),
        ("midashi.tokenizer", json(folder, &digests)?),
    ];
    if !training.long_texts.is_truncate() {
        entries.push(("midashi.long_texts", json(folder, &training.long_texts)?));
        entries.push(("midashi.stride", json(folder, &training.stride)?));
    }
    Ok(entries)
}

fn json(folder: &Path, value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::bad_model(&folder.join("classifier.onnx"), error))
}
