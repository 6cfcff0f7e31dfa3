//! A `tokenizer.json` gives the same encodings behind our checks as in the `tokenizers` library alone.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use common::tell;
use midashi_tokenizer::{Dictionaries, Tokenizer, write_for_transformers};
use serde_json::{Value, json};

/// Longer than any of the texts.
const NO_LIMIT: usize = 1_000_000;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Hard lines, ordinary ones, and some that published patterns treat apart.
fn texts() -> Vec<String> {
    let mut texts = vec![String::new()];
    for file in ["texts.jsonl", "sentencepiece/hard.jsonl", "trim/held_out.jsonl"] {
        for line in fs::read_to_string(fixtures().join(file)).unwrap().lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            let text = value.as_str().map(str::to_owned);
            texts.push(
                text.or_else(|| Some(value.get("text")?.as_str()?.to_owned()))
                    .unwrap_or_else(|| line.to_owned()),
            );
        }
    }
    texts.push("It's  I'LL\t12345 \n\n\r\n  [MASK]<mask>  a   ".to_owned());
    texts.push("あ".repeat(5000) + &" ".repeat(5000) + "。");
    texts
}

/// Compares on all texts, alone and in pairs; returns how many texts there were.
fn assert_equal(name: &str, json: &str, texts: &[String]) -> usize {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tokenizer.json"), json).unwrap();
    let ours = Tokenizer::load(folder.path(), &Dictionaries::new(folder.path()), None).unwrap();
    let mut library = tokenizers::Tokenizer::from_str(json).unwrap();
    library.with_truncation(None).unwrap();
    library.with_padding(None);
    let mut encoder = ours.encoder();
    let signed = |ids: &[u32]| ids.iter().map(|id| id.cast_signed()).collect::<Vec<_>>();
    for text in texts {
        let expected = library.encode_char_offsets(text.as_str(), true).unwrap();
        let found = encoder.encode(text, NO_LIMIT).unwrap().encoding;
        assert_eq!(found.input_ids, signed(expected.get_ids()), "{name}: {text:?}");
        assert_eq!(found.tokens, expected.get_tokens(), "{name}: {text:?}");
        assert_eq!(found.token_type_ids, signed(expected.get_type_ids()), "{name}: {text:?}");
        let offsets: Vec<(usize, usize)> =
            found.offsets.iter().map(|&(start, end)| (start as usize, end as usize)).collect();
        assert_eq!(offsets, expected.get_offsets(), "{name}: {text:?}");
    }
    for pair in texts.windows(2) {
        let expected = library.encode((pair[0].as_str(), pair[1].as_str()), true).unwrap();
        let found = encoder.encode_pair(&pair[0], &pair[1], NO_LIMIT).unwrap().encoding;
        assert_eq!(found.input_ids, signed(expected.get_ids()), "{name}: {pair:?}");
    }
    texts.len()
}

/// The `tokenizer.json` of a SentencePiece model of the fixtures: with a map of characters, where the model has one.
fn of_model(model: &str, class: &str, file: &str) -> String {
    let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::copy(fixtures().join("sentencepiece").join(model), folder.path().join(file)).unwrap();
    let settings = json!({"tokenizer_class": class}).to_string();
    fs::write(folder.path().join("tokenizer_config.json"), settings).unwrap();
    write_for_transformers(folder.path(), target.path(), 512, 0).unwrap();
    fs::read_to_string(target.path().join("tokenizer.json")).unwrap()
}

#[test]
fn fixtures_of_every_model_are_encoded_as_in_the_library() {
    let texts = texts();
    for name in ["unigram", "trim/bpe", "trim/byte_bpe", "trim/unigram", "trim/wordpiece"] {
        let json = fs::read_to_string(fixtures().join(name).join("tokenizer.json")).unwrap();
        assert!(assert_equal(name, &json, &texts) > 400, "{name}");
    }
}

#[test]
fn maps_of_characters_are_applied_as_in_the_library() {
    let json = of_model("unigram.model", "XLMRobertaTokenizer", "sentencepiece.bpe.model");
    assert!(json.contains("\"Precompiled\""));
    assert_equal("unigram.model", &json, &texts());
}

/// Pre-tokenizers and normalisers of published tokenizers that the fixtures do not have.
#[test]
fn published_steps_are_applied_as_in_the_library() {
    let json = fs::read_to_string(fixtures().join("trim/byte_bpe/tokenizer.json")).unwrap();
    let base: Value = serde_json::from_str(&json).unwrap();
    let split = |pattern: &str, behavior: &str, invert: bool| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert});
    let bytes = |space: bool, regex: bool| json!({"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true, "use_regex": regex});
    let sequence = |steps: Value| json!({"type": "Sequence", "pretokenizers": steps});
    const LLAMA: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let texts = texts();
    for (name, normalizer, pre_tokenizer) in [
        ("GPT-2", Value::Null, bytes(false, true)),
        ("RoBERTa", Value::Null, bytes(true, true)),
        (
            "Llama 3",
            json!({"type": "NFC"}),
            sequence(json!([split(LLAMA, "Isolated", false), bytes(false, false)])),
        ),
        (
            "DeepSeek",
            json!({"type": "Sequence", "normalizers": []}),
            sequence(json!([
                split(r"\p{N}{1,3}", "Isolated", false),
                split("[一-龥぀-ゟ゠-ヿ]+", "Isolated", false),
                split(r"\s+", "Removed", true),
                {"type": "Digits", "individual_digits": true},
                {"type": "Punctuation", "behavior": "Isolated"},
                bytes(false, false),
            ])),
        ),
        (
            "Llama 2",
            json!({"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                {"type": "Strip", "strip_left": false, "strip_right": true},
                {"type": "Lowercase"}, {"type": "StripAccents"}, {"type": "NFKD"}, {"type": "Nmt"},
            ]}),
            json!({"type": "FixedLength", "length": 3}),
        ),
        (
            "BERT",
            json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true}),
            sequence(json!([
                {"type": "BertPreTokenizer"}, {"type": "WhitespaceSplit"}, {"type": "UnicodeScripts"},
                {"type": "CharDelimiterSplit", "delimiter": "-"},
            ])),
        ),
        (
            "T5",
            json!({"type": "ByteLevel"}),
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}),
        ),
    ] {
        let mut file = base.clone();
        file["normalizer"] = normalizer;
        file["pre_tokenizer"] = pre_tokenizer;
        assert_equal(name, &file.to_string(), &texts);
    }
}

/// Real tokenizers: that of `MIDASHI_CHECKPOINT`, and the bundled encoder's if it is unpacked.
#[test]
fn real_tokenizers_are_encoded_as_in_the_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cache = root.join("cache/bundled/multilingual-e5-small");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(cache).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    // A relative path is one below the repository's root, as for every other test.
    let named = std::env::var_os("MIDASHI_CHECKPOINT").filter(|named| !named.is_empty());
    if let Some(folder) = named.map(|named| root.join(named)) {
        assert!(folder.is_dir(), "MIDASHI_CHECKPOINT names {}", folder.display());
        folders.push(folder);
    }
    let files = folders.into_iter().map(|folder| folder.join("tokenizer.json")).filter(|file| file.is_file());
    let mut count = 0;
    for file in files {
        count += assert_equal(&file.display().to_string(), &fs::read_to_string(&file).unwrap(), &texts());
    }
    if count == 0 {
        tell("SKIPPED: set MIDASHI_CHECKPOINT, or unpack the bundled encoder");
    }
}
