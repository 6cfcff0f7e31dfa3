//! Which files a checkpoint consists of, wherever it comes from.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Result};

/// Every checkpoint has it.
pub const CONFIG: &str = "config.json";

const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_SETTINGS: &str = "tokenizer_config.json";
const VOCABULARY: &str = "vocab.txt";

/// Taken where they are there. The list is `midashi_tokenizer::TOKENIZER_FILES`, written out (a test
/// compares them), because a program that downloads need not be built with MeCab and tokenizers.
const TOKENIZER_FILES: [&str; 5] =
    [TOKENIZER, TOKENIZER_SETTINGS, VOCABULARY, "special_tokens_map.json", "added_tokens.json"];

const SAFETENSORS: &str = "model.safetensors";
const SAFETENSORS_INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";

/// Brings a checkpoint's files one by one: `file` fetches the one of that name and says where it
/// is. The weights come last, so that a folder with weights has everything.
///
/// Of several forms of the weights one is taken: safetensors whole, safetensors in shards, pickle.
///
/// # Errors
/// When `file` fails, except with [`Error::NotFound`] for a file that a checkpoint may lack.
pub fn bring(mut file: impl FnMut(&str) -> Result<PathBuf>) -> Result<()> {
    file(CONFIG)?;
    for name in TOKENIZER_FILES {
        if_there(file(name))?;
    }
    if if_there(file(SAFETENSORS))?.is_some() {
        return Ok(());
    }
    match if_there(file(SAFETENSORS_INDEX))? {
        Some(index) => shards(&index)?.iter().try_for_each(|name| file(name).map(drop)),
        None => match file(PICKLE) {
            Err(Error::NotFound { url, .. }) => Err(Error::NoWeights { url }),
            found => found.map(drop),
        },
    }
}

/// Says what a folder lacks to be a checkpoint, as the error to show.
///
/// # Errors
/// When `config.json` or the weights are missing.
pub fn check(folder: &Path) -> Result<()> {
    let lacking = |what: String| Error::BadCheckpoint { path: folder.to_owned(), message: what };
    if !folder.join(CONFIG).is_file() {
        return Err(lacking(format!("no {CONFIG} there; expected a folder with a checkpoint's files")));
    }
    if folder.join(SAFETENSORS).is_file() {
        return Ok(());
    }
    let index = folder.join(SAFETENSORS_INDEX);
    if index.is_file() {
        return match shards(&index)?.into_iter().find(|shard| !folder.join(shard).is_file()) {
            Some(shard) => Err(lacking(format!("{shard} is missing, which {SAFETENSORS_INDEX} names"))),
            None => Ok(()),
        };
    }
    if folder.join(PICKLE).is_file() {
        return Ok(());
    }
    Err(lacking(format!("no weights there; expected {SAFETENSORS}, {SAFETENSORS_INDEX} or {PICKLE}")))
}

/// Whether a folder needs nothing more: a program that only wanted the model may have left the
/// tokenizer's files out, or taken the vocabulary without the settings that say how to use it.
pub fn is_complete(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    let has_tokenizer = if has(VOCABULARY) { has(TOKENIZER_SETTINGS) } else { has(TOKENIZER) };
    has_tokenizer && check(folder).is_ok()
}

fn if_there(file: Result<PathBuf>) -> Result<Option<PathBuf>> {
    match file {
        Ok(path) => Ok(Some(path)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The files that `model.safetensors.index.json` spreads the tensors over.
fn shards(index: &Path) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: serde_json::Map<String, Value>,
    }
    let bad = |message: String| Error::BadCheckpoint { path: index.to_owned(), message };
    let text = fs::read(index).map_err(midashi_stage::Error::io("read", index))?;
    let parsed: Index = serde_json::from_slice(&text)
        .map_err(|error| bad(format!("{error}; expected an object with a weight_map")))?;
    let name = |(tensor, file): (&String, &Value)| match file.as_str() {
        Some(name) if is_plain_file_name(name) => Ok(name.to_owned()),
        _ => Err(bad(format!("weight_map places {tensor} in {file}; expected a plain file name"))),
    };
    parsed.weight_map.iter().map(name).collect()
}

/// Whether a name from outside may become a file name: nothing that leads to another folder.
pub(crate) fn is_plain_file_name(name: &str) -> bool {
    !name.starts_with('.')
        && !name.is_empty()
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_fetched_is_what_the_tokenizer_reads() {
        assert_eq!(super::TOKENIZER_FILES, midashi_tokenizer::TOKENIZER_FILES);
    }
}
