//! The form in which a folder holds a tokenizer, found from its settings and files.

use std::path::{Path, PathBuf};

use crate::bert::{is_bert, is_bert_model};
use crate::dictionary::MecabDictionary;
use crate::error::{Error, Result};
use crate::sentencepiece::{Class, SentencePieceSettings};
use crate::settings::{
    JSON, JapaneseSettings, MODELS, OTHER_CHECKPOINT, SETTINGS, SPIECE, Settings, TokenizerClass, VOCABULARY,
};
use crate::wordpiece::Subwords;

/// The form in which a folder holds a tokenizer.
pub(crate) enum Form {
    /// BertJapaneseTokenizer's vocabulary, in a `vocab.txt` or a SentencePiece model, with these settings.
    Japanese { settings: Box<JapaneseSettings>, vocabulary: PathBuf },
    /// A SentencePiece model with the settings of its class.
    SentencePiece(Box<SentencePieceSettings>),
    /// BertTokenizer's `vocab.txt`.
    Bert,
    /// `tokenizer.json`.
    Json,
}

/// A folder's tokenizer before it is loaded.
pub(crate) struct Found {
    pub(crate) form: Form,
    /// The tokenizer class that is read, if the form depends on it.
    pub(crate) class: Option<&'static str>,
    /// Whether texts are already split into words, with spaces between them.
    pub(crate) is_pretokenized: bool,
}

impl Found {
    /// Looks for a tokenizer in `folder`. Texts count as split into words if the settings or `is_pretokenized` say so.
    pub(crate) fn of(
        folder: &Path,
        default_dictionary: Option<&MecabDictionary>,
        is_pretokenized: bool,
    ) -> Result<Self> {
        let class = TokenizerClass::read(folder)?;
        let is_pretokenized = is_pretokenized || class.is_pretokenized();
        let found = |form, class| Ok(Self { form, class, is_pretokenized });
        // As in transformers, BertJapaneseTokenizer never reads a tokenizer.json.
        if class.is_japanese() {
            let (settings, is_line) = (Settings::read(folder)?, class.is_line());
            let settings = settings.japanese(folder, default_dictionary, is_line, is_pretokenized)?;
            let vocabulary = folder.join(match settings.subwords {
                Subwords::SentencePiece => SPIECE,
                Subwords::WordPiece | Subwords::Characters => VOCABULARY,
            });
            return match vocabulary.is_file() {
                true => {
                    let form = Form::Japanese { settings: Box::new(settings), vocabulary };
                    found(form, Some("BertJapaneseTokenizer"))
                }
                false => Err(Error::NoVocabulary { file: vocabulary }),
            };
        }
        let has = |name: &str| folder.join(name).is_file();
        // Our own key counts before a tokenizer.json, which is for other programs then.
        let own = class.sentencepiece_class().and_then(Class::named);
        if own.is_none() && has(JSON) {
            return found(Form::Json, None);
        }
        let named = match class.name() {
            Some(name) => Class::named(name),
            None => class.model_type().and_then(Class::of_model).filter(|class| has(class.file())),
        };
        if let Some(class) = own.or(named) {
            let settings = SentencePieceSettings::read(folder, class)?;
            return found(Form::SentencePiece(Box::new(settings)), Some(class.name()));
        }
        let is_bert = class.name().map_or_else(|| class.model_type().is_some_and(is_bert_model), is_bert);
        if is_bert && has(VOCABULARY) {
            return found(Form::Bert, Some("BertTokenizer"));
        }
        if has(VOCABULARY) || MODELS.iter().any(|model| has(model)) {
            return Err(Error::Unsupported {
                file: folder.join(SETTINGS),
                setting: "tokenizer_class",
                found: class.name().unwrap_or("missing").to_owned(),
                supported: "BertJapaneseTokenizer and BertTokenizer with vocab.txt; T5Tokenizer, AlbertTokenizer, \
                            XLMRobertaTokenizer, MLukeTokenizer, DebertaV2Tokenizer and LlamaTokenizer with their \
                            SentencePiece model; any class with tokenizer.json",
                advice: OTHER_CHECKPOINT,
            });
        }
        Err(Error::NoTokenizer { folder: folder.to_owned() })
    }
}
