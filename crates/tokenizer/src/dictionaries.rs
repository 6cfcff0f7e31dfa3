//! Where MeCab's dictionaries are, and the converted copies that load in a fraction of a second.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::mecab::CompiledDictionary;

/// Raised when the conversion itself changes, so that older copies are not taken for current ones.
const CONVERSION: u32 = 1;
/// Characters that may follow the first of a grouped unknown word: MeCab's `max-grouping-size`.
const MAX_GROUPING_LEN: usize = 24;
/// zstd's own default: converted dictionaries are written once and read often.
const COMPRESSION_LEVEL: i32 = 3;
/// A MeCab dictionary, by the name that `mecab_kwargs.mecab_dic` has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MecabDictionary {
    /// `ipadic`, of Tohoku's first Japanese BERTs.
    Ipadic,
    /// `unidic_lite`, of their later ones.
    UnidicLite,
    /// `unidic`.
    Unidic,
}

impl MecabDictionary {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ipadic, Self::UnidicLite, Self::Unidic];

    /// The name in `tokenizer_config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipadic => "ipadic",
            Self::UnidicLite => "unidic_lite",
            Self::Unidic => "unidic",
        }
    }

    /// The PyPI package of the compiled dictionary: it carries it, or, `unidic` being too large, downloads it.
    pub fn package(self) -> &'static str {
        match self {
            Self::Ipadic => "ipadic",
            Self::UnidicLite => "unidic-lite",
            Self::Unidic => "unidic",
        }
    }

    /// How the dictionary gets to `folder`.
    pub(crate) fn advice(self, folder: &Path) -> String {
        let place = folder.join("dicdir");
        let place = place.display();
        match self {
            Self::Ipadic => "run `make setup`".into(),
            Self::UnidicLite => format!(
                "unpack the PyPI package unidic-lite (`pip download --no-deps unidic-lite`) and move its folder \
                 unidic_lite/dicdir to {place}"
            ),
            Self::Unidic => format!(
                "the PyPI package unidic does not hold the dictionary, it only downloads it: install it, run \
                 `python -m unidic download`, and copy the folder dicdir that this makes in the package to {place}"
            ),
        }
    }
}

impl fmt::Display for MecabDictionary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is no MeCab dictionary's.
#[derive(Debug, thiserror::Error)]
#[error("found the MeCab dictionary {0:?}, expected ipadic, unidic_lite or unidic")]
pub struct UnknownDictionary(String);

impl FromStr for MecabDictionary {
    type Err = UnknownDictionary;

    fn from_str(name: &str) -> std::result::Result<Self, UnknownDictionary> {
        Self::ALL
            .into_iter()
            .find(|dictionary| dictionary.name() == name)
            .ok_or_else(|| UnknownDictionary(name.into()))
    }
}

/// The folders of the MeCab dictionaries, and of the copies converted for Vibrato.
///
/// Converting IPADIC takes seconds, loading the converted copy a fraction of one. A copy's name holds the SHA-256 of
/// the files it was made from and Vibrato's version, so it is never taken for another, and a damaged one is made anew.
///
/// ```
/// use midashi_tokenizer::{Dictionaries, MecabDictionary};
///
/// let dictionaries = Dictionaries::new("cache/dictionaries").with(MecabDictionary::Ipadic, "cache/ipadic");
/// ```
#[derive(Debug, Clone)]
pub struct Dictionaries {
    cache: PathBuf,
    folders: BTreeMap<MecabDictionary, PathBuf>,
}

impl Dictionaries {
    /// No dictionary yet; converted ones go to the folder `cache`, which is made when needed.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self { cache: cache.into(), folders: BTreeMap::new() }
    }

    /// Adds a dictionary: `folder` holds `sys.dic`, `unk.dic`, `matrix.bin` and `char.bin`, or a folder `dicdir` that
    /// does, as the PyPI packages have it.
    #[must_use]
    pub fn with(mut self, dictionary: MecabDictionary, folder: impl Into<PathBuf>) -> Self {
        self.folders.insert(dictionary, folder.into());
        self
    }

    /// The folder in which this dictionary's files lie.
    ///
    /// # Errors
    ///
    /// If no folder was given for it, or the one that was given does not hold it.
    pub fn folder(&self, name: MecabDictionary) -> Result<PathBuf> {
        let folder = self.folders.get(&name).ok_or(Error::DictionaryNotConfigured { name })?;
        [folder.clone(), folder.join("dicdir")]
            .into_iter()
            .find(|folder| folder.join("sys.dic").is_file())
            .ok_or_else(|| Error::DictionaryNotInstalled { name, folder: folder.clone() })
    }

    /// MeCab's word splitter with this dictionary.
    pub(crate) fn open(&self, name: MecabDictionary) -> Result<vibrato::Tokenizer> {
        let folder = self.folder(name)?;
        let source = CompiledDictionary::read(&folder)?;
        let copy =
            self.cache.join(format!("{name}-{}.vibrato-{}.zst", fingerprint(&source), vibrato::VERSION));
        let dictionary = match load(&copy) {
            Some(dictionary) => dictionary,
            None => {
                let dictionary = source.convert()?;
                save(&dictionary, &copy)?;
                dictionary
            }
        };
        // With these two, Vibrato's words are MeCab's.
        vibrato::Tokenizer::new(dictionary)
            .max_grouping_len(MAX_GROUPING_LEN)
            .ignore_space(true)
            .map_err(|error| Error::Conversion { folder, message: error.to_string() })
    }
}

/// The first 16 hexadecimal digits of the SHA-256 over the conversion's version and the source files.
fn fingerprint(source: &CompiledDictionary) -> String {
    let mut hash = Sha256::new_with_prefix(CONVERSION.to_le_bytes());
    for file in source.bytes() {
        hash.update((file.len() as u64).to_le_bytes());
        hash.update(file);
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The converted dictionary in `file`; none if there is none or it is damaged, for then it is made anew.
fn load(file: &Path) -> Option<vibrato::Dictionary> {
    let compressed = std::fs::read(file).ok()?;
    // All of it before any is looked at: zstd's checksum stands at the end, and Vibrato trusts what it reads.
    let bytes = zstd::decode_all(compressed.as_slice()).ok()?;
    vibrato::Dictionary::read(bytes.as_slice()).ok()
}

/// Writes a converted dictionary, whole or not at all.
fn save(dictionary: &vibrato::Dictionary, file: &Path) -> Result<()> {
    let failed = |source: std::io::Error| Error::Write { file: file.to_owned(), source };
    let mut bytes = Vec::new();
    dictionary.write(&mut bytes).map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    let mut compressor = zstd::bulk::Compressor::new(COMPRESSION_LEVEL).map_err(failed)?;
    compressor.include_checksum(true).map_err(failed)?;
    let compressed = compressor.compress(&bytes).map_err(failed)?;
    write_atomically(file, &compressed)
}

/// Writes a file beside its place and moves it there, so that nobody reads half of it.
fn write_atomically(file: &Path, bytes: &[u8]) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let write = || {
        std::fs::create_dir_all(folder)?;
        let mut temporary = readable_by_all(&mut tempfile::Builder::new()).tempfile_in(folder)?;
        temporary.write_all(bytes)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file).map_err(|error| error.error)
    };
    write().map(drop).map_err(|source| Error::Write { file: file.to_owned(), source })
}

/// As the user's mask has it for ordinary files; temporary ones are their owner's alone.
fn readable_by_all<'b, 'p, 's>(
    builder: &'b mut tempfile::Builder<'p, 's>,
) -> &'b mut tempfile::Builder<'p, 's> {
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}
