//! The folders of MeCab's dictionaries and their converted copies.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::cache;
use crate::dictionary::MecabDictionary;
use crate::error::{Error, Result, read};
use crate::mecab::CompiledDictionary;

/// Version of the conversion. Raise it when the conversion changes, so that older copies are not used.
const CONVERSION: u32 = 2;

/// The folders of the MeCab dictionaries and of their copies converted for Vibrato.
///
/// Converting a dictionary takes seconds (UniDic: ten); loading the copy takes a fraction of a second. A copy's name
/// contains the digest of its source files and Vibrato's version, so another dictionary is never taken for this one,
/// whatever its path, size and modification time. A damaged copy is made again. Outdated copies are not removed; the folder
/// can be emptied at any time.
///
/// Where a copy cannot be stored, the dictionary is used as it was converted, and
/// [`on_unsaved`](Dictionaries::on_unsaved) is told.
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
    /// Told about a copy that cannot be stored.
    on_unsaved: fn(&Unsaved),
}

/// A converted dictionary that is in memory only.
#[derive(Debug)]
pub struct Unsaved(Error);

impl fmt::Display for Unsaved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; until then the MeCab dictionary is converted anew each time", self.0)
    }
}

impl Dictionaries {
    /// No dictionaries. Converted copies go to the folder `cache`, which is created when needed.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self { cache: cache.into(), folders: BTreeMap::new(), on_unsaved: |_| () }
    }

    /// The named dictionaries in `<cache>/<package>`, with converted copies in `<cache>/dictionaries`.
    pub fn below(cache: &Path) -> Self {
        let packages = MecabDictionary::NAMED.into_iter().filter_map(|named| Some((named.package()?, named)));
        let folders = packages.map(|(package, named)| (named, cache.join(package))).collect();
        Self { folders, ..Self::new(cache.join("dictionaries")) }
    }

    /// Adds a dictionary. `folder` holds `sys.dic`, `unk.dic`, `matrix.bin` and `char.bin`, or a folder `dicdir` with them,
    /// as in the PyPI packages.
    #[must_use]
    pub fn with(mut self, dictionary: MecabDictionary, folder: impl Into<PathBuf>) -> Self {
        self.folders.insert(dictionary, folder.into());
        self
    }

    /// Calls `tell` when a converted copy cannot be stored, so that a program can print why it starts slowly.
    #[must_use]
    pub fn on_unsaved(mut self, tell: fn(&Unsaved)) -> Self {
        self.on_unsaved = tell;
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
        let words = match cache::load(&self.copy_of(dictionary, &CompiledDictionary::sha256_of(&folder)?)) {
            Some(words) => words,
            None => self.convert(dictionary, &CompiledDictionary::read(&folder)?)?,
        };
        // With these two settings, Vibrato finds the same words as MeCab.
        vibrato::Tokenizer::new(words)
            .max_grouping_len(max_grouping_size(&folder)?)
            .ignore_space(true)
            .map_err(|error| Error::Conversion { folder, message: error.to_string() })
    }

    /// Converts a dictionary and stores the copy if it can be stored.
    fn convert(
        &self,
        dictionary: &MecabDictionary,
        compiled: &CompiledDictionary,
    ) -> Result<vibrato::Dictionary> {
        let words = compiled.convert()?;
        // The digest is that of the bytes that were converted, even if the files have changed since they were looked up.
        if let Err(error) = cache::save(&words, &self.copy_of(dictionary, &compiled.sha256()?)) {
            (self.on_unsaved)(&Unsaved(error));
        }
        Ok(words)
    }

    /// The path of the converted copy of a dictionary whose files have this digest.
    fn copy_of(&self, dictionary: &MecabDictionary, sha256: &str) -> PathBuf {
        let name = dictionary.name().unwrap_or("folder");
        self.cache.join(format!("{name}-{CONVERSION}-{sha256}.vibrato-{}.zst", vibrato::VERSION))
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

    /// A folder with the four files of a dictionary, which nothing can convert.
    fn files() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in CompiledDictionary::FILES {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    #[test]
    fn a_copy_belongs_to_the_bytes_of_its_dictionary() {
        let (folder, elsewhere) = (files(), files());
        let dictionaries = Dictionaries::new("cache");
        let copy = |folder: &Path| {
            let sha256 = CompiledDictionary::sha256_of(folder).unwrap();
            assert_eq!(CompiledDictionary::read(folder).unwrap().sha256().unwrap(), sha256);
            dictionaries.copy_of(&MecabDictionary::Ipadic, &sha256)
        };
        assert_eq!(copy(folder.path()), copy(elsewhere.path()), "the same dictionary in another folder");
        for name in CompiledDictionary::FILES {
            let file = folder.path().join(name);
            let first = copy(folder.path());
            let time = std::fs::metadata(&file).unwrap().modified().unwrap();
            let stamp = |time| {
                std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
            };
            stamp(time + Duration::from_secs(3_600));
            assert_eq!(copy(folder.path()), first, "{name}: another time");
            let mut bytes = std::fs::read(&file).unwrap();
            bytes[0] ^= 1;
            std::fs::write(&file, &bytes).unwrap();
            stamp(time);
            assert_ne!(copy(folder.path()), first, "{name}: another byte, the same size and time");
        }
        // Bytes that move from one file into the next are another dictionary.
        let first = copy(elsewhere.path());
        let [words, unknown] = [0, 1].map(|file| elsewhere.path().join(CompiledDictionary::FILES[file]));
        std::fs::write(&words, "sys.dicu").unwrap();
        std::fs::write(&unknown, "nk.dic").unwrap();
        assert_ne!(copy(elsewhere.path()), first);
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
