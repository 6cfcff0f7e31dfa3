//! Japanese text to BERT ids and back, identical to what transformers makes of it.
//!
//! Two kinds of checkpoint are read. Those of transformers' `BertJapaneseTokenizer` (`vocab.txt` and
//! `tokenizer_config.json`): NFKC, MeCab's words, then WordPiece or characters. And those with a `tokenizer.json`.
//! What is not supported is an error that says so; nothing is guessed.
//!
//! ```no_run
//! use midashi_tokenizer::{Dictionaries, MecabDictionary, Tokenizer};
//!
//! # fn main() -> Result<(), midashi_tokenizer::Error> {
//! let dictionaries = Dictionaries::new("cache/converted").with(MecabDictionary::Ipadic, "cache/ipadic");
//! let tokenizer = Tokenizer::load("checkpoint".as_ref(), &dictionaries, None)?;
//!
//! let mut encoder = tokenizer.encoder(); // one a thread
//! let encoding = encoder.encode("イット、株式会社に入社", 128)?;
//! assert_eq!(encoding.tokens[0], "[CLS]");
//! # Ok(())
//! # }
//! ```
//!
//! What it is not: it knows no corpus, no model and no padding of batches, reads no environment variables, and
//! finds no folders by itself.

mod dictionaries;
mod error;
mod japanese;
mod json;
mod learn;
mod mecab;
mod settings;
mod vocabulary;
mod wordpiece;

use std::path::{Path, PathBuf};

pub use dictionaries::{Dictionaries, MecabDictionary, UnknownDictionary};
pub use error::Error;
use error::Result;
use japanese::{JapaneseTokenizer, WordSplitter};
use json::JsonTokenizer;
pub use learn::{VocabularySize, learn_vocabulary};
use settings::{SETTINGS, Settings};
use wordpiece::Subwords;

/// One text as a model reads it, special tokens included. The vectors are equally long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The text that `offsets` refer to: normalised (NFKC) where the tokenizer normalises before it splits words, the
    /// text as given where it is a `tokenizer.json`.
    pub text: String,
    /// Ids of the pieces.
    pub input_ids: Vec<u32>,
    /// The pieces as the vocabulary spells them.
    pub tokens: Vec<String>,
    /// Which word a piece belongs to, from 0; none for special tokens.
    pub word_ids: Vec<Option<u32>>,
    /// Start and end in characters (Unicode scalar values) of `text`. (0, 0) for the special tokens that the text did
    /// not contain itself.
    pub offsets: Vec<(u32, u32)>,
    /// Whether pieces at the end of the text were dropped.
    pub truncated: bool,
}

/// A checkpoint's tokenizer. It can be shared between threads; each makes its own [`Encoder`].
pub struct Tokenizer {
    kind: Kind,
    files: Vec<PathBuf>,
}

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
        default_dictionary: Option<MecabDictionary>,
    ) -> Result<Self> {
        let (vocabulary, json) = (folder.join("vocab.txt"), folder.join("tokenizer.json"));
        let settings = Settings::read(folder)?;
        let kind = match settings {
            // As transformers does: BertJapaneseTokenizer never reads a tokenizer.json.
            Some(settings) if settings.is_japanese() && vocabulary.is_file() => {
                let settings = settings.japanese(folder, default_dictionary)?;
                Kind::Japanese(Box::new(JapaneseTokenizer::load(&vocabulary, settings, dictionaries)?))
            }
            _ if json.is_file() => Kind::Json(Box::new(JsonTokenizer::load(&json)?)),
            settings if vocabulary.is_file() => {
                let class = settings.as_ref().and_then(Settings::class).unwrap_or("missing");
                return Err(Error::Unsupported {
                    file: folder.join(SETTINGS),
                    setting: "tokenizer_class",
                    found: class.to_owned(),
                    supported: "BertJapaneseTokenizer with vocab.txt, any class with tokenizer.json",
                });
            }
            _ => return Err(Error::NoTokenizer { folder: folder.to_owned() }),
        };
        Ok(Self { kind, files: settings::tokenizer_files(folder) })
    }

    /// An encoder of this tokenizer, for one thread.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder(match &self.kind {
            Kind::Japanese(tokenizer) => EncoderKind::Japanese(tokenizer, Box::new(tokenizer.splitter())),
            Kind::Json(tokenizer) => EncoderKind::Json(tokenizer),
        })
    }

    /// Encodes one text; [`Encoder::encode`] with an encoder made for it, so slower.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    pub fn encode(&self, text: &str, max_length: usize) -> Result<Encoding> {
        self.encoder().encode(text, max_length)
    }

    /// How many ids there are, from 0: the rows that a model's word embeddings must have.
    pub fn vocabulary_size(&self) -> usize {
        match &self.kind {
            Kind::Japanese(tokenizer) => tokenizer.vocabulary().len(),
            Kind::Json(tokenizer) => tokenizer.vocabulary_size(),
        }
    }

    /// The id that fills up a batch.
    pub fn pad_id(&self) -> u32 {
        match &self.kind {
            Kind::Japanese(tokenizer) => tokenizer.special.padding,
            Kind::Json(tokenizer) => tokenizer.padding(),
        }
    }

    /// The id of what the vocabulary cannot spell, if there is one.
    pub fn unknown_id(&self) -> Option<u32> {
        match &self.kind {
            Kind::Japanese(tokenizer) => Some(tokenizer.special.unknown),
            Kind::Json(tokenizer) => tokenizer.unknown(),
        }
    }

    /// Whether this is the id of a special token, `[UNK]` among them.
    pub fn is_special(&self, id: u32) -> bool {
        match &self.kind {
            Kind::Japanese(tokenizer) => tokenizer.is_special(id),
            Kind::Json(tokenizer) => tokenizer.is_special(id),
        }
    }

    /// The piece with this id, as the vocabulary spells it.
    pub fn token(&self, id: u32) -> Option<String> {
        match &self.kind {
            Kind::Japanese(tokenizer) => tokenizer.vocabulary().token(id).map(str::to_owned),
            Kind::Json(tokenizer) => tokenizer.token(id),
        }
    }

    /// One line: the kind of tokenizer, its dictionary, the size of its vocabulary.
    pub fn describe(&self) -> String {
        let pieces = self.vocabulary_size();
        match &self.kind {
            Kind::Japanese(tokenizer) => {
                let subwords = match tokenizer.subwords() {
                    Subwords::WordPiece => "WordPiece",
                    Subwords::Characters => "characters",
                };
                format!(
                    "BertJapaneseTokenizer: MeCab with {}, {subwords}, {pieces} pieces",
                    tokenizer.dictionary()
                )
            }
            Kind::Json(tokenizer) => format!("tokenizer.json: {}, {pieces} pieces", tokenizer.model()),
        }
    }

    /// The tokenizer's files, which a copy of the checkpoint must carry.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// Encodes texts, and keeps its working memory between them. With rayon: `par_iter().map_init(|| tokenizer.encoder(), …)`.
pub struct Encoder<'t>(EncoderKind<'t>);

enum EncoderKind<'t> {
    Japanese(&'t JapaneseTokenizer, Box<WordSplitter<'t>>),
    Json(&'t JsonTokenizer),
}

impl Encoder<'_> {
    /// Encodes one text to at most `max_length` tokens, special tokens included.
    ///
    /// # Errors
    ///
    /// If `max_length` leaves no room beside the special tokens, or the `tokenizers` library refuses the text.
    pub fn encode(&mut self, text: &str, max_length: usize) -> Result<Encoding> {
        match &mut self.0 {
            EncoderKind::Japanese(tokenizer, splitter) => tokenizer.encode(splitter, text, max_length),
            EncoderKind::Json(tokenizer) => tokenizer.encode(text, max_length),
        }
    }
}
