#![doc = include_str!("../README.md")]

mod checkpoint;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod packed;

pub use checkpoint::{Origin, write_checkpoint};
pub use error::{Error, Result};
pub use packed::{Block, Geometry, PackedEncoder, Piece, SpecialPieces, Values, Vocabulary};
