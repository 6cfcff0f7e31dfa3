//! Writes all files.

use std::fs;
use std::path::Path;

use super::origin::Origin;
#[cfg(any(test, fuzzing))]
use super::tensors;
use super::{card, config, json, tokenizer, tokenizer_config, weights};
use crate::error::{Error, Result};
use crate::packed::PackedEncoder;

/// Writes the encoder to `folder`, which exists, as a checkpoint of the class `BertModel` in transformers. The weights
/// are float32, in which every number of the packed file is exact. The same file gives the same bytes.
///
/// # Errors
/// When a tensor is missing or has another size than the geometry implies, when `tokenizer.json` cannot express the map
/// of characters, or when a file cannot be written.
pub fn write_checkpoint(encoder: &PackedEncoder<'_>, origin: &Origin<'_>, folder: &Path) -> Result<()> {
    json::write(&folder.join("config.json"), &config::config(encoder))?;
    json::write(&folder.join("tokenizer.json"), &tokenizer::tokenizer(encoder)?)?;
    json::write(&folder.join("tokenizer_config.json"), &tokenizer_config::tokenizer_config(encoder))?;
    let path = folder.join("README.md");
    fs::write(&path, card::card(encoder, origin)).map_err(Error::write(&path))?;
    // Last, so that a folder with weights is complete.
    weights::write(encoder, &folder.join("model.safetensors"))
}

/// The numbers of tensors and of pieces that the checkpoint would have, for tests that write no file.
///
/// # Errors
/// As [`write_checkpoint`].
#[cfg(any(test, fuzzing))]
pub(crate) fn parts(encoder: &PackedEncoder<'_>) -> Result<(usize, usize)> {
    let _ = (config::config(encoder), tokenizer_config::tokenizer_config(encoder));
    Ok((tensors::all(encoder)?.len(), tokenizer::tokenizer(encoder)?.pieces()))
}
