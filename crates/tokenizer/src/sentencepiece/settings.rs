//! The settings of a tokenizer class with a SentencePiece model, checked to be supported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::classes::Class;
use super::cleaning::Cleaning;
use crate::error::{Error, Result};
use crate::settings::{AddedToken, SETTINGS, SPECIAL_ROLES, Settings, unsupported_single_word};

/// The advice for a setting that is not supported.
const ADVICE: &str = "choose another checkpoint, or one with a tokenizer.json";

/// The settings of a class with a SentencePiece model.
#[derive(Debug)]
pub(crate) struct SentencePieceSettings {
    pub(crate) class: Class,
    /// The model's file.
    pub(crate) model: PathBuf,
    pub(crate) cleaning: Option<Cleaning>,
    /// Whether the text between special tokens is lower-cased before anything else.
    pub(crate) lower_case: bool,
    /// Special tokens, with their keys in the settings.
    pub(crate) special_tokens: Vec<(&'static str, AddedToken)>,
    /// Whether the settings name the token, so that it is more than the class's default.
    pub(crate) names_classification: bool,
    pub(crate) added_tokens: BTreeMap<u32, AddedToken>,
    /// Whether texts begin and end with special tokens, where the class lets the settings choose.
    pub(crate) begins: bool,
    pub(crate) ends: bool,
}

impl SentencePieceSettings {
    /// Reads the settings of the class in `folder`.
    pub(crate) fn read(folder: &Path, class: Class) -> Result<Self> {
        let settings = Settings::read(folder)?;
        let file = folder.join(SETTINGS);
        let unsupported = |setting, found: &str, supported| Error::Unsupported {
            file: file.clone(),
            setting,
            found: found.to_owned(),
            supported,
            advice: ADVICE,
        };
        if settings.split_by_punct == Some(true) {
            return Err(unsupported("split_by_punct", "true", "false"));
        }
        if settings.legacy == Some(false) {
            return Err(unsupported("legacy", "false", "true"));
        }
        let model = folder.join(class.file());
        if !model.is_file() {
            return Err(Error::NoModel { file: model, class: class.name() });
        }
        let lower_case = settings.do_lower_case.unwrap_or(class.lower_case());
        let cleaning = class.cleaning(lower_case, settings.keep_accents, settings.remove_space);
        // Llama's own defaults.
        let (begins, ends) =
            (settings.add_bos_token.unwrap_or(true), settings.add_eos_token.unwrap_or(false));
        let added_tokens = settings.added_tokens(folder)?;
        let (named, extra) = settings.named_tokens(folder)?;
        let names_classification = named.contains_key("cls_token");
        let token = |role: &'static str| {
            let token = named.get(role).cloned();
            let mut token = token.or_else(|| class.default_token(role).map(AddedToken::plain))?;
            if role == "mask_token" && class.mask_drops_space() && !named.contains_key(role) {
                token.lstrip = true;
            }
            Some((role, token))
        };
        let special_tokens: Vec<_> = SPECIAL_ROLES
            .into_iter()
            .filter_map(token)
            .chain(extra.into_iter().map(|token| ("extra_special_tokens", token)))
            .collect();
        let all = added_tokens.values().chain(special_tokens.iter().map(|(_, token)| token));
        unsupported_single_word(all, &file)?;
        Ok(Self {
            class,
            model,
            cleaning,
            lower_case,
            special_tokens,
            names_classification,
            added_tokens,
            begins,
            ends,
        })
    }

    /// The special token with this key.
    pub(crate) fn token(&self, role: &str) -> Option<&AddedToken> {
        self.special_tokens.iter().find(|(key, _)| *key == role).map(|(_, token)| token)
    }
}
