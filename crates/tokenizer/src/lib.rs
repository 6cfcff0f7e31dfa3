//! Japanese text to BERT ids, identical to what transformers makes of it.
//!
//! Two kinds of checkpoint are read. Those of transformers' `BertJapaneseTokenizer` (`vocab.txt` and
//! `tokenizer_config.json`): NFKC and MeCab's words, or the words of white space and punctuation, then WordPiece or
//! characters. And those with a `tokenizer.json`.
//! What is not supported is an error that says so; nothing is guessed.
//!
//! ```no_run
//! use midashi_tokenizer::{Dictionaries, Tokenizer};
//!
//! # fn main() -> Result<(), midashi_tokenizer::Error> {
//! let dictionaries = Dictionaries::below("cache".as_ref()); // where `make setup` puts them
//! let tokenizer = Tokenizer::load("checkpoint".as_ref(), &dictionaries, None)?;
//!
//! let mut encoder = tokenizer.encoder(); // one a thread
//! let encoded = encoder.encode("イット、株式会社に入社", 128)?;
//! assert_eq!(encoded.encoding.tokens[0], "[CLS]");
//! # Ok(())
//! # }
//! ```
//!
//! What it is not: it knows no corpus, no model and no padding of batches (what fills them is the model's
//! business: `pad_token_id` in its `config.json`), reads no environment variables, and finds no folders by itself.

mod aligned;
mod basic;
mod cache;
mod dictionaries;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod japanese;
mod json;
mod learn;
mod mecab;
mod requirements;
mod settings;
mod vocabulary;
mod wordpiece;
mod words;

use std::path::Path;

use midashi_text::Encoding;
pub use midashi_text::PAIR_SEPARATOR;

pub use dictionaries::{Dictionaries, MecabDictionary, UnknownDictionary};
pub use error::Error;
use error::Result;
use japanese::JapaneseTokenizer;
use json::JsonTokenizer;
pub use learn::{VocabularySize, learn_vocabulary};
use requirements::Form;
pub use requirements::Requirements;
pub use settings::TOKENIZER_FILES;
use settings::{JSON, VOCABULARY, WordSettings};
use wordpiece::Subwords;
use words::WordSplitter;

/// An encoded text, and whether it was truncated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The text as the model reads it.
    pub encoding: Encoding,
    /// Whether tokens at the end of the text, or of a pair's second text, were dropped.
    pub truncated: bool,
    /// Whether the first text of a pair was truncated too, so that nothing is left of the second.
    pub first_truncated: bool,
}

/// A checkpoint's tokenizer. It can be shared between threads; each makes its own [`Encoder`].
pub struct Tokenizer(Kind);

enum Kind {
    Japanese(Box<JapaneseTokenizer>),
    Json(Box<JsonTokenizer>),
}

impl Tokenizer {
    /// Loads the tokenizer of the checkpoint in `folder`.
    ///
    /// `default_dictionary` is taken if the checkpoint uses MeCab and names no dictionary. transformers' own default
    /// has changed between its versions, so there is none here.
    ///
    /// # Errors
    ///
    /// If a file is missing or malformed, or asks for what is not supported (see [`Error`]).
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

    /// An encoder of this tokenizer, for one thread.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder(match &self.0 {
            Kind::Japanese(tokenizer) => EncoderKind::Japanese(tokenizer, tokenizer.splitter()),
            Kind::Json(tokenizer) => EncoderKind::Json(tokenizer),
        })
    }

    /// Encodes one text; [`Encoder::encode`] with an encoder made for it, so slower.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    pub fn encode(&self, text: &str, max_length: usize) -> Result<Encoded> {
        self.encoder().encode(text, max_length)
    }

    /// How many ids there are, from 0: the rows that a model's word embeddings must have.
    pub fn vocabulary_size(&self) -> usize {
        match &self.0 {
            Kind::Japanese(tokenizer) => tokenizer.vocabulary().len(),
            Kind::Json(tokenizer) => tokenizer.vocabulary_size(),
        }
    }

    /// Checks that the checkpoint in `folder`, whose word embeddings have so many rows, is this tokenizer's, and says how
    /// many rows have no id.
    ///
    /// Every id must have a row. Rows without an id may only stand beside a `tokenizer.json`, where some checkpoints pad
    /// them to a round number; a `vocab.txt` that is too short is another model's or cut off.
    ///
    /// # Errors
    ///
    /// If there are more ids than rows, or fewer where there should be as many.
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

    /// How many special tokens a text gets, and how many a pair. A `tokenizer.json` whose template for pairs was never
    /// set has the `tokenizers` library's own, which gives none: nothing stands before the first text.
    pub fn special_tokens(&self) -> (usize, usize) {
        match &self.0 {
            Kind::Japanese(_) => (japanese::SPECIAL, japanese::SPECIAL_OF_PAIRS),
            Kind::Json(tokenizer) => tokenizer.special_tokens(),
        }
    }

    /// The id of what the vocabulary cannot spell, if there is one.
    pub fn unknown_id(&self) -> Option<u32> {
        match &self.0 {
            Kind::Japanese(tokenizer) => Some(tokenizer.special.unknown),
            Kind::Json(tokenizer) => tokenizer.unknown(),
        }
    }

    /// The token that stands for a word that is hidden from the model: the mask token; of a `tokenizer.json` without
    /// `[MASK]` and `<mask>` among its special tokens the unknown token, if there is one. Its id and its spelling.
    pub fn replacement(&self) -> Option<(i32, String)> {
        match &self.0 {
            Kind::Japanese(tokenizer) => {
                let token = &tokenizer.settings().special_tokens.mask.content;
                Some((tokenizer.vocabulary().id(token)?.cast_signed(), token.clone()))
            }
            Kind::Json(tokenizer) => tokenizer.replacement(),
        }
    }

    /// One line: the kind of tokenizer, its dictionary, the size of its vocabulary.
    pub fn describe(&self) -> String {
        let pieces = self.vocabulary_size();
        match &self.0 {
            Kind::Japanese(tokenizer) => {
                let settings = tokenizer.settings();
                let words = match &settings.words {
                    WordSettings::Mecab { dictionary, .. } => format!("MeCab with {dictionary}"),
                    WordSettings::Basic => "basic words".to_owned(),
                };
                let subwords = match settings.subwords {
                    Subwords::WordPiece => "WordPiece",
                    Subwords::Characters => "characters",
                };
                format!("BertJapaneseTokenizer: {words}, {subwords}, {pieces} pieces")
            }
            Kind::Json(tokenizer) => format!("tokenizer.json: {}, {pieces} pieces", tokenizer.model()),
        }
    }

    /// What it does, by the keys of `tokenizer_config.json`; of a `tokenizer.json` only what kind of model it is.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let settings = match &self.0 {
            Kind::Japanese(tokenizer) => tokenizer.settings(),
            Kind::Json(tokenizer) => return vec![("model", tokenizer.model().to_owned())],
        };
        let words = match &settings.words {
            WordSettings::Basic => vec![("word_tokenizer_type", "basic".to_owned())],
            WordSettings::Mecab { dictionary, normalise } => vec![
                ("word_tokenizer_type", "mecab".to_owned()),
                ("mecab_dic", dictionary.to_string()),
                ("normalize_text", normalise.to_string()),
            ],
        };
        let subwords = match settings.subwords {
            Subwords::WordPiece => "wordpiece",
            Subwords::Characters => "character",
        };
        let rest = [
            ("subword_tokenizer_type", subwords.to_owned()),
            ("do_lower_case", settings.lower_case.to_string()),
            ("never_split", settings.never_split.join(" ")),
        ];
        let special = settings.special_tokens.iter().map(|(key, token)| (key, token.content.clone()));
        let all = words.into_iter().chain(rest).chain(special);
        all.filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// Encodes texts, and keeps its working memory between them. With rayon: `par_iter().map_init(|| tokenizer.encoder(), …)`.
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
    /// If `max_length` leaves no room beside the special tokens, or the `tokenizers` library refuses the text.
    pub fn encode(&mut self, text: &str, max_length: usize) -> Result<Encoded> {
        self.encode_texts(text, None, max_length)
    }

    /// Encodes a pair of texts to at most `max_length` tokens, special tokens included: transformers' `tokenizer(first,
    /// second, truncation="only_second", max_length=max_length)`, with one difference. Where the first text alone does
    /// not fit, transformers raises an error or gives more tokens than that; here its end is dropped too.
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
