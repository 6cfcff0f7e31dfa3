//! MeCab's compiled dictionary, read back into the text that Vibrato builds its own from.
//!
//! The PyPI packages `ipadic` and `unidic-lite` carry what published Japanese BERTs were made with, but compiled:
//! `sys.dic` and `unk.dic` (words), `matrix.bin` (connection costs), `char.bin` (character categories). The layouts
//! are those that MeCab 0.996 writes in `dictionary.cpp`, `connector.cpp` and `char_property.cpp`, little-endian;
//! they are said beside the types. Features (part of speech, reading) are left behind: only the words matter
//! here, and without them the dictionary is a fifth of the size.
//!
//! Every number is checked against the file's length before it is followed: a damaged file is an error, no panic.

mod categories;
mod double_array;
mod entries;
mod matrix;
#[cfg(any(test, fuzzing))]
pub(crate) mod packed;

use std::path::{Path, PathBuf};

use vibrato::SystemDictionaryBuilder;

use self::categories::Categories;
use self::entries::Entries;
use self::matrix::Matrix;
use crate::error::{Error, Result, read};

/// The four files of a compiled dictionary, in memory.
pub(crate) struct CompiledDictionary {
    folder: PathBuf,
    files: [Vec<u8>; 4],
}

impl CompiledDictionary {
    /// The file of the words, by which a dictionary's folder is known.
    pub(crate) const WORDS: &'static str = "sys.dic";
    /// The files, in the order in which they are kept.
    pub(crate) const FILES: [&'static str; 4] = [Self::WORDS, "unk.dic", "matrix.bin", "char.bin"];

    /// Reads the files of `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let [words, unknown, matrix, characters] = Self::FILES.map(|name| read(&folder.join(name)));
        Ok(Self { folder: folder.to_owned(), files: [words?, unknown?, matrix?, characters?] })
    }

    /// Builds Vibrato's dictionary.
    pub(crate) fn convert(&self) -> Result<vibrato::Dictionary> {
        let [words, unknown, matrix, characters] =
            std::array::from_fn(|i| Source { file: self.folder.join(Self::FILES[i]), bytes: &self.files[i] });
        let matrix = Matrix::new(&matrix)?;
        let categories = Categories::new(&characters)?;
        let words = Entries::new(&words, &matrix)?;
        let unknown = Entries::new(&unknown, &matrix)?;
        // MeCab refuses to start without an unknown word of every category; Vibrato would find no path.
        if let Some(missing) = categories.names.iter().find(|name| !unknown.has(name)) {
            return Err(unknown.source.malformed(
                "words",
                format!("no unknown word of category {missing}"),
                "at least one for each category of char.bin",
            ));
        }
        SystemDictionaryBuilder::from_readers(
            words.csv().as_bytes(),
            matrix.text(),
            categories.text().as_bytes(),
            unknown.csv().as_bytes(),
        )
        .map_err(|error| Error::Conversion { folder: self.folder.clone(), message: error.to_string() })
    }
}

/// A file's bytes, read by position with a check.
struct Source<'a> {
    file: PathBuf,
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(|| {
            self.malformed(format!("byte {at}"), "the end of the file", format!("{N} more bytes"))
        })
    }

    fn u16(&self, at: usize) -> Result<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// A name in a field of fixed length, filled up with zeros.
    fn name(&self, at: usize, length: usize) -> Result<&'a str> {
        let field = at.checked_add(length).and_then(|end| self.bytes.get(at..end)).ok_or_else(|| {
            self.malformed(format!("byte {at}"), "the end of the file", format!("{length} more bytes"))
        })?;
        let name = field.split(|&byte| byte == 0).next().unwrap_or_default();
        std::str::from_utf8(name)
            .map_err(|_| self.malformed(format!("byte {at}"), "bytes that are not UTF-8", "a name"))
    }

    fn malformed(
        &self,
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Error {
        Error::Malformed {
            file: self.file.clone(),
            place: place.into(),
            found: found.into(),
            expected: expected.into(),
            advice: "unpack the dictionary's package again",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
