//! The files and the dictionary that a checkpoint's tokenizer needs, found from its settings before anything large is
//! loaded.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::dictionaries::Dictionaries;
use crate::dictionary::MecabDictionary;
use crate::error::{Error, Result, read, write};
use crate::settings::{
    JSON, JapaneseSettings, OTHER_CHECKPOINT, SETTINGS, Settings, TOKENIZER_FILES, TokenizerClass,
    VOCABULARY, WordSettings, read_json,
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
        let class = TokenizerClass::read(folder)?;
        let vocabulary = folder.join(VOCABULARY);
        // As in transformers, BertJapaneseTokenizer never reads a tokenizer.json.
        if class.is_japanese() {
            let settings = Settings::read(folder)?.japanese(folder, default_dictionary)?;
            return match vocabulary.is_file() {
                true => Ok(Self::Japanese(Box::new(settings))),
                false => Err(Error::NoVocabulary { file: vocabulary }),
            };
        }
        if folder.join(JSON).is_file() {
            Ok(Self::Json)
        } else if vocabulary.is_file() {
            Err(Error::Unsupported {
                file: folder.join(SETTINGS),
                setting: "tokenizer_class",
                found: class.name().unwrap_or("missing").to_owned(),
                supported: "BertJapaneseTokenizer with vocab.txt, any class with tokenizer.json",
                advice: OTHER_CHECKPOINT,
            })
        } else {
            Err(Error::NoTokenizer { folder: folder.to_owned() })
        }
    }
}

/// The files and the dictionary that [`Tokenizer::load`](crate::Tokenizer::load) reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// The files of [`TOKENIZER_FILES`] that the checkpoint has.
    pub files: Vec<PathBuf>,
    /// The MeCab dictionary, if one is used: the one in the settings, or else the default.
    pub dictionary: Option<MecabDictionary>,
}

impl Requirements {
    /// The requirements of the tokenizer in `folder`. Pass the `default_dictionary` of the later
    /// [`Tokenizer::load`](crate::Tokenizer::load).
    ///
    /// # Errors
    ///
    /// If the folder holds no tokenizer, or its settings are malformed or not supported.
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

    /// Copies the files into the existing folder `target`. The copied settings name the dictionary even if it was the
    /// default, and a folder by its absolute path, so that the copy does not depend on defaults or the working directory.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written, or the dictionary's folder is not in `dictionaries` or does not exist.
    pub fn copy_files(&self, target: &Path, dictionaries: &Dictionaries) -> Result<()> {
        let dictionary =
            self.dictionary.as_ref().map(|dictionary| dictionaries.located(dictionary)).transpose()?;
        for file in &self.files {
            let copy = target.join(file.file_name().unwrap_or_default());
            match &dictionary {
                Some(dictionary) if file.ends_with(SETTINGS) => copy_settings(file, dictionary, &copy)?,
                _ => copy_file(file, &copy)?,
            }
        }
        Ok(())
    }
}

/// Copies `tokenizer_config.json`, unchanged if it names the dictionary in the same way already.
fn copy_settings(file: &Path, dictionary: &MecabDictionary, copy: &Path) -> Result<()> {
    let mut settings: Map<String, Value> = read_json(file)?.unwrap_or_default();
    let mecab = settings.entry("mecab_kwargs").or_insert(Value::Null);
    if mecab.is_null() {
        *mecab = json!({});
    }
    match (mecab.as_object_mut(), dictionary.settings()) {
        (Some(mecab), Value::Object(names))
            if names.iter().any(|(key, name)| mecab.get(key) != Some(name)) =>
        {
            mecab.extend(names);
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

    /// The copy of these settings, with IPADIC as the default.
    fn copied(settings: &str) -> String {
        copied_with(&MecabDictionary::Ipadic, settings)
    }

    fn copied_with(default: &MecabDictionary, settings: &str) -> String {
        let (folder, target) = (tokenizer(settings), tempfile::tempdir().unwrap());
        let requirements = Requirements::of(folder.path(), Some(default)).unwrap();
        requirements.copy_files(target.path(), &Dictionaries::new(target.path())).unwrap();
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
        // This option names no dictionary.
        let option = json!("-r /dev/null");
        let mecab = format!(r#"{{"mecab_option": {option}}}"#);
        let copy = copied(&format!(r#"{{"word_tokenizer_type": "mecab", "mecab_kwargs": {mecab}}}"#));
        let expected = json!({"mecab_dic": "ipadic", "mecab_option": option});
        assert_eq!(serde_json::from_str::<Value>(&copy).unwrap()["mecab_kwargs"], expected);
    }

    #[test]
    fn a_copy_names_a_folder_by_its_absolute_path() {
        // Relative to the crate's folder, where the tests run.
        let here = tempfile::Builder::new().prefix("a dictionary").tempdir_in(".").unwrap();
        let files = here.path().join("dicdir");
        std::fs::create_dir(&files).unwrap();
        std::fs::write(files.join("sys.dic"), "").unwrap();
        let relative = Path::new(".").join(here.path().file_name().unwrap());
        let rcfile = here.path().join("mecabrc");
        std::fs::write(&rcfile, "dicdir = $(rcpath)/dicdir\n").unwrap();

        let default = MecabDictionary::Folder(relative.clone());
        let named = |option: String| {
            let mecab = json!({"mecab_dic": null, "mecab_option": option});
            json!({"word_tokenizer_type": "mecab", "mecab_kwargs": mecab}).to_string()
        };
        let whole = MecabDictionary::Folder(files.canonicalize().unwrap());
        for settings in [
            r#"{"word_tokenizer_type": "mecab"}"#.to_owned(),
            named(format!("-d '{}'", relative.display())),
            named(format!("-r '{}'", rcfile.display())),
        ] {
            let copy = copied_with(&default, &settings);
            let expected = json!({"word_tokenizer_type": "mecab", "mecab_kwargs": whole.settings()});
            assert_eq!(serde_json::from_str::<Value>(&copy).unwrap(), expected, "{settings}");
            let read = Requirements::of(tokenizer(&copy).path(), None).unwrap();
            assert_eq!(read.dictionary.as_ref(), Some(&whole));
            assert_eq!(copied(&copy), copy);
        }
    }

    #[test]
    fn settings_of_other_tokenizers_are_ignored() {
        let settings =
            r#"{"tokenizer_class": "BertTokenizer", "extra_special_tokens": 1, "never_split": {}}"#;
        let folder = tokenizer(settings);
        std::fs::write(folder.path().join(JSON), "{}").unwrap();
        assert_eq!(Requirements::of(folder.path(), None).unwrap().dictionary, None);
    }

    #[test]
    fn japanese_settings_are_never_a_tokenizer_json() {
        let message = |settings: &str| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(SETTINGS), settings).unwrap();
            std::fs::write(folder.path().join(JSON), "{}").unwrap();
            Requirements::of(folder.path(), None).unwrap_err().to_string()
        };
        let found = message(
            r#"{"tokenizer_class": "BertJapaneseTokenizer", "subword_tokenizer_type": "sentencepiece"}"#,
        );
        assert!(found.contains("subword_tokenizer_type is sentencepiece"), "{found}");
        let found = message(r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#);
        assert!(found.contains("vocab.txt: is missing"), "{found}");
    }

    #[test]
    fn errors_name_what_is_wrong_with_the_settings() {
        let folder = tempfile::tempdir().unwrap();
        let message = || Requirements::of(folder.path(), None).unwrap_err().to_string();
        assert!(message().contains("found neither tokenizer.json nor vocab.txt"), "{}", message());
        std::fs::write(folder.path().join(VOCABULARY), "[UNK]\n").unwrap();
        std::fs::write(folder.path().join(SETTINGS), "{broken").unwrap();
        assert!(message().contains("tokenizer_config.json: line 1"), "{}", message());
    }
}
