//! A compiled dictionary and its conversion.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use vibrato::SystemDictionaryBuilder;

use super::categories::Categories;
use super::entries::Entries;
use super::matrix::Matrix;
use super::source::Source;
use crate::error::{Error, Result, open, read};

/// Bytes of a file that are hashed at a time: they fit a processor's cache.
const PART: usize = 1 << 17;

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

    /// SHA-256 of the files in `folder`, which are not kept in memory.
    pub(crate) fn sha256_of(folder: &Path) -> Result<String> {
        let mut hash = Sha256::new();
        for name in Self::FILES {
            let file = folder.join(name);
            add(&mut hash, &mut open(&file)?).map_err(|source| Error::Read { file, source })?;
        }
        Ok(hexadecimal(hash))
    }

    /// SHA-256 of the files in memory, as [`sha256_of`](Self::sha256_of) gives it for their folder.
    pub(crate) fn sha256(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for (mut bytes, name) in self.files.iter().map(Vec::as_slice).zip(Self::FILES) {
            add(&mut hash, &mut bytes)
                .map_err(|source| Error::Read { file: self.folder.join(name), source })?;
        }
        Ok(hexadecimal(hash))
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

/// Adds a file's bytes, then their number, which tells where the next file begins.
fn add(hash: &mut Sha256, file: &mut impl Read) -> std::io::Result<()> {
    let (mut part, mut length) = (vec![0; PART], 0_u64);
    loop {
        match file.read(&mut part)? {
            0 => break,
            count => {
                hash.update(&part[..count]);
                length += count as u64;
            }
        }
    }
    hash.update(length.to_le_bytes());
    Ok(())
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
