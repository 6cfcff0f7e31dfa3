//! Texts that are already split into words, with spaces between them.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

use midashi_tokenizer::{Dictionaries, Requirements, Tokenizer, write_for_transformers};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A folder with the vocabulary of a fixture and these settings.
fn checkpoint(name: &str, settings: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["vocab.txt", "tokenizer.json"] {
        let from = fixture(name).join(file);
        if from.is_file() {
            std::fs::copy(from, folder.path().join(file)).unwrap();
        }
    }
    std::fs::write(folder.path().join("tokenizer_config.json"), settings).unwrap();
    folder
}

/// The tokenizer as a stage copies it for such texts, and as `model/` holds it.
fn copies(folder: &Path) -> [Tokenizer; 2] {
    let (copy, model) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dictionaries = Dictionaries::new(copy.path());
    let requirements = Requirements::of_pretokenized(folder).unwrap();
    assert_eq!(requirements.dictionary, None);
    requirements.copy_files(copy.path(), &dictionaries).unwrap();
    write_for_transformers(copy.path(), model.path(), 40, 0).unwrap();
    [copy, model].map(|folder| Tokenizer::load(folder.path(), &dictionaries, None).unwrap())
}

#[test]
fn words_of_juman_and_sudachi_are_those_of_the_spaces() {
    for settings in [
        r#"{"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "jumanpp"}"#,
        r#"{"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "sudachi"}"#,
        r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "ipadic"}}"#,
    ] {
        let folder = checkpoint("wordpiece", settings);
        for tokenizer in copies(folder.path()) {
            let encoding = tokenizer.encode("東京　都庁で  展望 ＡＢ", 512).unwrap().encoding;
            assert_eq!(encoding.text, "東京 都庁で  展望 AB");
            let words: Vec<_> = encoding.word_ids.iter().flatten().copied().collect();
            assert!(words.is_sorted() && words.first() == Some(&0) && words.last() == Some(&3), "{words:?}");
            let of = |word: i32| -> String {
                let tokens = encoding.tokens.iter().zip(&encoding.word_ids);
                let tokens = tokens.filter(|(_, id)| **id == Some(word));
                tokens.map(|(token, _)| token.trim_start_matches("##")).collect()
            };
            assert_eq!([of(0), of(1)], ["東京", "都庁で"]);
        }
    }
}

#[test]
fn without_the_setting_they_are_refused_with_the_way_out() {
    let settings = r#"{"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "jumanpp"}"#;
    let folder = checkpoint("wordpiece", settings);
    let message = Requirements::of(folder.path(), None).unwrap_err().to_string();
    assert!(message.contains("word_tokenizer_type is jumanpp"), "{message}");
    assert!(message.contains("set tokenize.pretokenized = true"), "{message}");
}

fn part(text: &str, start: u32, end: u32) -> String {
    text.chars().skip(start as usize).take((end - start) as usize).collect()
}

#[test]
fn words_of_a_tokenizer_json_are_those_of_the_spaces_too() {
    let folder = checkpoint("unigram", "{}");
    let plain = Tokenizer::load(folder.path(), &Dictionaries::new(folder.path()), None).unwrap();
    for tokenizer in copies(folder.path()) {
        let text = "東京 都庁 で、展望";
        let (found, expected) = (tokenizer.encode(text, 512).unwrap(), plain.encode(text, 512).unwrap());
        assert_eq!(found.encoding.input_ids, expected.encoding.input_ids);
        let pair = tokenizer.encoder().encode_pair("東京 都", "庁で 展望", 512).unwrap().encoding;
        let spaces = |at: usize| {
            let before: String = pair.text.chars().take(at).collect();
            i32::try_from(before.split_whitespace().count()).unwrap()
        };
        for (word, (start, end)) in pair.word_ids.iter().zip(&pair.offsets) {
            let is_space = part(&pair.text, *start, *end).trim().is_empty();
            if let Some(word) = word.filter(|_| !is_space) {
                // Words up to the token's last character.
                assert_eq!(word + 1, spaces(*end as usize), "{start} {end} in {:?}", pair.text);
            }
        }
    }
}

/// transformers' `BertTokenizer` cuts these so.
#[test]
fn bert_tokenizer_needs_no_tokenizer_json() {
    let folder = checkpoint("basic", r#"{"tokenizer_class": "BertTokenizer", "do_lower_case": true}"#);
    let dictionaries = Dictionaries::new(folder.path());
    let tokenizer = Tokenizer::load(folder.path(), &dictionaries, None).unwrap();
    assert!(tokenizer.describe().starts_with("vocab.txt: WordPiece"), "{}", tokenizer.describe());
    let encoding = tokenizer.encode("日本語「新型」", 128).unwrap().encoding;
    assert_eq!(encoding.word_ids.iter().flatten().max(), Some(&6), "Chinese characters are words");
    assert_eq!((encoding.tokens[0].as_str(), encoding.tokens[8].as_str()), ("[CLS]", "[SEP]"));
    let model = tempfile::tempdir().unwrap();
    write_for_transformers(folder.path(), model.path(), 40, 0).unwrap();
    let written = Tokenizer::load(model.path(), &dictionaries, None).unwrap();
    assert_eq!(written.encode("日本語「新型」", 128).unwrap().encoding, encoding);
    assert!(written.describe().starts_with("tokenizer.json: WordPiece"), "{}", written.describe());
}
