//! What a checkpoint's tokenizer is made of: known from its settings alone, before anything large is loaded.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::MecabDictionary;
use crate::error::{Error, Result, read, write};
use crate::settings::{
    JSON, JapaneseSettings, SETTINGS, Settings, TOKENIZER_FILES, VOCABULARY, WordSettings, read_json,
};

/// The form in which a folder holds a tokenizer.
pub(crate) enum Form {
    /// `vocab.txt` with these settings.
    Japanese(Box<JapaneseSettings>),
    /// `tokenizer.json`.
    Json,
}

impl Form {
    pub(crate) fn of(folder: &Path, default_dictionary: Option<&MecabDictionary>) -> Result<Self> {
        let has_vocabulary = folder.join(VOCABULARY).is_file();
        match Settings::read(folder)? {
            // As transformers does: BertJapaneseTokenizer never reads a tokenizer.json.
            Some(settings) if settings.is_japanese() && has_vocabulary => {
                Ok(Self::Japanese(Box::new(settings.japanese(folder, default_dictionary)?)))
            }
            _ if folder.join(JSON).is_file() => Ok(Self::Json),
            settings if has_vocabulary => Err(Error::Unsupported {
                file: folder.join(SETTINGS),
                setting: "tokenizer_class",
                found: settings.as_ref().and_then(Settings::class).unwrap_or("missing").to_owned(),
                supported: "BertJapaneseTokenizer with vocab.txt, any class with tokenizer.json",
            }),
            _ => Err(Error::NoTokenizer { folder: folder.to_owned() }),
        }
    }
}

/// What [`Tokenizer::load`](crate::Tokenizer::load) will read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// The checkpoint's files: those of [`TOKENIZER_FILES`] that are there.
    pub files: Vec<PathBuf>,
    /// The MeCab dictionary, if one is used: the one that the settings name, or else the default.
    pub dictionary: Option<MecabDictionary>,
}

impl Requirements {
    /// Those of the tokenizer in `folder`, with the default that [`Tokenizer::load`](crate::Tokenizer::load) will get.
    ///
    /// # Errors
    ///
    /// If the folder holds no tokenizer, or its settings are malformed or ask for what is not supported.
    pub fn of(folder: &Path, default_dictionary: Option<&MecabDictionary>) -> Result<Self> {
        let dictionary = match Form::of(folder, default_dictionary)? {
            Form::Japanese(settings) => match settings.words {
                WordSettings::Mecab { dictionary, .. } => Some(dictionary),
                WordSettings::Basic => None,
            },
            Form::Json => None,
        };
        let files = TOKENIZER_FILES.iter().map(|name| folder.join(name)).filter(|file| file.is_file());
        Ok(Self { files: files.collect(), dictionary })
    }

    /// Copies the files into the existing folder `target`. A copy of settings that name no dictionary names the
    /// default, so that the copy means the same wherever it is loaded.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written.
    pub fn copy_files(&self, target: &Path) -> Result<()> {
        for file in &self.files {
            let copy = target.join(file.file_name().unwrap_or_default());
            match &self.dictionary {
                Some(dictionary) if file.ends_with(SETTINGS) => copy_settings(file, dictionary, &copy)?,
                _ => copy_file(file, &copy)?,
            }
        }
        Ok(())
    }
}

/// Copies `tokenizer_config.json`, byte by byte if it names a dictionary.
fn copy_settings(file: &Path, dictionary: &MecabDictionary, copy: &Path) -> Result<()> {
    let mut settings: Map<String, Value> = read_json(file)?.unwrap_or_default();
    let mecab = settings.entry("mecab_kwargs").or_insert(Value::Null);
    if mecab.is_null() {
        *mecab = json!({});
    }
    let named = |mecab: &Map<String, Value>| {
        let given =
            |key| mecab.get(key).and_then(Value::as_str).is_some_and(|value| !value.trim().is_empty());
        given("mecab_dic") || given("mecab_option")
    };
    match (mecab.as_object_mut(), dictionary.settings()) {
        (Some(mecab), Value::Object(dictionary)) if !named(mecab) => {
            mecab.extend(dictionary);
            write(copy, format!("{:#}\n", Value::Object(settings)))
        }
        _ => copy_file(file, copy),
    }
}

fn copy_file(file: &Path, copy: &Path) -> Result<()> {
    write(copy, read(file)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A folder with these settings and a vocabulary.
    fn tokenizer(settings: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(VOCABULARY), "[UNK]\n").unwrap();
        std::fs::write(folder.path().join(SETTINGS), settings).unwrap();
        folder
    }

    /// What becomes of these settings when they are copied, with IPADIC as the default.
    fn copied(settings: &str) -> String {
        copied_with(&MecabDictionary::Ipadic, settings)
    }

    fn copied_with(default: &MecabDictionary, settings: &str) -> String {
        let (folder, target) = (tokenizer(settings), tempfile::tempdir().unwrap());
        let requirements = Requirements::of(folder.path(), Some(default)).unwrap();
        requirements.copy_files(target.path()).unwrap();
        assert_eq!(std::fs::read_to_string(target.path().join(VOCABULARY)).unwrap(), "[UNK]\n");
        std::fs::read_to_string(target.path().join(SETTINGS)).unwrap()
    }

    #[test]
    fn a_copy_names_the_dictionary_that_was_used() {
        let named = r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "unidic_lite"}}"#;
        assert_eq!(copied(named), named);
        for (mecab, expected) in [
            ("", json!({"mecab_dic": "ipadic"})),
            (r#", "mecab_kwargs": null"#, json!({"mecab_dic": "ipadic"})),
            (
                r#", "mecab_kwargs": {"mecab_dic": null, "normalize_text": false}"#,
                json!({"mecab_dic": "ipadic", "normalize_text": false}),
            ),
        ] {
            let copy = copied(&format!(r#"{{"word_tokenizer_type": "mecab", "other": 1{mecab}}}"#));
            let expected = json!({"word_tokenizer_type": "mecab", "other": 1, "mecab_kwargs": expected});
            assert_eq!(serde_json::from_str::<Value>(&copy).unwrap(), expected);
        }
        let folder = MecabDictionary::Folder("/my dictionaries/one".into());
        let copy = copied_with(&folder, r#"{"word_tokenizer_type": "mecab"}"#);
        let option = "-d '/my dictionaries/one' -r /dev/null";
        let mecab = json!({"mecab_dic": null, "mecab_option": option});
        let expected = json!({"word_tokenizer_type": "mecab", "mecab_kwargs": mecab});
        assert_eq!(serde_json::from_str::<Value>(&copy).unwrap(), expected);
        let read = Requirements::of(tokenizer(&copy).path(), None).unwrap();
        assert_eq!(read.dictionary, Some(folder));
    }

    #[test]
    fn what_is_wrong_with_the_settings_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let message = || Requirements::of(folder.path(), None).unwrap_err().to_string();
        assert!(message().contains("found neither tokenizer.json nor vocab.txt"), "{}", message());
        std::fs::write(folder.path().join(VOCABULARY), "[UNK]\n").unwrap();
        std::fs::write(folder.path().join(SETTINGS), "{broken").unwrap();
        assert!(message().contains("tokenizer_config.json: line 1"), "{}", message());
    }
}
