//! `tokenizer.json`, which the `tokenizers` library reads and runs.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokenizers::{ModelWrapper, TruncationDirection};

use crate::Encoding;
use crate::error::{Error, Result, read_text};

/// A tokenizer from `tokenizer.json`.
pub(crate) struct JsonTokenizer {
    file: PathBuf,
    inner: tokenizers::Tokenizer,
    /// How many special tokens a text gets.
    special: usize,
    unknown: Option<u32>,
    vocabulary_size: usize,
}

impl JsonTokenizer {
    pub(crate) fn load(file: &Path) -> Result<Self> {
        let failed =
            |error: tokenizers::Error| Error::Json { file: file.to_owned(), message: error.to_string() };
        let mut inner = tokenizers::Tokenizer::from_file(file).map_err(failed)?;
        // Lengths are the caller's to say, text by text.
        inner.with_truncation(None).map_err(failed)?;
        inner.with_padding(None);
        let unknown = unknown_id(file, &inner)?;
        let special = inner.encode("", true).map_err(failed)?.len();
        // The ids may have gaps, so counting them would not do.
        let largest = inner.get_vocab(true).into_values().max();
        let vocabulary_size = largest.map_or(0, |id| id as usize + 1);
        Ok(Self { file: file.to_owned(), inner, special, unknown, vocabulary_size })
    }

    /// The library, with which its file's own kind of model is named.
    pub(crate) fn model(&self) -> &'static str {
        match self.inner.get_model() {
            ModelWrapper::BPE(_) => "BPE",
            ModelWrapper::WordPiece(_) => "WordPiece",
            ModelWrapper::WordLevel(_) => "words",
            ModelWrapper::Unigram(_) => "Unigram",
        }
    }

    pub(crate) fn vocabulary_size(&self) -> usize {
        self.vocabulary_size
    }

    pub(crate) fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// Encodes one text; pieces that do not fit are dropped at its end, before the closing special token.
    pub(crate) fn encode(&self, text: &str, max_length: usize) -> Result<Encoding> {
        let failed =
            |error: tokenizers::Error| Error::Json { file: self.file.clone(), message: error.to_string() };
        let room = max_length.checked_sub(self.special).filter(|&room| room > 0);
        let room = room.ok_or(Error::MaxLength { found: max_length, special: self.special })?;
        let mut pieces = self.inner.encode_char_offsets(text, false).map_err(failed)?;
        let truncated = pieces.len() > room;
        pieces.truncate(room, 0, TruncationDirection::Right);
        let whole = self.inner.post_process(pieces, None, true).map_err(failed)?;
        let offsets = whole.get_offsets().iter().map(|&(start, end)| (start as u32, end as u32));
        let offsets: Vec<_> = offsets.collect();
        Ok(Encoding {
            text: text.to_owned(),
            input_ids: whole.get_ids().to_vec(),
            tokens: whole.get_tokens().to_vec(),
            word_ids: whole.get_word_ids().to_vec(),
            original_offsets: offsets.clone(),
            offsets,
            truncated,
        })
    }
}

/// What the model makes of text it cannot spell. The library keeps this to itself for some models, so the file is
/// asked: Unigram names an id, the other models a token.
fn unknown_id(file: &Path, inner: &tokenizers::Tokenizer) -> Result<Option<u32>> {
    #[derive(Deserialize)]
    struct TokenizerFile {
        model: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        unk_id: Option<u32>,
        unk_token: Option<String>,
    }
    let failed = |error: serde_json::Error| Error::Json { file: file.to_owned(), message: error.to_string() };
    let TokenizerFile { model } = serde_json::from_str(&read_text(file)?).map_err(failed)?;
    Ok(model.unk_id.or_else(|| inner.token_to_id(&model.unk_token?)))
}
