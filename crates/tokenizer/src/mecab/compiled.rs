//! A compiled dictionary and its conversion.

use std::path::{Path, PathBuf};

use vibrato::SystemDictionaryBuilder;

use super::categories::Categories;
use super::entries::Entries;
use super::matrix::Matrix;
use super::source::Source;
use crate::error::{Error, Result, read};

/// The four files of a compiled dictionary, in memory.
pub(crate) struct CompiledDictionary {
    pub(super) folder: PathBuf,
    pub(super) files: [Vec<u8>; 4],
}

impl CompiledDictionary {
    /// The file of the words, by which a dictionary's folder is recognised.
    pub(crate) const WORDS: &'static str = "sys.dic";
    /// The names of the files, in the order of `files`.
    pub(crate) const FILES: [&'static str; 4] = [Self::WORDS, "unk.dic", "matrix.bin", "char.bin"];

    /// Reads the files in `folder`.
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
        // MeCab does not start without an unknown word of every category. Vibrato would find no path.
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
