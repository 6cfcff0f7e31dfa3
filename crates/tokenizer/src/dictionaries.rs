//! The folders of MeCab's dictionaries and their converted copies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::cache;
use crate::dictionary::MecabDictionary;
use crate::error::{Error, Result, read};
use crate::mecab::CompiledDictionary;

/// Version of the conversion. Raise it when the conversion changes, so that older copies are not used.
const CONVERSION: u32 = 2;

/// The folders of the MeCab dictionaries and of their copies converted for Vibrato.
///
/// Converting a dictionary takes seconds (UniDic: ten); loading the copy takes a fraction of a second. A copy's name
/// contains a hash of its source files' paths, sizes and modification times, and Vibrato's version, so an unchanged
/// dictionary is recognised without reading it. A damaged copy is made again. Outdated copies are not removed; the folder
/// can be emptied at any time.
///
/// ```
/// use midashi_tokenizer::{Dictionaries, MecabDictionary};
///
/// // The folders of `make setup`, with another IPADIC.
/// let dictionaries =
///     Dictionaries::below("cache".as_ref()).with(MecabDictionary::Ipadic, "/usr/lib/mecab/dic/ipadic-utf8");
/// ```
#[derive(Debug, Clone)]
pub struct Dictionaries {
    cache: PathBuf,
    folders: BTreeMap<MecabDictionary, PathBuf>,
}

impl Dictionaries {
    /// No dictionaries. Converted copies go to the folder `cache`, which is created when needed.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self { cache: cache.into(), folders: BTreeMap::new() }
    }

    /// The named dictionaries in `<cache>/<package>`, with converted copies in `<cache>/dictionaries`.
    pub fn below(cache: &Path) -> Self {
        let packages = MecabDictionary::NAMED.into_iter().filter_map(|named| Some((named.package()?, named)));
        let folders = packages.map(|(package, named)| (named, cache.join(package))).collect();
        Self { cache: cache.join("dictionaries"), folders }
    }

    /// Adds a dictionary. `folder` holds `sys.dic`, `unk.dic`, `matrix.bin` and `char.bin`, or a folder `dicdir` with them,
    /// as in the PyPI packages.
    #[must_use]
    pub fn with(mut self, dictionary: MecabDictionary, folder: impl Into<PathBuf>) -> Self {
        self.folders.insert(dictionary, folder.into());
        self
    }

    /// The folder that holds the dictionary's files.
    ///
    /// # Errors
    ///
    /// If no folder was given for the dictionary, or its folder does not hold it.
    pub fn folder(&self, dictionary: &MecabDictionary) -> Result<PathBuf> {
        let folder = match dictionary {
            MecabDictionary::Folder(folder) => folder,
            named => self
                .folders
                .get(named)
                .ok_or_else(|| Error::DictionaryNotConfigured { dictionary: named.clone() })?,
        };
        [folder.clone(), folder.join("dicdir")]
            .into_iter()
            .find(|folder| folder.join(CompiledDictionary::WORDS).is_file())
            .ok_or_else(|| Error::DictionaryNotInstalled {
                dictionary: dictionary.clone(),
                folder: folder.clone(),
            })
    }

    /// The same dictionary with an absolute path to its folder, which does not depend on the working directory.
    pub(crate) fn located(&self, dictionary: &MecabDictionary) -> Result<MecabDictionary> {
        if dictionary.name().is_some() {
            return Ok(dictionary.clone());
        }
        let folder = self.folder(dictionary)?;
        let absolute = folder.canonicalize().map_err(|source| Error::Read { file: folder, source })?;
        Ok(MecabDictionary::Folder(absolute))
    }

    /// MeCab's word splitter with this dictionary.
    pub(crate) fn open(&self, dictionary: &MecabDictionary) -> Result<vibrato::Tokenizer> {
        let folder = self.folder(dictionary)?;
        let copy = self.copy_of(dictionary, &folder)?;
        let words = match cache::load(&copy) {
            Some(words) => words,
            None => {
                let words = CompiledDictionary::read(&folder)?.convert()?;
                cache::save(&words, &copy)?;
                words
            }
        };
        // With these two settings, Vibrato finds the same words as MeCab.
        vibrato::Tokenizer::new(words)
            .max_grouping_len(max_grouping_size(&folder)?)
            .ignore_space(true)
            .map_err(|error| Error::Conversion { folder, message: error.to_string() })
    }

    /// The path of the converted copy of the dictionary in `folder`.
    fn copy_of(&self, dictionary: &MecabDictionary, folder: &Path) -> Result<PathBuf> {
        let mut hash = Sha256::new_with_prefix(CONVERSION.to_le_bytes());
        for name in CompiledDictionary::FILES {
            let file = folder.join(name);
            let failed = |source| Error::Read { file: file.clone(), source };
            let metadata = file.metadata().map_err(failed)?;
            let modified =
                metadata.modified().map_err(failed)?.duration_since(UNIX_EPOCH).unwrap_or_default();
            hash.update(file.canonicalize().map_err(failed)?.as_os_str().as_encoded_bytes());
            hash.update(metadata.len().to_le_bytes());
            hash.update(modified.as_nanos().to_le_bytes());
        }
        let fingerprint: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let name = dictionary.name().unwrap_or("folder");
        Ok(self.cache.join(format!("{name}-{fingerprint}.vibrato-{}.zst", vibrato::VERSION)))
    }
}

/// The largest number of characters after the first of a grouped unknown word: `max-grouping-size` in the `dicrc`.
fn max_grouping_size(folder: &Path) -> Result<usize> {
    /// MeCab's default, which 0 selects too.
    const DEFAULT: usize = 24;
    let file = folder.join("dicrc");
    let settings = if file.is_file() { read(&file)? } else { Vec::new() };
    let Some((line, size)) = setting(&settings, "max-grouping-size") else { return Ok(DEFAULT) };
    match size.parse() {
        Ok(0) => Ok(DEFAULT),
        Ok(size) => Ok(size),
        Err(_) => Err(Error::Malformed {
            file,
            place: format!("line {line}"),
            found: format!("max-grouping-size = {size}"),
            expected: "a number".into(),
            advice: "correct it",
        }),
    }
}

/// Line number and value of the first `key = value` in MeCab's settings. Their charset may be any superset of ASCII.
pub(crate) fn setting(settings: &[u8], key: &str) -> Option<(usize, String)> {
    let settings = String::from_utf8_lossy(settings);
    settings.lines().enumerate().find_map(|(line, text)| {
        let (found, value) = text.split_once('=')?;
        (found.trim() == key).then(|| (line + 1, value.trim().to_owned()))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_changed_dictionary_gets_a_new_copy() {
        let folder = tempfile::tempdir().unwrap();
        for name in CompiledDictionary::FILES {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let dictionaries = Dictionaries::new("cache");
        let copy = || dictionaries.copy_of(&MecabDictionary::Ipadic, folder.path()).unwrap();
        assert_eq!(copy(), copy());
        for name in CompiledDictionary::FILES {
            let file = std::fs::OpenOptions::new().write(true).open(folder.path().join(name)).unwrap();
            let (first, modified) = (copy(), file.metadata().unwrap().modified().unwrap());
            file.set_modified(modified + Duration::from_nanos(1_000)).unwrap();
            let second = copy();
            assert_ne!(first, second, "{name}: modified");
            file.set_len(1).unwrap();
            file.set_modified(modified).unwrap();
            let third = copy();
            assert!(third != first && third != second, "{name}: shorter");
        }
    }

    #[test]
    fn the_dictionary_limits_the_length_of_unknown_words() {
        let folder = tempfile::tempdir().unwrap();
        let with = |settings: &[u8]| {
            std::fs::write(folder.path().join("dicrc"), settings).unwrap();
            max_grouping_size(folder.path())
        };
        assert_eq!(with(b"cost-factor = 700\n;max-grouping-size = 10\n").unwrap(), 24);
        assert_eq!(with(b"; \xc6\xfc\xcb\xdc\nmax-grouping-size=10\nmax-grouping-size = 3\n").unwrap(), 10);
        assert_eq!(with(b"max-grouping-size = 0\n").unwrap(), 24);
        let message = with(b"\nmax-grouping-size = ten\n").unwrap_err().to_string();
        assert!(message.contains("dicrc: line 2: found max-grouping-size = ten"), "{message}");
    }
}
