//! A packed encoder: one little-endian file with the sizes, the tokenizer and the tensors of a BERT encoder.
//!
//! The parts follow one another without padding: the header (`header.rs`), the vocabulary (`vocabulary.rs`), the map of
//! characters (`characters.rs`) and the directory of tensors (`directory.rs`), which says where in the file the tensors
//! are. Nothing is allocated or followed before the file's length has been checked.

mod characters;
mod cursor;
mod directory;
mod encoder;
mod header;
mod values;
mod vocabulary;

pub use encoder::PackedEncoder;
pub use header::Geometry;
pub use values::{Block, Values};
pub use vocabulary::{Piece, SpecialPieces, Vocabulary};
