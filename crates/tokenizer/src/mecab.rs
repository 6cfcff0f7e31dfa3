//! MeCab's compiled dictionary, converted to the text that Vibrato builds its own dictionary from.
//!
//! The PyPI packages `ipadic` and `unidic-lite` contain the dictionaries of published Japanese BERTs in compiled form:
//! `sys.dic` and `unk.dic` (words), `matrix.bin` (connection costs) and `char.bin` (character categories). The layouts are
//! those that MeCab 0.996 writes in `dictionary.cpp`, `connector.cpp` and `char_property.cpp`, little-endian; the types
//! below document them. Features (part of speech, reading) are dropped: only the words matter here, and without features
//! the dictionary is a fifth of the size.
//!
//! Every position is checked against the file's length: a damaged file is an error and never a panic.

mod categories;
mod compiled;
mod double_array;
mod entries;
mod matrix;
#[cfg(any(test, fuzzing))]
pub(crate) mod packed;
mod source;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub(crate) use compiled::CompiledDictionary;
