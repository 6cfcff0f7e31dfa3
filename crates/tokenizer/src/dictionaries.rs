//! Where MeCab's dictionaries are, and which converted copy is theirs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf, is_separator};
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cache;
use crate::error::{Error, Result, read};
use crate::mecab::CompiledDictionary;

/// Raised when the conversion itself changes, so that older copies are not taken for current ones.
const CONVERSION: u32 = 2;

/// A MeCab dictionary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MecabDictionary {
    /// `ipadic`, of Tohoku's first Japanese BERTs.
    Ipadic,
    /// `unidic_lite`, of their later ones.
    UnidicLite,
    /// `unidic`.
    Unidic,
    /// Any other, by the folder that holds it compiled for MeCab.
    Folder(PathBuf),
}

impl MecabDictionary {
    /// Those that transformers knows by a name in `mecab_kwargs.mecab_dic`.
    pub const NAMED: [Self; 3] = [Self::Ipadic, Self::UnidicLite, Self::Unidic];

    /// The name that transformers has for it.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::Ipadic => Some("ipadic"),
            Self::UnidicLite => Some("unidic_lite"),
            Self::Unidic => Some("unidic"),
            Self::Folder(_) => None,
        }
    }

    /// The PyPI package of a named dictionary: it carries it, or, `unidic` being too large, downloads it.
    pub fn package(&self) -> Option<&'static str> {
        match self {
            Self::Ipadic => Some("ipadic"),
            Self::UnidicLite => Some("unidic-lite"),
            Self::Unidic => Some("unidic"),
            Self::Folder(_) => None,
        }
    }

    /// `mecab_kwargs` with which transformers uses this dictionary.
    pub(crate) fn settings(&self) -> Value {
        match self {
            Self::Folder(folder) => {
                let folder = folder.to_string_lossy();
                let folder = shlex::try_quote(&folder).unwrap_or_default();
                // MeCab does not start without an rcfile, and transformers names none.
                json!({ "mecab_dic": null, "mecab_option": format!("-d {folder} -r /dev/null") })
            }
            named => json!({ "mecab_dic": named.name() }),
        }
    }

    /// How the dictionary gets to `folder`.
    pub(crate) fn advice(&self, folder: &Path) -> String {
        match self {
            Self::Ipadic => "run `make setup`".into(),
            Self::UnidicLite => "run `make setup DICTIONARY=unidic-lite`".into(),
            Self::Unidic => format!(
                "the PyPI package unidic does not hold the dictionary, it only downloads it: install it, run \
                 `python -m unidic download`, and copy the folder dicdir that this makes in the package to {}",
                folder.join("dicdir").display()
            ),
            Self::Folder(_) => "name the folder into which MeCab's mecab-dict-index wrote it".into(),
        }
    }
}

impl fmt::Display for MecabDictionary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(formatter),
            named => named.name().unwrap_or_default().fmt(formatter),
        }
    }
}

/// What is neither a MeCab dictionary's name nor a path.
#[derive(Debug, thiserror::Error)]
#[error(
    "found the MeCab dictionary {0:?}, expected ipadic, unidic_lite, unidic or a folder's path, such as ./mine"
)]
pub struct UnknownDictionary(String);

impl FromStr for MecabDictionary {
    type Err = UnknownDictionary;

    /// A name, or a path, which has a separator in it so that a misspelled name is not taken for one.
    fn from_str(text: &str) -> std::result::Result<Self, UnknownDictionary> {
        match Self::NAMED.into_iter().find(|dictionary| dictionary.name() == Some(text)) {
            Some(named) => Ok(named),
            None if text.contains(is_separator) => Ok(Self::Folder(text.into())),
            None => Err(UnknownDictionary(text.into())),
        }
    }
}

/// The folders of the MeCab dictionaries, and of the copies converted for Vibrato.
///
/// Converting takes seconds (UniDic: ten), loading the converted copy a fraction of one. A copy's name says which files
/// of which size and modification time it was made from, and by which version of Vibrato: they are not read again to
/// learn that nothing has changed. A damaged copy is made anew. Copies of what has changed since are not removed: the
/// folder may be emptied at any time.
///
/// ```
/// use midashi_tokenizer::{Dictionaries, MecabDictionary};
///
/// // As `make setup` leaves them, but with another IPADIC.
/// let dictionaries = Dictionaries::below("cache".as_ref()).with(MecabDictionary::Ipadic, "/usr/lib/mecab/dic/ipadic-utf8");
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

    /// The named dictionaries in `<cache>/<package>`, converted ones in `<cache>/dictionaries`.
    pub fn below(cache: &Path) -> Self {
        let packages = MecabDictionary::NAMED.into_iter().filter_map(|named| Some((named.package()?, named)));
        let folders = packages.map(|(package, named)| (named, cache.join(package))).collect();
        Self { cache: cache.join("dictionaries"), folders }
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
    pub fn folder(&self, dictionary: &MecabDictionary) -> Result<PathBuf> {
        let folder = match dictionary {
            MecabDictionary::Folder(folder) => folder,
            named => self
                .folders
                .get(named)
                .ok_or_else(|| Error::DictionaryNotConfigured { dictionary: named.clone() })?,
        };
        let found = [folder.clone(), folder.join("dicdir")].into_iter();
        let mut found = found.filter(|folder| folder.join(CompiledDictionary::WORDS).is_file());
        found.next().ok_or_else(|| Error::DictionaryNotInstalled {
            dictionary: dictionary.clone(),
            folder: folder.clone(),
        })
    }

    /// The same dictionary, where a folder is the whole path to its files: it means the same wherever a program starts.
    pub(crate) fn located(&self, dictionary: &MecabDictionary) -> Result<MecabDictionary> {
        if dictionary.name().is_some() {
            return Ok(dictionary.clone());
        }
        let folder = self.folder(dictionary)?;
        let whole = folder.canonicalize().map_err(|source| Error::Read { file: folder, source })?;
        Ok(MecabDictionary::Folder(whole))
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
        // With these two, Vibrato's words are MeCab's.
        vibrato::Tokenizer::new(words)
            .max_grouping_len(max_grouping_size(&folder)?)
            .ignore_space(true)
            .map_err(|error| Error::Conversion { folder, message: error.to_string() })
    }

    /// Where the converted copy of the dictionary in `folder` is, or will be.
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

/// How many characters may follow the first of a grouped unknown word: `max-grouping-size` of the dictionary's `dicrc`.
fn max_grouping_size(folder: &Path) -> Result<usize> {
    /// MeCab's own, also where the setting is 0.
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

/// The first value of `key` in MeCab's settings, `key = value` a line, and the line it stands in. Their charset may be
/// any that agrees with ASCII.
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
    fn a_dictionary_is_a_name_or_a_path() {
        for named in MecabDictionary::NAMED {
            assert_eq!(named.to_string().parse::<MecabDictionary>().unwrap(), named);
        }
        let folder = "/usr/lib/mecab/dic/mine";
        let dictionary: MecabDictionary = folder.parse().unwrap();
        assert_eq!((dictionary.to_string(), dictionary.name()), (folder.to_owned(), None));
        let message = "unidic-light".parse::<MecabDictionary>().unwrap_err().to_string();
        assert!(message.contains("found the MeCab dictionary \"unidic-light\""), "{message}");
    }

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
    fn the_dictionary_says_how_long_unknown_words_may_be() {
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
