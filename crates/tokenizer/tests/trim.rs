//! Trimmed vocabularies against the whole ones as Python reads them: `tests/parity/trim_reference.py` wrote
//! `fixtures/trim`, tokenizers of several scripts in every form, and how each cuts lines of a corpus and others.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use midashi_tokenizer::{Dictionaries, Encoding, KeptIds, Tokenizer, Wanted, write_for_transformers};
use serde_json::Value;
use tempfile::TempDir;

const FORMS: [&str; 7] =
    ["unigram", "bpe", "byte_bpe", "wordpiece", "vocab_txt", "sentencepiece_unigram", "sentencepiece_bpe"];

/// Texts in scripts that are not kept.
const FOREIGN: [&str; 3] = ["어제는 부산에", "สวัสดีชาวโลก", "хорошо 東京 صباح"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/trim")
}

fn lines<T: serde::de::DeserializeOwned>(file: &str) -> Vec<T> {
    let text = fs::read_to_string(fixtures().join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn load(folder: &Path) -> Tokenizer {
    Tokenizer::load(folder, &Dictionaries::new(folder), None).unwrap()
}

fn encode(tokenizer: &Tokenizer, line: &str) -> Encoding {
    tokenizer.encode(line, usize::MAX).unwrap().encoding
}

/// The tokens between special ones. SentencePiece's own program splits off no special tokens, so lines with them are left
/// to the other comparisons.
fn pieces(tokenizer: &Tokenizer, line: &str) -> Vec<String> {
    let Encoding { tokens, word_ids, .. } = encode(tokenizer, line);
    tokens.into_iter().zip(word_ids).filter(|(_, word)| word.is_some()).map(|(token, _)| token).collect()
}

fn copied(form: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir(fixtures().join(form)).unwrap().map(|entry| entry.unwrap().path()) {
        if !file.ends_with("expected.jsonl") {
            fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
    }
    folder
}

/// A form's tokenizer, and the same trimmed to the corpus, with its folder.
fn trimmed(form: &str) -> (Tokenizer, Tokenizer, KeptIds, TempDir) {
    let folder = copied(form);
    let whole = load(folder.path());
    let mut wanted = Wanted::default();
    for line in lines::<String>("corpus.jsonl") {
        wanted.ids.extend(encode(&whole, &line).input_ids.into_iter().map(i32::cast_unsigned));
    }
    let kept = whole.trim(folder.path(), &wanted).unwrap();
    let trimmed = load(folder.path());
    (whole, trimmed, kept, folder)
}

#[test]
fn a_corpus_and_japanese_texts_are_cut_as_python_cuts_them_before() {
    for form in FORMS {
        let (whole, trimmed, kept, _folder) = trimmed(form);
        let texts = [lines::<String>("corpus.jsonl"), lines("held_out.jsonl")].concat();
        let expected: Vec<Vec<String>> = lines(&format!("{form}/expected.jsonl"));
        assert_eq!(texts.len(), expected.len());
        let mut compared = 0;
        for (text, expected) in texts.iter().zip(&expected) {
            let (before, after) = (encode(&whole, text), encode(&trimmed, text));
            let renumbered: Option<Vec<i32>> = before
                .input_ids
                .iter()
                .map(|id| kept.new_id(id.cast_unsigned()).map(u32::cast_signed))
                .collect();
            assert_eq!(Some(&after.input_ids), renumbered.as_ref(), "{form}: {text}");
            assert_eq!(Encoding { input_ids: before.input_ids.clone(), ..after }, before, "{form}: {text}");
            if !text.contains("<mask>") {
                assert_eq!(pieces(&trimmed, text), *expected, "{form}: {text}");
                compared += 1;
            }
        }
        assert!(compared > 200, "{form}");
    }
}

#[test]
fn other_scripts_are_dropped_and_still_read() {
    for form in FORMS {
        let (whole, trimmed, kept, _folder) = trimmed(form);
        let (before, after) = (whole.vocabulary_size(), trimmed.vocabulary_size());
        assert!(after + 100 < before, "{form}: {after} of {before}");
        for (new, &old) in (0..).zip(kept.as_slice()) {
            assert_eq!(trimmed.token(new), whole.token(old), "{form}");
        }
        assert_eq!(trimmed.token(after as u32), None);
        assert_eq!(trimmed.special_tokens(), whole.special_tokens());
        let spelled = |tokenizer: &Tokenizer| tokenizer.replacement().map(|(_, token)| token);
        assert_eq!(spelled(&trimmed), spelled(&whole), "{form}");
        for text in FOREIGN {
            let Encoding { input_ids, .. } = encode(&trimmed, text);
            assert!(input_ids.iter().all(|&id| (id as usize) < after), "{form}: {text}");
        }
    }
}

#[test]
fn an_added_text_is_kept_whole_whatever_its_scripts() {
    for form in FORMS {
        let folder = copied(form);
        let whole = load(folder.path());
        let mut wanted = Wanted::default();
        FOREIGN.iter().for_each(|text| wanted.add_text(text));
        whole.trim(folder.path(), &wanted).unwrap();
        let trimmed = load(folder.path());
        for text in FOREIGN {
            assert_eq!(encode(&trimmed, text).tokens, encode(&whole, text).tokens, "{form}: {text}");
        }
    }
}

#[test]
fn a_trimmed_tokenizer_is_written_for_transformers() {
    for form in FORMS {
        let (_, trimmed, kept, folder) = trimmed(form);
        let target = tempfile::tempdir().unwrap();
        write_for_transformers(folder.path(), target.path(), 64, 0).unwrap();
        let again = load(target.path());
        assert_eq!(again.vocabulary_size(), kept.as_slice().len(), "{form}");
        for line in lines::<String>("held_out.jsonl") {
            assert_eq!(encode(&again, &line), encode(&trimmed, &line), "{form}: {line}");
        }
        let settings = fs::read_to_string(target.path().join("tokenizer_config.json")).unwrap();
        let settings: Value = serde_json::from_str(&settings).unwrap();
        for (id, token) in settings["added_tokens_decoder"].as_object().unwrap() {
            let content = token["content"].as_str().unwrap();
            assert_eq!(trimmed.token(id.parse().unwrap()).as_deref(), Some(content), "{form}");
        }
    }
}

#[test]
fn trimming_again_changes_nothing() {
    for form in FORMS {
        let (_, trimmed, kept, folder) = trimmed(form);
        let before = files(folder.path());
        let mut wanted = Wanted::default();
        wanted.ids.extend(0..kept.as_slice().len() as u32);
        let again = trimmed.trim(folder.path(), &wanted).unwrap();
        assert!((0..).zip(again.as_slice()).all(|(new, &old)| new == old), "{form}");
        assert_eq!(files(folder.path()), before, "{form}");
    }
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn vocabularies_for_other_programs_are_removed_from_beside_a_trimmed_one() {
    let folder = copied("unigram");
    for name in ["vocab.txt", "sentencepiece.bpe.model"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    load(folder.path()).trim(folder.path(), &Wanted::default()).unwrap();
    let names: Vec<_> =
        files(folder.path()).into_iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["tokenizer.json"]);
}

#[test]
fn settings_of_added_tokens_have_the_new_ids() {
    let folder = copied("sentencepiece_unigram");
    let whole = load(folder.path());
    let mask = whole.vocabulary_size() as u32 - 1;
    fs::write(folder.path().join("added_tokens.json"), format!(r#"{{"<mask>": {mask}}}"#)).unwrap();
    let kept = load(folder.path()).trim(folder.path(), &Wanted::default()).unwrap();
    let added = fs::read_to_string(folder.path().join("added_tokens.json")).unwrap();
    let added: Value = serde_json::from_str(&added).unwrap();
    assert_eq!(added["<mask>"], kept.as_slice().len() - 1);
    assert_eq!(kept.as_slice().last(), Some(&mask));
}
