//! Small files that stand in for the vocabularies of published tokenizers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use midashi_tests::root;
use serde_json::{Value, json};

use crate::encoder::Encoder;

/// The text that is encoded.
pub const TEXT: &str = "人工知能の新しい本を読む。";
/// The same text, split into words.
pub const WORDS: &str = "人工 知能 の 新しい 本 を 読む 。";

/// Pieces of the published model whose settings list added tokens behind its last piece.
const PUBLISHED_PIECES: u64 = 32768;

/// BERT's special tokens in the order of the Tohoku vocabularies.
const BERT: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Writes the tokenizer's settings as published, and a small stand-in for each of its other files.
pub fn write(encoder: &Encoder, folder: &Path) {
    let write = |name: &str, content: &str| fs::write(folder.join(name), content).unwrap();
    // Beside a tokenizer.json, the model is not read.
    let model = encoder.piece_model.as_deref().unwrap_or("unigram_bytes");
    let model =
        fs::read(root().join("crates/tokenizer/tests/fixtures/sentencepiece").join(format!("{model}.model")));
    let model = model.unwrap();
    if let Some(settings) = &encoder.tokenizer {
        write("tokenizer_config.json", &with_small_ids(settings, pieces(&model)).to_string());
    }
    for file in &encoder.files {
        match file.as_str() {
            "vocab.txt" => write(file, &vocabulary().join("\n")),
            "tokenizer.json" => write(file, &tokenizer_json(encoder).to_string()),
            "entity_vocab.json" => write(file, "{}"),
            _ => fs::write(folder.join(file), &model).unwrap(),
        }
    }
}

/// The number of a SentencePiece model's pieces: the messages in its first field, which it begins with.
fn pieces(model: &[u8]) -> u64 {
    let mut rest = model;
    let mut count = 0;
    // The field's number and wire type, and a length below 128.
    while let [10, length @ 0..128, after @ ..] = rest {
        rest = &after[usize::from(*length)..];
        count += 1;
    }
    count
}

/// The settings with the ids of tokens behind the last piece moved to the end of a model with so many pieces.
fn with_small_ids(settings: &Value, pieces: u64) -> Value {
    let mut settings = settings.clone();
    if let Some(Value::Object(tokens)) = settings.get_mut("added_tokens_decoder") {
        let small = |id: u64| if id > PUBLISHED_PIECES { id - PUBLISHED_PIECES + pieces } else { id };
        let published = std::mem::take(tokens);
        let moved = published.into_iter().map(|(id, token)| (small(id.parse().unwrap()).to_string(), token));
        tokens.extend(moved);
    }
    settings
}

/// The text's characters, once each.
fn characters() -> BTreeSet<char> {
    TEXT.chars().collect()
}

/// A vocabulary with the special tokens and the text's characters, at the start of a word and within one.
fn vocabulary() -> Vec<String> {
    let special = BERT.into_iter().map(str::to_owned);
    let first = characters().into_iter().map(String::from);
    let following = characters().into_iter().map(|character| format!("##{character}"));
    special.chain(first).chain(following).collect()
}

/// A `tokenizer.json` with the special tokens of the settings, or those of the model's kind.
fn tokenizer_json(encoder: &Encoder) -> Value {
    let is_bert = encoder.model_type() == "bert" && encoder.files.iter().any(|file| file == "vocab.txt");
    let [begin, padding, end, unknown, mask] = match is_bert {
        true => ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"],
        false => ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
    };
    let named = |role: &str, default: &str| {
        let token = encoder.tokenizer.as_ref().map(|settings| &settings[role]);
        let token = token.and_then(|token| token.as_str().or_else(|| token["content"].as_str()));
        token.unwrap_or(default).to_owned()
    };
    let tokens = [
        named("cls_token", begin),
        named("pad_token", padding),
        named("sep_token", end),
        named("unk_token", unknown),
        named("mask_token", mask),
    ];
    let added = (0..).zip(&tokens).map(|(id, token)| {
        json!({
            "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true
        })
    });
    let special = tokens.iter().map(|token| json!([token, 0.0]));
    let pieces = characters().into_iter().map(|character| json!([String::from(character), -5.0]));
    let of = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let used = |id: usize| json!({"id": tokens[id], "ids": [id], "tokens": [tokens[id]]});
    let (first, last) = (tokens[0].as_str(), tokens[2].as_str());
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": null, "decoder": null,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [of(first), text("A"), of(last)],
            "pair": [of(first), text("A"), of(last), text("B"), of(last)],
            "special_tokens": {first: used(0), last: used(2)}
        },
        "model": {
            "type": "Unigram", "unk_id": 3, "vocab": special.chain(pieces).collect::<Vec<_>>(), "byte_fallback": false
        }
    })
}
