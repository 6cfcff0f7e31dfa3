//! The tokenizer of a checkpoint, whichever of the two kinds it is.

use std::path::Path;

use crate::dictionaries::Dictionaries;
use crate::dictionary::MecabDictionary;
use midashi_text::PAIR_SEPARATOR;

use crate::encoding::Encoded;
use crate::error::{Error, Result};
use crate::japanese::{JapaneseTokenizer, SPECIAL, SPECIAL_OF_PAIRS};
use crate::json::JsonTokenizer;
use crate::requirements::Form;
use crate::settings::{JSON, VOCABULARY};
use crate::words::WordSplitter;

/// A checkpoint's tokenizer. Threads can share it; each makes its own [`Encoder`].
pub struct Tokenizer(Kind);

enum Kind {
    Japanese(Box<JapaneseTokenizer>),
    Json(Box<JsonTokenizer>),
}

impl Tokenizer {
    /// Loads the tokenizer of the checkpoint in `folder`.
    ///
    /// `default_dictionary` is used if the checkpoint needs MeCab and names no dictionary. This crate has no default of its
    /// own, because transformers changed its default between versions.
    ///
    /// # Errors
    ///
    /// If a file is missing or malformed, or a setting is not supported (see [`Error`]).
    pub fn load(
        folder: &Path,
        dictionaries: &Dictionaries,
        default_dictionary: Option<&MecabDictionary>,
    ) -> Result<Self> {
        Ok(Self(match Form::of(folder, default_dictionary)? {
            Form::Japanese(settings) => {
                let vocabulary = folder.join(VOCABULARY);
                Kind::Japanese(Box::new(JapaneseTokenizer::load(&vocabulary, *settings, dictionaries)?))
            }
            Form::Json => Kind::Json(Box::new(JsonTokenizer::load(&folder.join(JSON))?)),
        }))
    }

    /// Makes an encoder for one thread.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder(match &self.0 {
            Kind::Japanese(tokenizer) => EncoderKind::Japanese(tokenizer, tokenizer.splitter()),
            Kind::Json(tokenizer) => EncoderKind::Json(tokenizer),
        })
    }

    /// Encodes one text. [`Encoder::encode`] is faster for several texts, because this makes an encoder each time.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    pub fn encode(&self, text: &str, max_length: usize) -> Result<Encoded> {
        self.encoder().encode(text, max_length)
    }

    /// Number of ids, from 0: the number of rows that a model's word embeddings need.
    pub fn vocabulary_size(&self) -> usize {
        match &self.0 {
            Kind::Japanese(tokenizer) => tokenizer.vocabulary.len(),
            Kind::Json(tokenizer) => tokenizer.vocabulary_size,
        }
    }

    /// Checks that this tokenizer fits word embeddings with `rows` rows, those of the checkpoint in `folder`. Returns the
    /// number of rows without an id.
    ///
    /// Every id needs a row. Rows without an id are accepted only with a `tokenizer.json`, because some of its checkpoints
    /// pad the embeddings to a round number. A `vocab.txt` that is too short is cut off or belongs to another model.
    ///
    /// # Errors
    ///
    /// If there are more ids than rows, or fewer ids in a `vocab.txt`.
    pub fn check_embeddings(&self, rows: usize, folder: &Path) -> Result<usize> {
        let ids = self.vocabulary_size();
        let failed = |expected| Err(Error::Embeddings { folder: folder.to_owned(), ids, rows, expected });
        match (rows.checked_sub(ids), &self.0) {
            (None, _) => {
                failed("no more ids than that; take tokenizer and config.json from the same checkpoint")
            }
            (Some(1..), Kind::Japanese(_)) => {
                failed("as many; vocab.txt is cut off or another model's: take it from the same checkpoint")
            }
            (Some(unused), _) => Ok(unused),
        }
    }

    /// Number of special tokens that are added to a text and to a pair. A `tokenizer.json` whose template for pairs was
    /// never set adds none to a pair: that is the default of the `tokenizers` library.
    pub fn special_tokens(&self) -> (usize, usize) {
        match &self.0 {
            Kind::Japanese(_) => (SPECIAL, SPECIAL_OF_PAIRS),
            Kind::Json(tokenizer) => tokenizer.special_tokens,
        }
    }

    /// The id of the unknown token, if there is one.
    pub fn unknown_id(&self) -> Option<i32> {
        match &self.0 {
            Kind::Japanese(tokenizer) => Some(tokenizer.special.unknown.cast_signed()),
            Kind::Json(tokenizer) => tokenizer.unknown_id.map(u32::cast_signed),
        }
    }

    /// Id and spelling of the token that replaces a word to hide it from the model: the mask token. It is the unknown token
    /// (if any) for a `tokenizer.json` that has neither `[MASK]` nor `<mask>` among its special tokens.
    pub fn replacement(&self) -> Option<(i32, String)> {
        match &self.0 {
            Kind::Japanese(tokenizer) => {
                let token = &tokenizer.settings.special_tokens.mask.content;
                Some((tokenizer.vocabulary.id(token)?.cast_signed(), token.clone()))
            }
            Kind::Json(tokenizer) => tokenizer.replacement(),
        }
    }

    /// One line: the kind of tokenizer, its dictionary and the size of its vocabulary.
    pub fn describe(&self) -> String {
        let pieces = self.vocabulary_size();
        match &self.0 {
            Kind::Japanese(tokenizer) => {
                format!("BertJapaneseTokenizer: {}, {pieces} pieces", tokenizer.settings.describe())
            }
            Kind::Json(tokenizer) => format!("tokenizer.json: {}, {pieces} pieces", tokenizer.model()),
        }
    }

    /// The settings in effect, by their keys in `tokenizer_config.json`. For a `tokenizer.json`, only the kind of model.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        match &self.0 {
            Kind::Japanese(tokenizer) => tokenizer.settings.list(),
            Kind::Json(tokenizer) => vec![("model", tokenizer.model().to_owned())],
        }
    }
}

/// Encodes texts and reuses its working memory. With rayon: `par_iter().map_init(|| tokenizer.encoder(), …)`.
pub struct Encoder<'t>(EncoderKind<'t>);

enum EncoderKind<'t> {
    Japanese(&'t JapaneseTokenizer, WordSplitter<'t>),
    Json(&'t JsonTokenizer),
}

impl Encoder<'_> {
    /// Encodes one text to at most `max_length` tokens, special tokens included.
    ///
    /// # Errors
    ///
    /// If `max_length` has no room for a token besides the special ones, or the `tokenizers` library rejects the text.
    pub fn encode(&mut self, text: &str, max_length: usize) -> Result<Encoded> {
        self.encode_texts(text, None, max_length)
    }

    /// Encodes a pair of texts to at most `max_length` tokens, special tokens included, as transformers'
    /// `tokenizer(first, second, truncation="only_second", max_length=max_length)` does, with one difference: if the first
    /// text alone does not fit, its end is dropped too, where transformers raises an error or exceeds the length.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    pub fn encode_pair(&mut self, first: &str, second: &str, max_length: usize) -> Result<Encoded> {
        self.encode_texts(first, Some(second), max_length)
    }

    fn encode_texts(&mut self, first: &str, second: Option<&str>, max_length: usize) -> Result<Encoded> {
        let mut encoded = match &mut self.0 {
            EncoderKind::Japanese(tokenizer, splitter) => {
                tokenizer.encode(splitter, first, second, max_length)?
            }
            EncoderKind::Json(tokenizer) => tokenizer.encode(first, second, max_length)?,
        };
        let texts: Vec<&str> = [first].into_iter().chain(second).collect();
        encoded.encoding.original = texts.join(&String::from(PAIR_SEPARATOR));
        Ok(encoded)
    }
}
