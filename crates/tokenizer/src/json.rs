//! `tokenizer.json`, which the `tokenizers` library reads and runs.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokenizers::{ModelWrapper, TruncationDirection};

use crate::Encoding;
use crate::error::{Error, Result, read_text};
use crate::settings::SpecialTokenNames;

/// A tokenizer from `tokenizer.json`.
pub(crate) struct JsonTokenizer {
    file: PathBuf,
    inner: tokenizers::Tokenizer,
    /// How many special tokens a text gets.
    special: usize,
    padding: u32,
    unknown: Option<u32>,
    /// Ids of the special tokens, in order.
    special_ids: Vec<u32>,
}

impl JsonTokenizer {
    pub(crate) fn load(file: &Path) -> Result<Self> {
        let failed =
            |error: tokenizers::Error| Error::Json { file: file.to_owned(), message: error.to_string() };
        let mut inner = tokenizers::Tokenizer::from_file(file).map_err(failed)?;
        let padding_by_file = inner.get_padding().map(|padding| padding.pad_id);
        // Lengths are the caller's to say, text by text.
        inner.with_truncation(None).map_err(failed)?;
        inner.with_padding(None);
        let mut special_ids: Vec<u32> = inner
            .get_added_tokens_decoder()
            .into_iter()
            .filter(|(_, token)| token.special)
            .map(|(id, _)| id)
            .collect();
        special_ids.sort_unstable();
        let padding = match padding_by_file {
            Some(id) => id,
            None => padding_id(file, &inner, &special_ids)?,
        };
        let unknown = unknown_id(file, &inner)?;
        let special = inner.encode("", true).map_err(failed)?.len();
        Ok(Self { file: file.to_owned(), inner, special, padding, unknown, special_ids })
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
        self.inner.get_vocab_size(true)
    }

    pub(crate) fn padding(&self) -> u32 {
        self.padding
    }

    pub(crate) fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    pub(crate) fn is_special(&self, id: u32) -> bool {
        self.special_ids.binary_search(&id).is_ok()
    }

    pub(crate) fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
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
        Ok(Encoding {
            text: text.to_owned(),
            input_ids: whole.get_ids().to_vec(),
            tokens: whole.get_tokens().to_vec(),
            word_ids: whole.get_word_ids().to_vec(),
            offsets: offsets.collect(),
            truncated,
        })
    }
}

/// The padding token that the files beside `file` name, else the usual spellings.
fn padding_id(file: &Path, inner: &tokenizers::Tokenizer, special_ids: &[u32]) -> Result<u32> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let named = SpecialTokenNames::read(folder)?.pad_token.map(|name| name.into_token().content);
    let candidates = named.as_deref().map_or(vec!["<pad>", "[PAD]"], |name| vec![name]);
    let found = candidates.iter().find_map(|token| inner.token_to_id(token));
    found.filter(|id| named.is_some() || special_ids.contains(id)).ok_or_else(|| Error::SpecialToken {
        file: file.to_owned(),
        role: "pad_token",
        token: candidates.join(" or "),
    })
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
