//! `tokenizer_config.json` and its companions: what a checkpoint says of its tokenizer.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result, read_text};
use crate::{MecabDictionary, wordpiece::Subwords};

/// The whole tokenizer in one file.
pub(crate) const JSON: &str = "tokenizer.json";
/// The settings file.
pub(crate) const SETTINGS: &str = "tokenizer_config.json";
/// The vocabulary, one piece a line.
pub(crate) const VOCABULARY: &str = "vocab.txt";
/// Special tokens, in a file of their own, as transformers 4 wrote them.
const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
/// Tokens added behind the vocabulary, as transformers 4 wrote them.
const ADDED_TOKENS: &str = "added_tokens.json";

/// The files of a checkpoint that its tokenizer may read, as transformers names them.
pub const TOKENIZER_FILES: [&str; 5] = [JSON, SETTINGS, VOCABULARY, SPECIAL_TOKENS_MAP, ADDED_TOKENS];

/// `tokenizer_config.json`, the keys that BertJapaneseTokenizer and special tokens use.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    tokenizer_class: Option<String>,
    word_tokenizer_type: Option<String>,
    subword_tokenizer_type: Option<String>,
    do_word_tokenize: Option<bool>,
    do_subword_tokenize: Option<bool>,
    do_lower_case: bool,
    never_split: Option<Vec<String>>,
    mecab_kwargs: Option<MecabSettings>,
    #[serde(flatten)]
    special_tokens: SpecialTokenNames,
    added_tokens_decoder: Option<BTreeMap<u32, AddedToken>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MecabSettings {
    mecab_dic: Option<String>,
    mecab_option: Option<String>,
    normalize_text: Option<bool>,
    do_lower_case: Option<bool>,
    never_split: Option<Vec<String>>,
}

/// The special tokens, by role.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SpecialTokenNames {
    unk_token: Option<TokenName>,
    sep_token: Option<TokenName>,
    pad_token: Option<TokenName>,
    cls_token: Option<TokenName>,
    mask_token: Option<TokenName>,
}

/// A token as its text or as an object with it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum TokenName {
    Text(String),
    Object(AddedToken),
}

impl TokenName {
    fn into_token(self) -> AddedToken {
        match self {
            Self::Text(text) => AddedToken::plain(&text),
            Self::Object(token) => token,
        }
    }
}

/// A token that is found in the raw text, before anything else is done with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct AddedToken {
    pub(crate) content: String,
    /// Swallow the white space before it.
    pub(crate) lstrip: bool,
    /// Swallow the white space behind it.
    pub(crate) rstrip: bool,
    /// Whether it stands for no text, like `[SEP]`.
    pub(crate) special: bool,
    single_word: bool,
}

impl AddedToken {
    /// A token that swallows nothing around it.
    pub(crate) fn plain(content: &str) -> Self {
        Self { content: content.to_owned(), ..Self::default() }
    }
}

/// What BertJapaneseTokenizer is to do, all of it supported here.
#[derive(Debug)]
pub(crate) struct JapaneseSettings {
    pub(crate) dictionary: MecabDictionary,
    pub(crate) subwords: Subwords,
    pub(crate) lower_case: bool,
    pub(crate) normalise: bool,
    /// Words that keep their case.
    pub(crate) never_split: Vec<String>,
    pub(crate) special_tokens: SpecialTokens,
    pub(crate) added_tokens: BTreeMap<u32, AddedToken>,
}

/// The special tokens, BERT's own where the settings name none.
#[derive(Debug)]
pub(crate) struct SpecialTokens {
    pub(crate) unknown: AddedToken,
    pub(crate) separator: AddedToken,
    pub(crate) padding: AddedToken,
    pub(crate) classification: AddedToken,
    pub(crate) mask: AddedToken,
}

impl SpecialTokens {
    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AddedToken> {
        [&self.unknown, &self.separator, &self.padding, &self.classification, &self.mask].into_iter()
    }
}

impl Settings {
    /// The folder's settings, or none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        read_json(&folder.join(SETTINGS))
    }

    /// Whether these are settings of transformers' `BertJapaneseTokenizer`.
    pub(crate) fn is_japanese(&self) -> bool {
        self.tokenizer_class.as_deref() == Some("BertJapaneseTokenizer") || self.word_tokenizer_type.is_some()
    }

    /// The class that the settings name.
    pub(crate) fn class(&self) -> Option<&str> {
        self.tokenizer_class.as_deref()
    }

    /// The special tokens' names. As in transformers, `special_tokens_map.json` counts before the settings, but not
    /// at all beside an `added_tokens_decoder`, which replaced it.
    fn special_token_names(self, folder: &Path) -> Result<SpecialTokenNames> {
        if self.added_tokens_decoder.is_some() {
            return Ok(self.special_tokens);
        }
        let first: SpecialTokenNames = read_json(&folder.join(SPECIAL_TOKENS_MAP))?.unwrap_or_default();
        let second = self.special_tokens;
        Ok(SpecialTokenNames {
            unk_token: first.unk_token.or(second.unk_token),
            sep_token: first.sep_token.or(second.sep_token),
            pad_token: first.pad_token.or(second.pad_token),
            cls_token: first.cls_token.or(second.cls_token),
            mask_token: first.mask_token.or(second.mask_token),
        })
    }

    /// Checks that all that is asked for is supported, and fills in transformers' defaults.
    ///
    /// The one default that is not transformers' is the dictionary's: it differs between their versions, so it is
    /// the caller's.
    pub(crate) fn japanese(
        mut self,
        folder: &Path,
        default: Option<MecabDictionary>,
    ) -> Result<JapaneseSettings> {
        let file = folder.join(SETTINGS);
        let unsupported = |setting, found: &str, supported| Error::Unsupported {
            file: file.clone(),
            setting,
            found: found.into(),
            supported,
        };
        match self.word_tokenizer_type.as_deref().unwrap_or("basic") {
            "mecab" => {}
            other => return Err(unsupported("word_tokenizer_type", other, "mecab")),
        }
        let subwords = match self.subword_tokenizer_type.as_deref().unwrap_or("wordpiece") {
            "wordpiece" => Subwords::WordPiece,
            "character" => Subwords::Characters,
            other => return Err(unsupported("subword_tokenizer_type", other, "wordpiece, character")),
        };
        if self.do_word_tokenize == Some(false) {
            return Err(unsupported("do_word_tokenize", "false", "true"));
        }
        if self.do_subword_tokenize == Some(false) {
            return Err(unsupported("do_subword_tokenize", "false", "true"));
        }
        let mecab = self.mecab_kwargs.take().unwrap_or_default();
        if let Some(option) = mecab.mecab_option.filter(|option| !option.trim().is_empty()) {
            return Err(unsupported("mecab_kwargs.mecab_option", &option, "no options"));
        }
        // transformers raises a TypeError for these: they are given to MecabTokenizer already.
        if mecab.do_lower_case.is_some() || mecab.never_split.is_some() {
            return Err(unsupported(
                "mecab_kwargs",
                "do_lower_case or never_split",
                "these two beside mecab_kwargs",
            ));
        }
        let dictionary = match mecab.mecab_dic {
            Some(name) => name
                .parse()
                .map_err(|_| unsupported("mecab_kwargs.mecab_dic", &name, "ipadic, unidic_lite, unidic"))?,
            None => default.ok_or_else(|| Error::DictionaryNotNamed { file: file.clone() })?,
        };
        let lower_case = self.do_lower_case;
        let never_split = self.never_split.take().unwrap_or_default();
        let added_tokens = match &self.added_tokens_decoder {
            Some(tokens) => tokens.clone(),
            None => {
                let tokens: Option<BTreeMap<String, u32>> = read_json(&folder.join(ADDED_TOKENS))?;
                tokens.into_iter().flatten().map(|(token, id)| (id, AddedToken::plain(&token))).collect()
            }
        };
        let names = self.special_token_names(folder)?;
        let named = |name: Option<TokenName>, default| {
            name.map_or_else(|| AddedToken::plain(default), TokenName::into_token)
        };
        let special_tokens = SpecialTokens {
            unknown: named(names.unk_token, "[UNK]"),
            separator: named(names.sep_token, "[SEP]"),
            padding: named(names.pad_token, "[PAD]"),
            classification: named(names.cls_token, "[CLS]"),
            mask: named(names.mask_token, "[MASK]"),
        };
        if let Some(token) =
            added_tokens.values().chain(special_tokens.iter()).find(|token| token.single_word)
        {
            let found = format!("true for {:?}", token.content);
            return Err(unsupported("single_word", &found, "tokens without single_word"));
        }
        Ok(JapaneseSettings {
            dictionary,
            subwords,
            lower_case,
            normalise: mecab.normalize_text.unwrap_or(true),
            never_split,
            special_tokens,
            added_tokens,
        })
    }
}

/// A JSON file, or none if it is not there.
pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<Option<T>> {
    if !file.is_file() {
        return Ok(None);
    }
    serde_json::from_str(&read_text(file)?).map(Some).map_err(|error| Error::Malformed {
        file: file.to_owned(),
        place: format!("line {}, column {}", error.line(), error.column()),
        found: error.to_string(),
        expected: "a tokenizer's settings as transformers writes them".into(),
        advice: "correct it or fetch it again",
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder(settings: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SETTINGS), settings).unwrap();
        folder
    }

    fn japanese(settings: &str, default: Option<MecabDictionary>) -> Result<JapaneseSettings> {
        let folder = folder(settings);
        Settings::read(folder.path())?.unwrap().japanese(folder.path(), default)
    }

    #[test]
    fn the_tohoku_models_settings_are_read() {
        let settings = r#"{"do_lower_case": false, "word_tokenizer_type": "mecab",
            "subword_tokenizer_type": "character", "mecab_kwargs": {"mecab_dic": "unidic_lite"}}"#;
        let settings = japanese(settings, Some(MecabDictionary::Ipadic)).unwrap();
        assert_eq!(settings.dictionary, MecabDictionary::UnidicLite);
        assert_eq!(settings.subwords, Subwords::Characters);
        assert_eq!(settings.special_tokens.classification.content, "[CLS]");
        assert!(!settings.lower_case && settings.normalise);
    }

    #[test]
    fn an_unnamed_dictionary_is_the_callers_or_an_error() {
        let settings = r#"{"word_tokenizer_type": "mecab"}"#;
        assert_eq!(
            japanese(settings, Some(MecabDictionary::Ipadic)).unwrap().dictionary,
            MecabDictionary::Ipadic
        );
        let message = japanese(settings, None).unwrap_err().to_string();
        assert!(message.contains("mecab_dic is missing"), "{message}");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (settings, expected) in [
            (r#"{"word_tokenizer_type": "sudachi"}"#, "word_tokenizer_type is sudachi"),
            (r#"{"word_tokenizer_type": "jumanpp"}"#, "word_tokenizer_type is jumanpp"),
            (r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#, "word_tokenizer_type is basic"),
            (
                r#"{"word_tokenizer_type": "mecab", "subword_tokenizer_type": "sentencepiece"}"#,
                "subword_tokenizer_type is sentencepiece",
            ),
            (
                r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "naist"}}"#,
                "mecab_kwargs.mecab_dic is naist",
            ),
            (
                r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_option": "-u user.dic"}}"#,
                "mecab_kwargs.mecab_option is -u user.dic",
            ),
        ] {
            let message = japanese(settings, Some(MecabDictionary::Ipadic)).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains(SETTINGS), "{message}");
        }
    }

    #[test]
    fn special_tokens_may_be_objects_and_stand_in_two_files() {
        let folder = folder(
            r#"{"word_tokenizer_type": "mecab", "cls_token": {"content": "<s>"}, "pad_token": "<p>"}"#,
        );
        std::fs::write(folder.path().join(SPECIAL_TOKENS_MAP), r#"{"pad_token": "<pad>"}"#).unwrap();
        let settings = Settings::read(folder.path()).unwrap().unwrap();
        let settings = settings.japanese(folder.path(), Some(MecabDictionary::Ipadic)).unwrap();
        assert_eq!(settings.special_tokens.classification.content, "<s>");
        assert_eq!(settings.special_tokens.padding.content, "<pad>");
        assert_eq!(settings.special_tokens.separator.content, "[SEP]");
    }

    #[test]
    fn broken_json_is_reported_with_its_line() {
        let message = japanese("{\n  \"do_lower_case\": maybe\n}", None).unwrap_err().to_string();
        assert!(message.contains("tokenizer_config.json: line 2"), "{message}");
    }
}
