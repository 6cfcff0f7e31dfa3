#![doc = include_str!("../README.md")]

mod aligned;
mod basic;
mod bert;
mod builder;
mod cache;
mod dictionaries;
mod dictionary;
mod encoding;
mod error;
mod form;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod japanese;
mod json;
mod learn;
mod library;
mod mecab;
mod requirements;
mod sentencepiece;
mod set_apart;
mod settings;
mod tokenizer;
mod transformers;
mod trim;
mod vocabulary;
mod windows;
mod wordpiece;
mod words;

pub use dictionaries::{Dictionaries, Unsaved};
pub use dictionary::{MecabDictionary, UnknownDictionary};
pub use encoding::Encoded;
pub use error::{Error, Result};
pub use learn::{VocabularySize, learn_vocabulary};
pub use midashi_text::{Encoding, PAIR_SEPARATOR, Windowing};
pub use requirements::Requirements;
pub use settings::TOKENIZER_FILES;
pub use tokenizer::{Encoder, Tokenizer};
pub use transformers::write_for_transformers;
pub use trim::{KeptIds, Wanted};
pub use windows::Length;
