//! transformers' `BertTokenizer` from a `vocab.txt`: words at white space and punctuation, cut by WordPiece, with the
//! `tokenizers` library's parts, of which transformers makes it too.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::settings::{AddedToken, SETTINGS, Settings, VOCABULARY, unsupported_single_word};
use crate::vocabulary::Vocabulary;

/// Longer words are unknown: BERT's `max_input_chars_per_word`.
const LONGEST_WORD: usize = 100;

/// The classes that are `BertTokenizer` under other names.
const CLASSES: [&str; 3] = ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"];

/// Whether the class with this name is BERT's, or has this name and `Fast` behind it.
pub(crate) fn is_bert(class: &str) -> bool {
    CLASSES.contains(&class.strip_suffix("Fast").unwrap_or(class))
}

/// Whether `AutoTokenizer` takes such a class for a `model_type` of `config.json`.
pub(crate) fn is_bert_model(model_type: &str) -> bool {
    ["bert", "distilbert", "electra"].contains(&model_type)
}

/// The tokenizer in `folder` as `tokenizer.json`.
pub(crate) fn tokenizer_json(folder: &Path) -> Result<Value> {
    let (file, settings) = (folder.join(VOCABULARY), Settings::read(folder)?);
    let mut vocabulary = Vocabulary::read(&file)?;
    let (lower_case, accents) = (settings.do_lower_case.unwrap_or(true), settings.strip_accents);
    let chinese = settings.tokenize_chinese_chars.unwrap_or(true);
    let mut added = settings.added_tokens(folder)?;
    let (mut named, extra) = settings.named_tokens(folder)?;
    for (&id, token) in &added {
        if vocabulary.token(id) != Some(&token.content) && vocabulary.push(&token.content) != id {
            return Err(Error::Malformed {
                file,
                place: format!("line {}", u64::from(id) + 1),
                found: format!("{:?}", vocabulary.token(id).unwrap_or("the end of the file")),
                expected: format!("{:?}, which the tokenizer's settings add with id {id}", token.content),
                advice: "take vocabulary and settings from the same checkpoint",
            });
        }
    }
    let roles = [
        ("unk_token", "[UNK]"),
        ("sep_token", "[SEP]"),
        ("pad_token", "[PAD]"),
        ("cls_token", "[CLS]"),
        ("mask_token", "[MASK]"),
    ];
    let roles =
        roles.map(|(role, default)| (role, named.remove(role).unwrap_or_else(|| AddedToken::plain(default))));
    let others = extra.into_iter().map(|token| ("extra_special_tokens", token));
    for (role, token) in roles.iter().cloned().chain(others) {
        let Some(id) = vocabulary.id(&token.content) else {
            return Err(Error::SpecialToken { file, role, token: token.content });
        };
        added.entry(id).or_insert(token).special = true;
    }
    unsupported_single_word(added.values(), &folder.join(SETTINGS))?;
    let added: Vec<Value> = added.iter().map(|(id, token)| with_id(token, *id)).collect();
    let [unknown, separator, _, classification, _] = roles.map(|(_, token)| token.content);
    let special = |token: &str, kind: u32| json!({ "SpecialToken": { "id": token, "type_id": kind } });
    let sequence = |name: &str, kind: u32| json!({ "Sequence": { "id": name, "type_id": kind } });
    let first = [special(&classification, 0), sequence("A", 0), special(&separator, 0)];
    let second = [sequence("B", 1), special(&separator, 1)];
    let pair = [&first[..], &second].concat();
    let tokens: Map<String, Value> = [classification, separator]
        .into_iter()
        .map(|token| {
            let value = json!({ "id": token, "ids": [vocabulary.id(&token)], "tokens": [token] });
            (token, value)
        })
        .collect();
    let ids = (0..).take(vocabulary.len());
    let vocabulary: Map<String, Value> = ids
        .filter_map(|id| vocabulary.token(id).map(|token| (token.to_owned(), json!(vocabulary.id(token)))))
        .collect();
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": chinese,
            "strip_accents": accents,
            "lowercase": lower_case,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": &first,
            "pair": pair,
            "special_tokens": tokens,
        },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece",
            "unk_token": unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": LONGEST_WORD,
            "vocab": vocabulary,
        },
    }))
}

/// The token as `tokenizer.json` lists it.
fn with_id(token: &AddedToken, id: u32) -> Value {
    let mut value = token.to_json();
    if let Some(value) = value.as_object_mut() {
        value.insert("id".to_owned(), json!(id));
    }
    value
}
