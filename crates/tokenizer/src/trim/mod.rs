//! Trimming a vocabulary: the pieces that a corpus uses, and those of Japanese, ASCII and punctuation.
//!
//! Decision 61 proves that neither the corpus nor a text in the kept scripts is cut into other pieces.

mod bytes;
mod file;
mod json;
mod kept_ids;
mod lines;
mod merges;
mod scripts;
mod sentencepiece;
mod settings;
mod wanted;

pub(crate) use json::trim_json;
pub use kept_ids::KeptIds;
pub(crate) use lines::trim_lines;
pub(crate) use sentencepiece::{trim_class, trim_words};
pub use wanted::Wanted;
