//! The files of a checkpoint.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// The file that every checkpoint has.
const CONFIG: &str = "config.json";
/// The model card, which states the licence; optional.
const CARD: &str = "README.md";

const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_SETTINGS: &str = "tokenizer_config.json";
const VOCABULARY: &str = "vocab.txt";

/// The tokenizer's files; each is optional. The list repeats `midashi_tokenizer::TOKENIZER_FILES` (a test compares them), so
/// that the download program need not be built with MeCab and tokenizers.
const TOKENIZER_FILES: [&str; 9] = [
    TOKENIZER,
    TOKENIZER_SETTINGS,
    VOCABULARY,
    "special_tokens_map.json",
    "added_tokens.json",
    SENTENCEPIECE[0],
    SENTENCEPIECE[1],
    SENTENCEPIECE[2],
    SENTENCEPIECE[3],
];

/// The names of SentencePiece models. They are not needed beside a `tokenizer.json`.
const SENTENCEPIECE: [&str; 4] = ["spiece.model", "sentencepiece.bpe.model", "spm.model", "tokenizer.model"];

const SAFETENSORS: &str = "model.safetensors";
const SAFETENSORS_INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";

/// Fetches a checkpoint's files one by one. `file` fetches the file of the given name and returns its path. The weights come
/// last, so that a folder with weights is complete.
///
/// Only the first available form of the weights is fetched: one safetensors file, safetensors in shards, or a pickle.
///
/// # Errors
/// When `file` fails, except with [`Error::NotFound`] for an optional file.
pub fn fetch(mut file: impl FnMut(&str) -> Result<PathBuf>) -> Result<()> {
    file(CONFIG)?;
    let mut has_tokenizer = false;
    for name in TOKENIZER_FILES.into_iter().chain([CARD]) {
        if has_tokenizer && SENTENCEPIECE.contains(&name) {
            continue;
        }
        has_tokenizer |= optional(file(name))?.is_some() && name == TOKENIZER;
    }
    if optional(file(SAFETENSORS))?.is_some() {
        return Ok(());
    }
    match optional(file(SAFETENSORS_INDEX))? {
        Some(index) => shards(&index)?.iter().try_for_each(|name| file(name).map(drop)),
        None => match file(PICKLE) {
            Err(Error::NotFound { url, .. }) => Err(Error::NoWeights { url }),
            found => found.map(drop),
        },
    }
}

/// Checks that a folder holds a checkpoint.
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

/// Whether a folder holds a checkpoint with its tokenizer. Another program may have fetched the model without the tokenizer,
/// or the vocabulary without its settings.
pub fn is_complete(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    let has_model = || SENTENCEPIECE.into_iter().any(has);
    let has_tokenizer = if has(VOCABULARY) { has(TOKENIZER_SETTINGS) } else { has(TOKENIZER) || has_model() };
    has_tokenizer && check(folder).is_ok()
}

/// The names of the files that a folder's checkpoint consists of, among them optional ones that it may lack.
///
/// # Errors
/// When the index of the weights cannot be read.
pub(crate) fn files(folder: &Path) -> Result<Vec<String>> {
    let mut files: Vec<String> =
        [CONFIG, CARD].into_iter().chain(TOKENIZER_FILES).map(str::to_owned).collect();
    if folder.join(SAFETENSORS).is_file() {
        files.push(SAFETENSORS.to_owned());
    } else if folder.join(SAFETENSORS_INDEX).is_file() {
        files.push(SAFETENSORS_INDEX.to_owned());
        files.extend(shards(&folder.join(SAFETENSORS_INDEX))?);
    } else {
        files.push(PICKLE.to_owned());
    }
    Ok(files)
}

fn optional(file: Result<PathBuf>) -> Result<Option<PathBuf>> {
    match file {
        Ok(path) => Ok(Some(path)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The files that `model.safetensors.index.json` names.
fn shards(index: &Path) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: serde_json::Map<String, Value>,
    }
    let bad = |message: String| Error::BadCheckpoint { path: index.to_owned(), message };
    let text = midashi_stage::read_file(index)?;
    let parsed: Index = serde_json::from_slice(&text)
        .map_err(|error| bad(format!("{error}; expected an object with a weight_map")))?;
    let name = |(tensor, file): (&String, &Value)| match file.as_str() {
        Some(name) if is_plain_file_name(name) => Ok(name.to_owned()),
        _ => Err(bad(format!("weight_map places {tensor} in {file}; expected a plain file name"))),
    };
    parsed.weight_map.iter().map(name).collect()
}

/// Whether an untrusted name can be a file name: it cannot lead to another folder.
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
