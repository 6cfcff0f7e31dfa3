//! MeCab dictionaries by name or folder.

use std::fmt;
use std::path::{Path, PathBuf, is_separator};
use std::str::FromStr;

use serde_json::{Value, json};

/// A MeCab dictionary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MecabDictionary {
    /// `ipadic`, used by Tohoku University's first Japanese BERTs.
    Ipadic,
    /// `unidic_lite`, used by their later ones.
    UnidicLite,
    /// `unidic`.
    Unidic,
    /// Another dictionary, by the folder that holds its compiled files.
    Folder(PathBuf),
}

impl MecabDictionary {
    /// The dictionaries that transformers accepts by name in `mecab_kwargs.mecab_dic`.
    pub const NAMED: [Self; 3] = [Self::Ipadic, Self::UnidicLite, Self::Unidic];

    /// The name in `mecab_kwargs.mecab_dic`; none for a folder.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::Ipadic => Some("ipadic"),
            Self::UnidicLite => Some("unidic_lite"),
            Self::Unidic => Some("unidic"),
            Self::Folder(_) => None,
        }
    }

    /// The PyPI package of a named dictionary. It contains the dictionary, except for `unidic`, which downloads it.
    pub fn package(&self) -> Option<&'static str> {
        match self {
            Self::UnidicLite => Some("unidic-lite"),
            other => other.name(),
        }
    }

    /// The `mecab_kwargs` with which transformers uses this dictionary.
    pub(crate) fn settings(&self) -> Value {
        match self {
            Self::Folder(folder) => {
                let folder = folder.to_string_lossy();
                let folder = shlex::try_quote(&folder).unwrap_or_default();
                // MeCab does not start without an rcfile, and transformers passes none.
                json!({ "mecab_dic": null, "mecab_option": format!("-d {folder} -r /dev/null") })
            }
            named => json!({ "mecab_dic": named.name() }),
        }
    }

    /// Advice on how to install the dictionary in `folder`.
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

/// A text that is neither the name of a MeCab dictionary nor a path.
#[derive(Debug, thiserror::Error)]
#[error(
    "found the MeCab dictionary {0:?}, expected ipadic, unidic_lite, unidic or a folder's path, such as ./mine"
)]
pub struct UnknownDictionary(String);

impl FromStr for MecabDictionary {
    type Err = UnknownDictionary;

    /// Parses a name, or a path with a separator. The separator keeps misspelled names from being read as paths.
    fn from_str(text: &str) -> Result<Self, UnknownDictionary> {
        match Self::NAMED.into_iter().find(|dictionary| dictionary.name() == Some(text)) {
            Some(named) => Ok(named),
            None if text.contains(is_separator) => Ok(Self::Folder(text.into())),
            None => Err(UnknownDictionary(text.into())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
}
