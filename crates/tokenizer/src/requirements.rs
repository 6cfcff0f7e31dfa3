//! The files and the dictionary that a checkpoint's tokenizer needs, found from its settings before anything large is
//! loaded.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::dictionaries::Dictionaries;
use crate::dictionary::MecabDictionary;
use crate::error::{Result, read, write};
use crate::form::{Form, Found};
use crate::settings::{
    MODELS, PRETOKENIZED, SENTENCEPIECE_CLASS, SETTINGS, TOKENIZER_FILES, WordSettings, read_json,
};

/// The files and the dictionary that [`Tokenizer::load`](crate::Tokenizer::load) reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// The files of [`TOKENIZER_FILES`] that the checkpoint has, without SentencePiece models that are not read.
    pub files: Vec<PathBuf>,
    /// The MeCab dictionary, if one is used: the one in the settings, or else the default.
    pub dictionary: Option<MecabDictionary>,
    /// What the copied settings must say beside the dictionary, because nothing else says it there.
    settings: Map<String, Value>,
}

impl Requirements {
    /// The requirements of the tokenizer in `folder`. Pass the `default_dictionary` of the later
    /// [`Tokenizer::load`](crate::Tokenizer::load).
    ///
    /// # Errors
    ///
    /// If the folder holds no tokenizer, or its settings are malformed or not supported.
    pub fn of(folder: &Path, default_dictionary: Option<&MecabDictionary>) -> Result<Self> {
        Self::find(folder, default_dictionary, false)
    }

    /// The requirements for texts that are already split into words, with spaces between them. No program that finds
    /// words is needed, and the words are those of the spaces. The copied settings say so, so that the copy reads texts
    /// in this way.
    ///
    /// # Errors
    ///
    /// As [`Requirements::of`].
    pub fn of_pretokenized(folder: &Path) -> Result<Self> {
        Self::find(folder, None, true)
    }

    fn find(
        folder: &Path,
        default_dictionary: Option<&MecabDictionary>,
        is_pretokenized: bool,
    ) -> Result<Self> {
        let Found { form, class, is_pretokenized } = Found::of(folder, default_dictionary, is_pretokenized)?;
        let mut settings: Map<String, Value> = read_json(&folder.join(SETTINGS))?.unwrap_or_default();
        let mut needed = Map::new();
        if is_pretokenized && settings.remove(PRETOKENIZED) != Some(Value::Bool(true)) {
            needed.insert(PRETOKENIZED.to_owned(), Value::Bool(true));
        }
        // config.json, which is not copied, may have named the class.
        let is_named = ["tokenizer_class", "word_tokenizer_type", "auto_map", SENTENCEPIECE_CLASS]
            .into_iter()
            .any(|key| settings.get(key).is_some_and(|value| !value.is_null()));
        if let Some(class) = class.filter(|_| !is_named) {
            needed.insert("tokenizer_class".to_owned(), Value::String(class.to_owned()));
        }
        let (model, dictionary) = match form {
            Form::Japanese { settings, vocabulary } => match settings.words {
                WordSettings::Mecab { dictionary, .. } => (Some(vocabulary), Some(dictionary)),
                WordSettings::Basic | WordSettings::Split { .. } => (Some(vocabulary), None),
            },
            Form::SentencePiece(settings) => (Some(settings.model), None),
            Form::Bert | Form::Json => (None, None),
        };
        let is_read = |file: &PathBuf| {
            let is_model = MODELS.iter().any(|name| file.ends_with(name));
            file.is_file() && (!is_model || Some(file) == model.as_ref())
        };
        let files = TOKENIZER_FILES.iter().map(|name| folder.join(name)).filter(is_read);
        Ok(Self { files: files.collect(), dictionary, settings: needed })
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
            match file.ends_with(SETTINGS) {
                true => self.copy_settings(file, dictionary.as_ref(), &copy)?,
                false => copy_file(file, &copy)?,
            }
        }
        if !self.settings.is_empty() && !self.files.iter().any(|file| file.ends_with(SETTINGS)) {
            let settings = Value::Object(self.settings.clone());
            write(&target.join(SETTINGS), format!("{settings:#}\n"))?;
        }
        Ok(())
    }

    /// Copies `tokenizer_config.json`, unchanged if it says all that it must already.
    fn copy_settings(&self, file: &Path, dictionary: Option<&MecabDictionary>, copy: &Path) -> Result<()> {
        let mut settings: Map<String, Value> = read_json(file)?.unwrap_or_default();
        let mut is_changed = !self.settings.is_empty();
        settings.extend(self.settings.clone());
        if let Some(dictionary) = dictionary {
            let mecab = settings.entry("mecab_kwargs").or_insert(Value::Null);
            if mecab.is_null() {
                *mecab = json!({});
            }
            if let (Some(mecab), Value::Object(names)) = (mecab.as_object_mut(), dictionary.settings())
                && names.iter().any(|(key, name)| mecab.get(key) != Some(name))
            {
                mecab.extend(names);
                is_changed = true;
            }
        }
        match is_changed {
            true => write(copy, format!("{:#}\n", Value::Object(settings))),
            false => copy_file(file, copy),
        }
    }
}

fn copy_file(file: &Path, copy: &Path) -> Result<()> {
    write(copy, read(file)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::settings::{JSON, VOCABULARY};

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
        assert!(found.contains("spiece.model: is missing"), "{found}");
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
