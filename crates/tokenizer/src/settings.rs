//! A checkpoint's tokenizer settings: `tokenizer_config.json` and its companions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::dictionaries::setting;
use crate::dictionary::MecabDictionary;
use crate::error::{Error, Result, read, read_text};
use crate::wordpiece::Subwords;

/// The file of a complete tokenizer.
pub(crate) const JSON: &str = "tokenizer.json";
/// The model's settings, which may name the tokenizer's class.
const CONFIG: &str = "config.json";
/// The settings file.
pub(crate) const SETTINGS: &str = "tokenizer_config.json";
/// The vocabulary, one piece a line.
pub(crate) const VOCABULARY: &str = "vocab.txt";
/// Special tokens in a file of their own, as transformers 4 wrote them.
pub(crate) const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
/// Tokens added after the vocabulary, as transformers 4 wrote them.
pub(crate) const ADDED_TOKENS: &str = "added_tokens.json";

/// The advice for a tokenizer that is not supported.
pub(crate) const OTHER_CHECKPOINT: &str =
    "choose a checkpoint that uses one of these, or one with a tokenizer.json";

/// The advice for words that only other programs find.
const PRETOKENIZE: &str = "split the texts into words with that program, put spaces between the words and set \
                           tokenize.pretokenized = true, or choose another checkpoint";

/// The SentencePiece model beside words of MeCab.
pub(crate) const SPIECE: &str = "spiece.model";

/// The names of SentencePiece models.
pub(crate) const MODELS: [&str; 4] = [SPIECE, "sentencepiece.bpe.model", "spm.model", "tokenizer.model"];

/// The files that a checkpoint's tokenizer may consist of, by their names in transformers.
pub const TOKENIZER_FILES: [&str; 9] = [
    JSON,
    SETTINGS,
    VOCABULARY,
    SPECIAL_TOKENS_MAP,
    ADDED_TOKENS,
    MODELS[0],
    MODELS[1],
    MODELS[2],
    MODELS[3],
];

/// Our own key: the class whose SentencePiece model is read, beside a `tokenizer.json` for other programs.
pub(crate) const SENTENCEPIECE_CLASS: &str = "sentencepiece_class";
/// Our own key: whether texts are already split into words, with spaces between them.
pub(crate) const PRETOKENIZED: &str = "pretokenized";

/// The tokenizer of LINE's DistilBERT. Its Python code is published with the model and is not run: it is
/// BertJapaneseTokenizer with a SentencePiece model, MeCab and unidic_lite as defaults.
const LINE_CLASS: &str = "DistilBertJapaneseTokenizer";

/// What `tokenizer_config.json` says about the class. The rest of the file is read only for classes that are supported,
/// because other classes may write anything there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TokenizerClass {
    tokenizer_class: Option<String>,
    word_tokenizer_type: Option<String>,
    auto_map: Value,
    pretokenized: Value,
    sentencepiece_class: Option<String>,
    /// `model_type` of `config.json`.
    #[serde(skip)]
    model_type: Option<String>,
}

impl TokenizerClass {
    /// Reads the folder's settings. As in transformers, `config.json` may name the class too.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct ModelConfig {
            tokenizer_class: Value,
            model_type: Value,
        }
        let mut class: Self = read_json(&folder.join(SETTINGS))?.unwrap_or_default();
        let config: ModelConfig = read_json(&folder.join(CONFIG))?.unwrap_or_default();
        let text = |value: Value| value.as_str().map(str::to_owned);
        class.tokenizer_class = class.tokenizer_class.or_else(|| text(config.tokenizer_class));
        class.model_type = text(config.model_type);
        Ok(class)
    }

    /// Whether the settings are for transformers' `BertJapaneseTokenizer`, or LINE's class, which resembles it.
    pub(crate) fn is_japanese(&self) -> bool {
        self.tokenizer_class.as_deref() == Some("BertJapaneseTokenizer")
            || self.word_tokenizer_type.is_some()
            || self.is_line()
    }

    /// Whether this is the class of LINE's DistilBERT, by its name or that of its code.
    pub(crate) fn is_line(&self) -> bool {
        let code = self.auto_map.get("AutoTokenizer");
        let code = code.and_then(|code| code.get(0).unwrap_or(code).as_str());
        self.tokenizer_class.as_deref() == Some(LINE_CLASS)
            || code.and_then(|code| code.rsplit('.').next()) == Some(LINE_CLASS)
    }

    /// Whether the settings say that texts are already split into words.
    pub(crate) fn is_pretokenized(&self) -> bool {
        self.pretokenized == Value::Bool(true)
    }

    /// The value of `tokenizer_class`.
    pub(crate) fn name(&self) -> Option<&str> {
        self.tokenizer_class.as_deref()
    }

    /// The kind of model for which `AutoTokenizer` takes a class if none is named.
    pub(crate) fn model_type(&self) -> Option<&str> {
        self.model_type.as_deref()
    }

    /// The class in our own key.
    pub(crate) fn sentencepiece_class(&self) -> Option<&str> {
        self.sentencepiece_class.as_deref()
    }
}

/// The keys of `tokenizer_config.json` for BertJapaneseTokenizer and special tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    word_tokenizer_type: Option<String>,
    subword_tokenizer_type: Option<String>,
    do_word_tokenize: Option<bool>,
    do_subword_tokenize: Option<bool>,
    pub(crate) do_lower_case: Option<bool>,
    never_split: Option<Vec<String>>,
    mecab_kwargs: Option<MecabSettings>,
    sudachi_kwargs: Option<WordNormalisation>,
    jumanpp_kwargs: Option<WordNormalisation>,
    pub(crate) keep_accents: Option<bool>,
    pub(crate) remove_space: Option<bool>,
    pub(crate) split_by_punct: Option<bool>,
    pub(crate) legacy: Option<bool>,
    pub(crate) add_bos_token: Option<bool>,
    pub(crate) add_eos_token: Option<bool>,
    pub(crate) tokenize_chinese_chars: Option<bool>,
    pub(crate) strip_accents: Option<bool>,
    #[serde(flatten)]
    special_tokens: SpecialTokenNames,
    added_tokens_decoder: Option<BTreeMap<u32, AddedToken>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MecabSettings {
    /// The outer option is none if the key is missing: then the default dictionary is used. `null` selects no dictionary.
    #[serde(deserialize_with = "given")]
    mecab_dic: Option<Option<String>>,
    mecab_option: Option<String>,
    normalize_text: Option<bool>,
    do_lower_case: Option<bool>,
    never_split: Option<Vec<String>>,
}

/// The setting of Sudachi and Juman++ that texts already split into words need.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WordNormalisation {
    normalize_text: Option<bool>,
}

/// Keeps a `null` apart from a missing key.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> std::result::Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// The keys of special tokens.
pub(crate) const SPECIAL_ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The special tokens, by role.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SpecialTokenNames {
    unk_token: Option<TokenName>,
    sep_token: Option<TokenName>,
    pad_token: Option<TokenName>,
    cls_token: Option<TokenName>,
    mask_token: Option<TokenName>,
    bos_token: Option<TokenName>,
    eos_token: Option<TokenName>,
    extra_special_tokens: Option<ExtraTokens>,
    /// The name of `extra_special_tokens` before transformers 5.
    additional_special_tokens: Option<ExtraTokens>,
}

/// Special tokens beyond BERT's: a list, or an object with names of the model's own.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ExtraTokens {
    List(Vec<TokenName>),
    Named(BTreeMap<String, TokenName>),
}

impl ExtraTokens {
    /// Combines the two keys as transformers does: a list under the newer key replaces the older key; names are added to it.
    fn together(extra: Option<Self>, additional: Option<Self>) -> Vec<TokenName> {
        match extra {
            Some(Self::List(names)) if !names.is_empty() => names,
            extra => extra.into_iter().chain(additional).flat_map(Self::into_names).collect(),
        }
    }

    fn into_names(self) -> Vec<TokenName> {
        match self {
            Self::List(names) => names,
            Self::Named(names) => names.into_values().collect(),
        }
    }
}

/// A token, as its text or as an object with its text.
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

/// A token that is searched for in the raw text, before normalisation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct AddedToken {
    pub(crate) content: String,
    /// Drops the white space before it.
    pub(crate) lstrip: bool,
    /// Drops the white space after it.
    pub(crate) rstrip: bool,
    /// Whether it is a special token such as `[SEP]`, which belongs to no word.
    pub(crate) special: bool,
    single_word: bool,
}

impl AddedToken {
    /// A token that keeps the white space around it.
    pub(crate) fn plain(content: &str) -> Self {
        Self { content: content.to_owned(), ..Self::default() }
    }

    /// The token as transformers writes it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "content": self.content,
            "lstrip": self.lstrip,
            "normalized": false,
            "rstrip": self.rstrip,
            "single_word": self.single_word,
            "special": self.special,
        })
    }
}

/// Settings of a BertJapaneseTokenizer, checked to be supported.
#[derive(Debug)]
pub(crate) struct JapaneseSettings {
    pub(crate) words: WordSettings,
    pub(crate) subwords: Subwords,
    pub(crate) lower_case: bool,
    /// Words that are neither lower-cased nor split.
    pub(crate) never_split: Vec<String>,
    pub(crate) special_tokens: SpecialTokens,
    pub(crate) added_tokens: BTreeMap<u32, AddedToken>,
}

/// How words are found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WordSettings {
    /// By MeCab, in text that is first normalised (NFKC) if `normalise` is set.
    Mecab { dictionary: MecabDictionary, normalise: bool },
    /// By white space and punctuation (`BasicTokenizer`).
    Basic,
    /// By spaces, in texts that were split into words before. They are first normalised (NFKC) if `normalise` is set.
    Split { normalise: bool },
}

/// The special tokens; BERT's where the settings name none.
#[derive(Debug)]
pub(crate) struct SpecialTokens {
    pub(crate) unknown: AddedToken,
    pub(crate) separator: AddedToken,
    pub(crate) padding: AddedToken,
    pub(crate) classification: AddedToken,
    pub(crate) mask: AddedToken,
    /// Special tokens beyond BERT's five, with their keys.
    pub(crate) others: Vec<(&'static str, AddedToken)>,
}

impl SpecialTokens {
    /// All special tokens, with their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &AddedToken)> {
        let own = [
            ("unk_token", &self.unknown),
            ("sep_token", &self.separator),
            ("pad_token", &self.padding),
            ("cls_token", &self.classification),
            ("mask_token", &self.mask),
        ];
        own.into_iter().chain(self.others.iter().map(|(key, token)| (*key, token)))
    }
}

impl JapaneseSettings {
    /// A few words: how words are found and cut.
    pub(crate) fn describe(&self) -> String {
        let words = match &self.words {
            WordSettings::Mecab { dictionary, .. } => format!("MeCab with {dictionary}"),
            WordSettings::Basic => "basic words".to_owned(),
            WordSettings::Split { .. } => "words separated by spaces".to_owned(),
        };
        let subwords = match self.subwords {
            Subwords::WordPiece => "WordPiece",
            Subwords::Characters => "characters",
            Subwords::SentencePiece => "SentencePiece",
        };
        format!("{words}, {subwords}")
    }

    /// The settings that are not empty, by their keys in `tokenizer_config.json`.
    pub(crate) fn list(&self) -> Vec<(&'static str, String)> {
        let words = match &self.words {
            WordSettings::Basic => vec![("word_tokenizer_type", "basic".to_owned())],
            WordSettings::Mecab { dictionary, normalise } => vec![
                ("word_tokenizer_type", "mecab".to_owned()),
                ("mecab_dic", dictionary.to_string()),
                ("normalize_text", normalise.to_string()),
            ],
            WordSettings::Split { normalise } => {
                vec![(PRETOKENIZED, "true".to_owned()), ("normalize_text", normalise.to_string())]
            }
        };
        let subwords = match self.subwords {
            Subwords::WordPiece => "wordpiece",
            Subwords::Characters => "character",
            Subwords::SentencePiece => "sentencepiece",
        };
        let rest = [
            ("subword_tokenizer_type", subwords.to_owned()),
            ("do_lower_case", self.lower_case.to_string()),
            ("never_split", self.never_split.join(" ")),
        ];
        let special = self.special_tokens.iter().map(|(key, token)| (key, token.content.clone()));
        let all = words.into_iter().chain(rest).chain(special);
        all.filter(|(_, value)| !value.is_empty()).collect()
    }
}

impl Settings {
    /// Reads the folder's settings; transformers' defaults if there are none.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        Ok(read_json(&folder.join(SETTINGS))?.unwrap_or_default())
    }

    /// Added tokens, from the settings or from a file of their own.
    pub(crate) fn added_tokens(&self, folder: &Path) -> Result<BTreeMap<u32, AddedToken>> {
        if let Some(tokens) = &self.added_tokens_decoder {
            return Ok(tokens.clone());
        }
        let tokens: Option<BTreeMap<String, u32>> = read_json(&folder.join(ADDED_TOKENS))?;
        Ok(tokens.into_iter().flatten().map(|(token, id)| (id, AddedToken::plain(&token))).collect())
    }

    /// The special tokens that are named, by their keys, and the extra ones. As in transformers, `special_tokens_map.json`
    /// takes precedence over the settings, unless they have an `added_tokens_decoder`, which replaced that file.
    pub(crate) fn named_tokens(
        self,
        folder: &Path,
    ) -> Result<(BTreeMap<&'static str, AddedToken>, Vec<AddedToken>)> {
        let first = match self.added_tokens_decoder {
            Some(_) => SpecialTokenNames::default(),
            None => read_json(&folder.join(SPECIAL_TOKENS_MAP))?.unwrap_or_default(),
        };
        let second = self.special_tokens;
        let extra = ExtraTokens::together(
            first.extra_special_tokens.or(second.extra_special_tokens),
            first.additional_special_tokens.or(second.additional_special_tokens),
        );
        let named = [
            ("bos_token", first.bos_token.or(second.bos_token)),
            ("eos_token", first.eos_token.or(second.eos_token)),
            ("unk_token", first.unk_token.or(second.unk_token)),
            ("sep_token", first.sep_token.or(second.sep_token)),
            ("pad_token", first.pad_token.or(second.pad_token)),
            ("cls_token", first.cls_token.or(second.cls_token)),
            ("mask_token", first.mask_token.or(second.mask_token)),
        ];
        let named = named.into_iter().filter_map(|(role, name)| Some((role, name?.into_token())));
        Ok((named.collect(), extra.into_iter().map(TokenName::into_token).collect()))
    }

    /// Whether a program that finds words normalises texts (NFKC) before.
    fn normalises_words(&self) -> bool {
        let mecab = self.mecab_kwargs.as_ref().and_then(|mecab| mecab.normalize_text);
        let others = [&self.sudachi_kwargs, &self.jumanpp_kwargs];
        let others = others.into_iter().flatten().find_map(|other| other.normalize_text);
        mecab.or(others).unwrap_or(true)
    }

    /// Checks that the settings are supported, and fills in transformers' defaults. The default dictionary is the caller's,
    /// because transformers' default depends on its version.
    pub(crate) fn japanese(
        mut self,
        folder: &Path,
        default: Option<&MecabDictionary>,
        is_line: bool,
        is_pretokenized: bool,
    ) -> Result<JapaneseSettings> {
        let file = folder.join(SETTINGS);
        // The code beside LINE's model has these defaults.
        let (words, subwords, line) = match is_line {
            true => ("mecab", "sentencepiece", Some(&MecabDictionary::UnidicLite)),
            false => ("basic", "wordpiece", default),
        };
        let default = line;
        let unsupported = |setting, found: &str, supported| Error::Unsupported {
            file: file.clone(),
            setting,
            found: found.into(),
            supported,
            advice: OTHER_CHECKPOINT,
        };
        let words = match self.word_tokenizer_type.as_deref().unwrap_or(words) {
            _ if is_pretokenized => WordSettings::Split { normalise: self.normalises_words() },
            "mecab" => self.mecab_kwargs.take().unwrap_or_default().words(&file, default)?,
            "basic" => WordSettings::Basic,
            other => {
                return Err(Error::Unsupported {
                    file: file.clone(),
                    setting: "word_tokenizer_type",
                    found: other.to_owned(),
                    supported: "mecab, basic",
                    advice: PRETOKENIZE,
                });
            }
        };
        let subwords = match self.subword_tokenizer_type.as_deref().unwrap_or(subwords) {
            "wordpiece" => Subwords::WordPiece,
            "character" => Subwords::Characters,
            "sentencepiece" => Subwords::SentencePiece,
            other => {
                let supported = "wordpiece, character, sentencepiece";
                return Err(unsupported("subword_tokenizer_type", other, supported));
            }
        };
        if self.do_word_tokenize == Some(false) && !is_pretokenized {
            return Err(unsupported("do_word_tokenize", "false", "true"));
        }
        if self.do_subword_tokenize == Some(false) {
            return Err(unsupported("do_subword_tokenize", "false", "true"));
        }
        let lower_case = self.do_lower_case.unwrap_or_default();
        let never_split = self.never_split.take().unwrap_or_default();
        let added_tokens = self.added_tokens(folder)?;
        let (mut named, extra) = self.named_tokens(folder)?;
        let mut token = |role, default| named.remove(role).unwrap_or_else(|| AddedToken::plain(default));
        let special_tokens = SpecialTokens {
            unknown: token("unk_token", "[UNK]"),
            separator: token("sep_token", "[SEP]"),
            padding: token("pad_token", "[PAD]"),
            classification: token("cls_token", "[CLS]"),
            mask: token("mask_token", "[MASK]"),
            others: named
                .into_iter()
                .chain(extra.into_iter().map(|token| ("extra_special_tokens", token)))
                .collect(),
        };
        let special = special_tokens.iter().map(|(_, token)| token);
        unsupported_single_word(added_tokens.values().chain(special), &file)?;
        Ok(JapaneseSettings { words, subwords, lower_case, never_split, special_tokens, added_tokens })
    }
}

/// Refuses a token that is only searched for between words.
pub(crate) fn unsupported_single_word<'a>(
    tokens: impl IntoIterator<Item = &'a AddedToken>,
    file: &Path,
) -> Result<()> {
    match tokens.into_iter().find(|token| token.single_word) {
        None => Ok(()),
        Some(token) => Err(Error::Unsupported {
            file: file.to_owned(),
            setting: "single_word",
            found: format!("true for {:?}", token.content),
            supported: "tokens without single_word",
            advice: OTHER_CHECKPOINT,
        }),
    }
}

impl MecabSettings {
    /// Checks the settings of MecabTokenizer; `file` is the settings file for messages.
    fn words(self, file: &Path, default: Option<&MecabDictionary>) -> Result<WordSettings> {
        let unsupported = |setting, found: &str, supported, advice| Error::Unsupported {
            file: file.to_owned(),
            setting,
            found: found.into(),
            supported,
            advice,
        };
        // transformers raises a TypeError for these keys, because it passes them to MecabTokenizer itself.
        if self.do_lower_case.is_some() || self.never_split.is_some() {
            return Err(unsupported(
                "mecab_kwargs",
                "do_lower_case or never_split",
                "these two beside mecab_kwargs",
                "move them there",
            ));
        }
        let option = self.mecab_option.unwrap_or_default();
        let unsupported_option = |found: &str, supported, advice| {
            unsupported("mecab_kwargs.mecab_option", found, supported, advice)
        };
        let options = MecabOptions::parse(&option).ok_or_else(|| {
            let supported = "-d and the dictionary's folder, -r and an rcfile";
            unsupported_option(&option, supported, "take the other options out or choose another checkpoint")
        })?;
        let rcfile = options.rcfile.map(Rcfile::read).transpose()?;
        if let Some(rcfile) = &rcfile
            && let Some(key) = rcfile.unsupported()
        {
            let found = format!("{option}, where {} sets {key}", rcfile.path.display());
            let advice = "take the setting out, or name another rcfile after -r";
            return Err(unsupported_option(&found, "an rcfile without this setting", advice));
        }
        // MeCab uses its last -d, which takes precedence over an rcfile. transformers passes the dictionary of mecab_dic
        // before mecab_option.
        let dictionary = match (options.folder, self.mecab_dic, rcfile) {
            (Some(folder), ..) => MecabDictionary::Folder(folder),
            (None, Some(Some(name)), _) => {
                let mut named = MecabDictionary::NAMED.into_iter();
                named.find(|dictionary| dictionary.name() == Some(&name)).ok_or_else(|| {
                    let supported = "ipadic, unidic_lite, unidic";
                    unsupported("mecab_kwargs.mecab_dic", &name, supported, OTHER_CHECKPOINT)
                })?
            }
            (None, Some(None), Some(rcfile)) => {
                let folder = rcfile.dictionary().ok_or_else(|| {
                    let found = format!("{option}, where -r names no dicdir");
                    unsupported_option(
                        &found,
                        "an rcfile that sets dicdir",
                        "add -d and the dictionary's folder",
                    )
                })?;
                MecabDictionary::Folder(folder)
            }
            _ => default.cloned().ok_or_else(|| Error::DictionaryNotNamed { file: file.to_owned() })?,
        };
        Ok(WordSettings::Mecab { dictionary, normalise: self.normalize_text.unwrap_or(true) })
    }
}

/// The supported options of MeCab's command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct MecabOptions {
    /// `-d`, `--dicdir`
    folder: Option<PathBuf>,
    /// `-r`, `--rcfile`
    rcfile: Option<PathBuf>,
}

impl MecabOptions {
    /// Splits the line as a shell does (so does fugashi). None if it has other options.
    fn parse(line: &str) -> Option<Self> {
        let mut options = Self::default();
        let mut arguments = shlex::split(line)?.into_iter();
        while let Some(argument) = arguments.next() {
            let long = |name| argument.strip_prefix(name)?.strip_prefix('=');
            let (target, value) = match argument.as_str() {
                "-d" | "--dicdir" => (&mut options.folder, arguments.next()?),
                "-r" | "--rcfile" => (&mut options.rcfile, arguments.next()?),
                _ if let Some(value) = long("--dicdir") => (&mut options.folder, value.to_owned()),
                _ if let Some(value) = long("--rcfile") => (&mut options.rcfile, value.to_owned()),
                _ => return None,
            };
            *target = Some(value.into());
        }
        Some(options)
    }
}

/// MeCab's rcfile: its settings for all dictionaries.
struct Rcfile {
    path: PathBuf,
    settings: Vec<u8>,
}

impl Rcfile {
    fn read(path: PathBuf) -> Result<Self> {
        let settings = read(&path)?;
        Ok(Self { path, settings })
    }

    /// A setting that would change the words but is not supported here, if there is one.
    fn unsupported(&self) -> Option<&'static str> {
        ["userdic", "max-grouping-size"].into_iter().find(|key| setting(&self.settings, key).is_some())
    }

    /// The dictionary's folder. `$(rcpath)` in it stands for the rcfile's folder.
    fn dictionary(&self) -> Option<PathBuf> {
        let (_, folder) = setting(&self.settings, "dicdir").filter(|(_, folder)| !folder.is_empty())?;
        let own = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Some(folder.replace("$(rcpath)", &own.to_string_lossy()).into())
    }
}

/// Reads a JSON file; none if it does not exist.
pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<Option<T>> {
    if !file.exists() {
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
        Settings::read(folder.path())?.japanese(folder.path(), default.as_ref(), false, false)
    }

    fn mecab(dictionary: MecabDictionary) -> WordSettings {
        WordSettings::Mecab { dictionary, normalise: true }
    }

    #[test]
    fn the_tohoku_models_settings_are_read() {
        let settings = r#"{"do_lower_case": false, "word_tokenizer_type": "mecab",
            "subword_tokenizer_type": "character", "mecab_kwargs": {"mecab_dic": "unidic_lite"}}"#;
        let settings = japanese(settings, Some(MecabDictionary::Ipadic)).unwrap();
        assert_eq!(settings.words, mecab(MecabDictionary::UnidicLite));
        assert_eq!(settings.subwords, Subwords::Characters);
        assert_eq!(settings.special_tokens.classification.content, "[CLS]");
        assert!(!settings.lower_case);
    }

    #[test]
    fn an_unnamed_dictionary_is_the_callers_or_an_error() {
        let settings = r#"{"word_tokenizer_type": "mecab"}"#;
        let words = japanese(settings, Some(MecabDictionary::Ipadic)).unwrap().words;
        assert_eq!(words, mecab(MecabDictionary::Ipadic));
        let message = japanese(settings, None).unwrap_err().to_string();
        assert!(message.contains("mecab_dic is missing"), "{message}");
    }

    #[test]
    fn words_are_basic_unless_the_settings_say_otherwise() {
        let settings = japanese(r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#, None).unwrap();
        assert_eq!(settings.words, WordSettings::Basic);
    }

    #[test]
    fn mecabs_options_may_name_the_dictionarys_folder() {
        let words = |option: &str| {
            let mecab = serde_json::json!({"mecab_dic": null, "mecab_option": option});
            let settings = serde_json::json!({"word_tokenizer_type": "mecab", "mecab_kwargs": mecab});
            japanese(&settings.to_string(), Some(MecabDictionary::Ipadic)).map(|settings| settings.words)
        };
        let folder = MecabDictionary::Folder("/my dic/neologd".into());
        for option in
            ["-d '/my dic/neologd'", "--dicdir=\"/my dic/neologd\"", "-d /old --dicdir '/my dic/neologd'"]
        {
            assert_eq!(words(option).unwrap(), mecab(folder.clone()), "{option}");
        }
        assert_eq!(words(" ").unwrap(), mecab(MecabDictionary::Ipadic));

        let rcfile = tempfile::NamedTempFile::new().unwrap();
        let option = format!("-r {} -d '/my dic/neologd'", rcfile.path().display());
        assert_eq!(words(&option).unwrap(), mecab(folder));
        std::fs::write(rcfile.path(), "; settings\nuserdic = user.dic\n").unwrap();
        let message = words(&option).unwrap_err().to_string();
        assert!(message.contains("sets userdic"), "{message}");
        let message = words("-d x -r /nowhere/mecabrc").unwrap_err().to_string();
        assert!(message.starts_with("/nowhere/mecabrc: cannot be read"), "{message}");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (settings, expected) in [
            (r#"{"word_tokenizer_type": "sudachi"}"#, "word_tokenizer_type is sudachi"),
            (r#"{"word_tokenizer_type": "jumanpp"}"#, "word_tokenizer_type is jumanpp"),
            (
                r#"{"word_tokenizer_type": "mecab", "subword_tokenizer_type": "bytes"}"#,
                "subword_tokenizer_type is bytes",
            ),
            (
                r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "naist"}}"#,
                "mecab_kwargs.mecab_dic is naist",
            ),
            (
                r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_option": "-u user.dic"}}"#,
                "mecab_kwargs.mecab_option is -u user.dic",
            ),
            (
                r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_option": "-d"}}"#,
                "mecab_kwargs.mecab_option is -d",
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
        let settings = Settings::read(folder.path()).unwrap();
        let settings =
            settings.japanese(folder.path(), Some(&MecabDictionary::Ipadic), false, false).unwrap();
        assert_eq!(settings.special_tokens.classification.content, "<s>");
        assert_eq!(settings.special_tokens.padding.content, "<pad>");
        assert_eq!(settings.special_tokens.separator.content, "[SEP]");
    }

    /// transformers 4 wrote a list under one key; from 4.47 a dictionary, mostly empty, stood beside it.
    #[test]
    fn further_special_tokens_may_be_listed_or_named() {
        let (list, dictionary) = (r#"["<t>", {"content": "<u>"}]"#, r#"{"title_token": "<v>"}"#);
        for (settings, expected) in [
            (r#""extra_special_tokens": {}"#.to_owned(), vec![]),
            (format!(r#""extra_special_tokens": {dictionary}"#), vec!["<v>"]),
            (format!(r#""extra_special_tokens": {list}"#), vec!["<t>", "<u>"]),
            (format!(r#""additional_special_tokens": {list}"#), vec!["<t>", "<u>"]),
            (
                format!(r#""additional_special_tokens": {list}, "extra_special_tokens": null"#),
                vec!["<t>", "<u>"],
            ),
            (
                format!(r#""additional_special_tokens": {list}, "extra_special_tokens": {{}}"#),
                vec!["<t>", "<u>"],
            ),
            (
                format!(r#""additional_special_tokens": {list}, "extra_special_tokens": {dictionary}"#),
                vec!["<v>", "<t>", "<u>"],
            ),
            (format!(r#""additional_special_tokens": {list}, "extra_special_tokens": ["<w>"]"#), vec!["<w>"]),
        ] {
            let settings = format!(r#"{{"word_tokenizer_type": "basic", {settings}}}"#);
            let found = japanese(&settings, None).unwrap().special_tokens.others;
            let found: Vec<_> = found.iter().map(|(_, token)| token.content.as_str()).collect();
            assert_eq!(found, expected, "{settings}");
        }
    }

    #[test]
    fn an_rcfile_names_the_dictionary_where_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let rcfile = folder.path().join("mecabrc");
        let words = |dictionary: &str, dicdir: &str| {
            std::fs::write(&rcfile, format!("; dicdir = /old\n{dicdir}\n")).unwrap();
            let option = serde_json::json!(format!("-r {}", rcfile.display()));
            let mecab = format!(r#"{{{dictionary} "mecab_option": {option}}}"#);
            let settings = format!(r#"{{"word_tokenizer_type": "mecab", "mecab_kwargs": {mecab}}}"#);
            japanese(&settings, Some(MecabDictionary::Ipadic)).map(|settings| settings.words)
        };
        let (none, mine) = (r#""mecab_dic": null,"#, "dicdir =  /mine");
        assert_eq!(words(none, mine).unwrap(), mecab(MecabDictionary::Folder("/mine".into())));
        let beside = MecabDictionary::Folder(folder.path().join("dic"));
        assert_eq!(words(none, "dicdir = $(rcpath)/dic").unwrap(), mecab(beside));
        // transformers names the dictionary, its default too, on MeCab's command line, which counts before the rcfile.
        let named = r#""mecab_dic": "unidic","#;
        assert_eq!(words(named, mine).unwrap(), mecab(MecabDictionary::Unidic));
        assert_eq!(words("", mine).unwrap(), mecab(MecabDictionary::Ipadic));
        let message = words(none, "").unwrap_err().to_string();
        assert!(message.contains("-r names no dicdir") && message.contains("; add -d"), "{message}");
    }

    #[test]
    fn advice_fits_what_is_not_supported() {
        let mecab = r#"{"mecab_dic": "ipadic", "never_split": []}"#;
        let settings = format!(r#"{{"word_tokenizer_type": "mecab", "mecab_kwargs": {mecab}}}"#);
        let message = japanese(&settings, None).unwrap_err().to_string();
        assert!(message.ends_with("supported: these two beside mecab_kwargs; move them there"), "{message}");
        let message = japanese(r#"{"word_tokenizer_type": "sudachi"}"#, None).unwrap_err().to_string();
        assert!(message.contains("supported: mecab, basic; split the texts into words"), "{message}");
        assert!(message.contains("tokenize.pretokenized = true"), "{message}");
    }

    #[test]
    fn broken_json_is_reported_with_its_line() {
        let message = japanese("{\n  \"do_lower_case\": maybe\n}", None).unwrap_err().to_string();
        assert!(message.contains("tokenizer_config.json: line 2"), "{message}");
    }
}
