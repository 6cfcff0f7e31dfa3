//! The whole file.

use super::characters;
use super::cursor::Cursor;
use super::directory::{self, Directory};
use super::header::{self, Geometry};
use super::values::Values;
use super::vocabulary::{self, Vocabulary};
use crate::error::{Result, damaged};

/// An encoder with its tokenizer, as a file of the format `E5S1` holds them.
#[derive(Debug)]
pub struct PackedEncoder<'f> {
    geometry: Geometry,
    vocabulary: Vocabulary<'f>,
    characters: Vec<(char, String)>,
    directory: Directory<'f>,
}

impl<'f> PackedEncoder<'f> {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// When the bytes do not follow the format; the error names the place.
    pub fn parse(file: &'f [u8]) -> Result<Self> {
        let mut cursor = Cursor::new(file);
        let geometry = header::read(&mut cursor)?;
        let vocabulary = vocabulary::read(&mut cursor)?;
        if vocabulary.pieces.len() > geometry.vocabulary_rows {
            return Err(damaged(
                "header",
                format!(
                    "{} pieces and {} word embeddings",
                    vocabulary.pieces.len(),
                    geometry.vocabulary_rows
                ),
                "an embedding for every piece",
            ));
        }
        let characters = characters::read(&mut cursor)?;
        let directory = directory::read(&mut cursor, file)?;
        Ok(Self { geometry, vocabulary, characters, directory })
    }

    /// The encoder's sizes.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The tokenizer's pieces.
    pub fn vocabulary(&self) -> &Vocabulary<'f> {
        &self.vocabulary
    }

    /// The characters that change before a text is cut into pieces, ascending, each with its replacement.
    pub fn characters(&self) -> &[(char, String)] {
        &self.characters
    }

    /// The tensor `name`, which has the given shape.
    ///
    /// # Errors
    /// When it is missing or has another number of elements.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Values<'f>> {
        let wrong = |found: String| {
            damaged(format!("tensor {name:?}"), found, format!("numbers of the shape {shape:?}"))
        };
        let values = *self.directory.get(name).ok_or_else(|| wrong("no such tensor".to_owned()))?;
        let expected = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        if Some(values.len()) == expected {
            Ok(values)
        } else {
            Err(wrong(format!("{} numbers", values.len())))
        }
    }
}
