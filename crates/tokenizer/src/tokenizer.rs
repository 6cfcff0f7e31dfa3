//! The tokenizer of a checkpoint, whichever kind it is.

use std::path::Path;

use crate::dictionaries::Dictionaries;
use crate::dictionary::MecabDictionary;
use midashi_text::PAIR_SEPARATOR;

use crate::bert;
use crate::encoding::Encoded;
use crate::error::{Error, Result};
use crate::form::{Form, Found};
use crate::japanese::JapaneseTokenizer;
use crate::json::JsonTokenizer;
use crate::sentencepiece::SentencePieceTokenizer;
use crate::settings::{JSON, SPIECE, VOCABULARY};
use crate::trim::{KeptIds, Wanted, trim_class, trim_json, trim_lines, trim_words};
use crate::words::WordSplitter;

/// Rows that embeddings are padded with at most, and one more: they are padded to multiples of 8 to 1,024.
const MOST_PADDING: usize = 1024;

/// A checkpoint's tokenizer. Threads can share it; each makes its own [`Encoder`].
pub struct Tokenizer(Kind);

enum Kind {
    Japanese(Box<JapaneseTokenizer>),
    SentencePiece(Box<SentencePieceTokenizer>),
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
        let Found { form, is_pretokenized, .. } = Found::of(folder, default_dictionary, false)?;
        Ok(Self(match form {
            Form::Japanese { settings, vocabulary } => {
                Kind::Japanese(Box::new(JapaneseTokenizer::load(&vocabulary, *settings, dictionaries)?))
            }
            // Its words are separated by spaces in any case.
            Form::SentencePiece(settings) => {
                Kind::SentencePiece(Box::new(SentencePieceTokenizer::load(*settings)?))
            }
            Form::Bert => {
                let (file, json) = (folder.join(VOCABULARY), bert::tokenizer_json(folder)?);
                Kind::Json(Box::new(JsonTokenizer::of(&file, &json, is_pretokenized)?))
            }
            Form::Json => Kind::Json(Box::new(JsonTokenizer::load(&folder.join(JSON), is_pretokenized)?)),
        }))
    }

    /// Makes an encoder for one thread.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder(match &self.0 {
            Kind::Japanese(tokenizer) => EncoderKind::Japanese(tokenizer, tokenizer.splitter()),
            Kind::SentencePiece(tokenizer) => EncoderKind::SentencePiece(tokenizer),
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

    /// Number of ids, from 0: the number of rows that a model's word embeddings need. The ids of blank lines at the end of a
    /// `vocab.txt` do not count, because no text has them; of several, the earlier ones have no piece.
    pub fn vocabulary_size(&self) -> usize {
        let mut size = match &self.0 {
            Kind::Japanese(tokenizer) => tokenizer.vocabulary.len(),
            Kind::SentencePiece(tokenizer) => tokenizer.vocabulary.len(),
            Kind::Json(tokenizer) => tokenizer.vocabulary_size,
        };
        let piece = |id: usize| u32::try_from(id).ok().and_then(|id| self.token(id));
        while size > 0 && piece(size - 1).is_none_or(|piece| piece.is_empty()) {
            size -= 1;
        }
        size
    }

    /// Checks that this tokenizer fits word embeddings with `rows` rows, those of the checkpoint in `folder`. Returns the
    /// number of rows without an id.
    ///
    /// Every id needs a row. Rows without an id are accepted as in transformers, because checkpoints pad the embeddings to a round number. A `vocab.txt` of
    /// `BertJapaneseTokenizer` that is a whole round number too short is cut off or belongs to another model.
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
            (Some(MOST_PADDING..), Kind::Japanese(_)) => failed(
                "as many, or up to 1,023 fewer where the embeddings are padded; vocab.txt is cut off or another model's: \
                 take it from the same checkpoint",
            ),
            (Some(unused), _) => Ok(unused),
        }
    }

    /// Number of special tokens that are added to a text and to a pair. A `tokenizer.json` whose template for pairs was
    /// never set adds none to a pair: that is the default of the `tokenizers` library.
    pub fn special_tokens(&self) -> (usize, usize) {
        match &self.0 {
            Kind::Japanese(tokenizer) => (tokenizer.template.of_text(), tokenizer.template.of_pair()),
            Kind::SentencePiece(tokenizer) => (tokenizer.template.of_text(), tokenizer.template.of_pair()),
            Kind::Json(tokenizer) => tokenizer.special_tokens,
        }
    }

    /// The id of the unknown token, if there is one.
    pub fn unknown_id(&self) -> Option<i32> {
        match &self.0 {
            Kind::Japanese(tokenizer) => Some(tokenizer.unknown.cast_signed()),
            Kind::SentencePiece(tokenizer) => Some(tokenizer.unknown.cast_signed()),
            Kind::Json(tokenizer) => tokenizer.unknown_id.map(u32::cast_signed),
        }
    }

    /// Id and spelling of the token that replaces a word to hide it from the model: the mask token. It is the unknown token
    /// (if any) for a tokenizer without one, as for a `tokenizer.json` with neither `[MASK]` nor `<mask>`.
    pub fn replacement(&self) -> Option<(i32, String)> {
        match &self.0 {
            Kind::Japanese(tokenizer) => {
                let token = &tokenizer.settings.special_tokens.mask.content;
                Some((tokenizer.vocabulary.id(token)?.cast_signed(), token.clone()))
            }
            Kind::SentencePiece(tokenizer) => {
                let mask = tokenizer.settings.token("mask_token").map(|token| token.content.as_str());
                let id = mask.and_then(|mask| tokenizer.vocabulary.id(mask)).unwrap_or(tokenizer.unknown);
                Some((id.cast_signed(), tokenizer.vocabulary.token(id)?.to_owned()))
            }
            Kind::Json(tokenizer) => tokenizer.replacement(),
        }
    }

    /// The spelling of the token with this id.
    pub fn token(&self, id: u32) -> Option<String> {
        match &self.0 {
            Kind::Japanese(tokenizer) => tokenizer.vocabulary.token(id).map(str::to_owned),
            Kind::SentencePiece(tokenizer) => tokenizer.vocabulary.token(id).map(str::to_owned),
            Kind::Json(tokenizer) => tokenizer.inner.id_to_token(id),
        }
    }

    /// Trims the vocabulary in `folder`, a copy of the folder that this tokenizer was loaded from, to what is `wanted`,
    /// special tokens, and the pieces of Japanese, ASCII and punctuation. Ids stay in their order and have no gaps.
    ///
    /// A text in these scripts is cut into the same pieces as before, and so is nearly every text of which the pieces are
    /// wanted; [`Wanted::add_text`] makes it every text (decision 61).
    ///
    /// # Errors
    ///
    /// If a file cannot be read, understood or written.
    pub fn trim(&self, folder: &Path, wanted: &Wanted) -> Result<KeptIds> {
        match &self.0 {
            Kind::Japanese(tokenizer) => {
                let special = tokenizer.set_apart.iter().map(|(_, id)| *id).chain([tokenizer.unknown]);
                match tokenizer.model() {
                    Some(model) => trim_words(folder, Path::new(SPIECE), model, special, wanted),
                    None => trim_lines(folder, special, wanted),
                }
            }
            Kind::SentencePiece(tokenizer) => trim_class(folder, tokenizer, wanted),
            Kind::Json(tokenizer) if tokenizer.source() == VOCABULARY => {
                let added = tokenizer.inner.get_added_tokens_decoder();
                trim_lines(folder, added.keys().copied().chain(tokenizer.unknown_id), wanted)
            }
            Kind::Json(tokenizer) => trim_json(folder, tokenizer, wanted),
        }
    }

    /// One line: the kind of tokenizer, its dictionary and the size of its vocabulary.
    pub fn describe(&self) -> String {
        let pieces = self.vocabulary_size();
        match &self.0 {
            Kind::Japanese(tokenizer) => {
                format!("BertJapaneseTokenizer: {}, {pieces} pieces", tokenizer.settings.describe())
            }
            Kind::SentencePiece(tokenizer) => {
                let (class, model) = (tokenizer.settings.class.name(), &tokenizer.cutter.model);
                format!("{class}: SentencePiece {}, {pieces} pieces", model.algorithm())
            }
            Kind::Json(tokenizer) => {
                format!("{}: {}, {pieces} pieces", tokenizer.source(), tokenizer.model())
            }
        }
    }

    /// The settings in effect, by their keys in `tokenizer_config.json`. For a `tokenizer.json`, only the kind of model.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        match &self.0 {
            Kind::Japanese(tokenizer) => tokenizer.settings.list(),
            Kind::SentencePiece(tokenizer) => tokenizer.list(),
            Kind::Json(tokenizer) => vec![("model", tokenizer.model().to_owned())],
        }
    }
}

/// Encodes texts and reuses its working memory. With rayon: `par_iter().map_init(|| tokenizer.encoder(), …)`.
pub struct Encoder<'t>(EncoderKind<'t>);

enum EncoderKind<'t> {
    Japanese(&'t JapaneseTokenizer, WordSplitter<'t>),
    SentencePiece(&'t SentencePieceTokenizer),
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
            EncoderKind::SentencePiece(tokenizer) => tokenizer.encode(first, second, max_length)?,
            EncoderKind::Json(tokenizer) => tokenizer.encode(first, second, max_length)?,
        };
        let texts: Vec<&str> = [first].into_iter().chain(second).collect();
        encoded.encoding.original = texts.join(&String::from(PAIR_SEPARATOR));
        Ok(encoded)
    }
}
