//! A tokenizer's files for transformers: the same tokenizer in a folder that `AutoTokenizer` reads rightly, beside a BERT.
//!
//! A checkpoint may lack `tokenizer_config.json`, or hold one for a class that does not read `tokenizer.json` as it is.
//! `AutoTokenizer` then guesses the class from the model, which gives other ids.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::bert;
use crate::error::{Error, Result, read_text, write};
use crate::form::{Form, Found};
use crate::sentencepiece::{SentencePiece, SentencePieceSettings, SentencePieceTokenizer, tokenizer_json};
use crate::settings::{
    ADDED_TOKENS, AddedToken, JSON, JapaneseSettings, SENTENCEPIECE_CLASS, SETTINGS, SPECIAL_TOKENS_MAP,
    TOKENIZER_FILES, WordSettings, read_json,
};
use crate::vocabulary::Vocabulary;
use crate::wordpiece::Subwords;

/// The class that reads a `tokenizer.json` as it is, in transformers 4 and 5.
const FAST_CLASS: &str = "PreTrainedTokenizerFast";
const JAPANESE_CLASS: &str = "BertJapaneseTokenizer";

/// The key of all added and special tokens, by their ids.
const DECODER: &str = "added_tokens_decoder";

/// Keys that transformers writes about the place of a tokenizer and the code that made it.
const OF_THE_PLACE: [&str; 9] = [
    "auto_map",
    "backend",
    "is_local",
    "local_files_only",
    "name_or_path",
    "processor_class",
    "special_tokens_map_file",
    "tokenizer_file",
    "vocab_file",
];

/// The keys of special tokens in the settings, and the usual spellings of each in BERT and RoBERTa.
const ROLES: [(&str, &[&str]); 7] = [
    ("bos_token", &["<s>"]),
    ("eos_token", &["</s>"]),
    ("unk_token", &["[UNK]", "<unk>"]),
    ("sep_token", &["[SEP]", "</s>"]),
    ("pad_token", &["[PAD]", "<pad>"]),
    ("cls_token", &["[CLS]", "<s>"]),
    ("mask_token", &["[MASK]", "<mask>"]),
];

/// Writes the tokenizer in `folder` into the existing folder `target`, as transformers writes a tokenizer: its
/// vocabulary, `tokenizer_config.json` and `special_tokens_map.json`. A text is cut to `model_max_length` tokens where
/// transformers is asked to truncate, and padded with the token of `pad_token_id`.
///
/// # Errors
///
/// If a file is missing, malformed or not supported, or cannot be written.
pub fn write_for_transformers(
    folder: &Path,
    target: &Path,
    model_max_length: usize,
    pad_token_id: i64,
) -> Result<()> {
    let mut settings: Map<String, Value> = read_json(&folder.join(SETTINGS))?.unwrap_or_default();
    settings.retain(|key, _| !OF_THE_PLACE.contains(&key.as_str()));
    let json = match Found::of(folder, None, false)?.form {
        Form::Japanese { settings: japanese, vocabulary } => {
            of_japanese(&vocabulary, &japanese, &mut settings)?;
            None
        }
        Form::SentencePiece(sentencepiece) => Some(of_sentencepiece(*sentencepiece, &mut settings)?),
        Form::Bert => {
            let json = bert::tokenizer_json(folder)?.to_string();
            of_json(&folder.join(JSON), &json, pad_token_id, &mut settings)?;
            Some(json)
        }
        Form::Json => {
            let file = folder.join(JSON);
            of_json(&file, &read_text(&file)?, pad_token_id, &mut settings)?;
            None
        }
    };
    settings.insert("model_max_length".to_owned(), json!(model_max_length));
    // The classifier reads the first token, so padding and cuts are at the end.
    settings.insert("padding_side".to_owned(), json!("right"));
    settings.insert("truncation_side".to_owned(), json!("right"));
    settings.insert("model_input_names".to_owned(), json!(["input_ids", "token_type_ids", "attention_mask"]));
    settings.sort_keys();
    let special: Map<String, Value> = ROLES
        .iter()
        .filter_map(|(role, _)| Some(((*role).to_owned(), settings.get(*role)?.clone())))
        .filter(|(_, token)| !token.is_null())
        .collect();
    write_json(&target.join(SPECIAL_TOKENS_MAP), special)?;
    write_json(&target.join(SETTINGS), settings)?;
    // The settings now hold what the other two files did.
    for name in TOKENIZER_FILES {
        let file = folder.join(name);
        let is_written = json.is_some() && name == JSON;
        if ![SETTINGS, SPECIAL_TOKENS_MAP, ADDED_TOKENS].contains(&name) && file.is_file() && !is_written {
            let bytes = fs::read(&file).map_err(|source| Error::Read { file: file.clone(), source })?;
            write(&target.join(name), bytes)?;
        }
    }
    if let Some(json) = json {
        write(&target.join(JSON), json)?;
    }
    Ok(())
}

/// Completes the settings of a class with a SentencePiece model. Returns a `tokenizer.json` for other programs: ours
/// read the model, of the class that the settings name in a key of our own.
fn of_sentencepiece(
    sentencepiece: SentencePieceSettings,
    settings: &mut Map<String, Value>,
) -> Result<String> {
    let tokenizer = SentencePieceTokenizer::load(sentencepiece)?;
    for (role, token) in &tokenizer.settings.special_tokens {
        let is_known = tokenizer.vocabulary.id(&token.content).is_some();
        // Extra tokens stay as the settings list them.
        if ROLES.iter().any(|(known, _)| known == role) && is_known {
            settings.insert((*role).to_owned(), json!(token.content));
        }
    }
    let decoder = tokenizer.set_apart.iter().map(|(token, id)| {
        let mut token: AddedToken = token.clone();
        token.special |= tokenizer.set_apart.is_special(*id);
        (id.to_string(), token.to_json())
    });
    settings.insert(DECODER.to_owned(), Value::Object(decoder.collect()));
    let class = tokenizer.settings.class.name();
    settings.insert(SENTENCEPIECE_CLASS.to_owned(), json!(class));
    settings.insert("tokenizer_class".to_owned(), json!(FAST_CLASS));
    // Options of the class that the other one does not have, or would apply a second time.
    for (key, value) in [
        ("keep_accents", tokenizer.settings.cleaning.map(|cleaning| cleaning.keep_accents)),
        ("remove_space", tokenizer.settings.cleaning.map(|cleaning| cleaning.remove_space)),
        ("do_lower_case", Some(tokenizer.settings.lower_case)),
    ] {
        if let Some(value) = value {
            settings.insert(key.to_owned(), json!(value));
        }
    }
    Ok(tokenizer_json(&tokenizer).to_string())
}

/// Completes the settings of a `BertJapaneseTokenizer`.
fn of_japanese(file: &Path, japanese: &JapaneseSettings, settings: &mut Map<String, Value>) -> Result<()> {
    let mut vocabulary = match japanese.subwords {
        Subwords::SentencePiece => {
            SentencePiece::load(file)?.pieces.iter().map(|piece| &*piece.text).collect()
        }
        Subwords::WordPiece | Subwords::Characters => Vocabulary::read(file)?,
    };
    let mut added = BTreeMap::new();
    for (&id, token) in &japanese.added_tokens {
        if vocabulary.id(&token.content).is_none() {
            vocabulary.push(&token.content);
        }
        added.insert(id, token.clone());
    }
    for (role, token) in japanese.special_tokens.iter() {
        if let Some(id) = vocabulary.id(&token.content) {
            added.entry(id).or_insert_with(|| {
                let mut token = token.clone();
                token.special = true;
                token
            });
        }
        // Extra tokens stay as the settings list them.
        if ROLES.iter().any(|(known, _)| *known == role) {
            settings.insert(role.to_owned(), json!(token.content));
        }
    }
    // What the settings say of a token stays, such as whether it is normalised.
    let known = settings.remove(DECODER);
    let decoder = added.into_iter().map(|(id, token)| {
        let id = id.to_string();
        let known = known.as_ref().and_then(|known| known.get(&id));
        let token = known.cloned().unwrap_or_else(|| token.to_json());
        (id, token)
    });
    let decoder = decoder.collect();
    settings.insert(DECODER.to_owned(), Value::Object(decoder));
    settings.insert("tokenizer_class".to_owned(), json!(JAPANESE_CLASS));
    settings.insert("do_lower_case".to_owned(), json!(japanese.lower_case));
    let words = match japanese.words {
        WordSettings::Mecab { .. } => "mecab",
        WordSettings::Basic | WordSettings::Split { .. } => "basic",
    };
    let subwords = match japanese.subwords {
        Subwords::WordPiece => "wordpiece",
        Subwords::Characters => "character",
        Subwords::SentencePiece => "sentencepiece",
    };
    for (key, value) in [
        ("do_word_tokenize", json!(true)),
        ("do_subword_tokenize", json!(true)),
        ("word_tokenizer_type", json!(words)),
        ("subword_tokenizer_type", json!(subwords)),
    ] {
        let entry = settings.entry(key).or_insert(Value::Null);
        if entry.is_null() {
            *entry = value;
        }
    }
    // transformers has no words at spaces. WordPiece finds them itself, and characters need none.
    if let WordSettings::Split { .. } = japanese.words {
        let is_by_characters = japanese.subwords == Subwords::Characters;
        settings.insert("do_word_tokenize".to_owned(), json!(is_by_characters));
        if is_by_characters {
            settings.insert("word_tokenizer_type".to_owned(), json!("basic"));
        }
    }
    Ok(())
}

/// The part of `tokenizer.json` that the settings repeat.
#[derive(Deserialize)]
struct TokenizerJson {
    #[serde(default)]
    added_tokens: Vec<Map<String, Value>>,
}

/// Completes the settings for a `tokenizer.json`.
fn of_json(file: &Path, text: &str, pad_token_id: i64, settings: &mut Map<String, Value>) -> Result<()> {
    let failed = |error: serde_json::Error| Error::Json { file: file.to_owned(), message: error.to_string() };
    let TokenizerJson { added_tokens } = serde_json::from_str(text).map_err(failed)?;
    let content = |token: &Map<String, Value>| token.get("content")?.as_str().map(str::to_owned);
    let id = |token: &Map<String, Value>| token.get("id")?.as_u64();
    let is_special = |token: &Map<String, Value>| token.get("special") == Some(&json!(true));
    for (role, usual) in ROLES {
        let is_usual = |token: &&Map<String, Value>| {
            is_special(token) && content(token).is_some_and(|content| usual.contains(&content.as_str()))
        };
        let is_padding =
            |token: &&Map<String, Value>| id(token).is_some_and(|id| i64::try_from(id) == Ok(pad_token_id));
        let found = match role {
            "pad_token" => added_tokens.iter().find(is_padding),
            _ => added_tokens.iter().find(is_usual),
        };
        let entry = settings.entry(role).or_insert(Value::Null);
        match found.and_then(content) {
            Some(content) if entry.is_null() || role == "pad_token" => *entry = json!(content),
            _ => {}
        }
    }
    settings.retain(|_, value| !value.is_null());
    let decoder = added_tokens.iter().filter_map(|token| {
        let mut entry = token.clone();
        let id = entry.remove("id")?;
        Some((id.to_string(), Value::Object(entry)))
    });
    settings.insert(DECODER.to_owned(), Value::Object(decoder.collect()));
    settings.insert("tokenizer_class".to_owned(), json!(FAST_CLASS));
    Ok(())
}

fn write_json(file: &Path, value: Map<String, Value>) -> Result<()> {
    write(file, format!("{:#}\n", Value::Object(value)))
}
