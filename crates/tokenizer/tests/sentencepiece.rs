//! Compares ids with SentencePiece's on the hard lines of `fixtures/sentencepiece`, for every tokenizer class that reads a
//! SentencePiece model. `tests/parity/sentencepiece_reference.py` wrote the models, the lines and the ids.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::path::{Path, PathBuf};

use common::tell;
use midashi_tokenizer::{
    Dictionaries, Encoding, MecabDictionary, Requirements, Tokenizer, write_for_transformers,
};
use serde_json::{Value, json};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sentencepiece")
}

fn unidic_lite() -> PathBuf {
    let package = MecabDictionary::UnidicLite.package().unwrap();
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache").join(package)
}

fn dictionaries() -> Dictionaries {
    Dictionaries::new(env!("CARGO_TARGET_TMPDIR")).with(MecabDictionary::UnidicLite, unidic_lite())
}

fn read(name: &str) -> String {
    std::fs::read_to_string(fixtures().join(name)).unwrap()
}

/// The cases: model, its file's name in the class, and settings.
fn cases() -> Vec<(String, Value)> {
    let cases: serde_json::Map<String, Value> = serde_json::from_str(&read("cases.json")).unwrap();
    let is_installed = unidic_lite().is_dir();
    let is_runnable = |name: &String| {
        if name == "line" && !is_installed {
            tell("SKIPPED: line needs unidic_lite; run make setup DICTIONARY=unidic-lite");
        }
        name != "line" || is_installed
    };
    cases.into_iter().filter(|(name, _)| is_runnable(name)).collect()
}

/// A folder with the model of a case and these settings.
fn checkpoint(case: &Value, settings: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = fixtures().join(format!("{}.model", case["model"].as_str().unwrap()));
    std::fs::copy(model, folder.path().join(case["file"].as_str().unwrap())).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
    folder
}

fn load(folder: &Path) -> Tokenizer {
    Tokenizer::load(folder, &dictionaries(), None).unwrap()
}

fn hard_lines() -> Vec<String> {
    read("hard.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers(line: &str) -> Vec<i32> {
    line.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// The encodings of the hard lines, whole, and of the pairs of `sentencepiece_reference.py`.
fn encodings(tokenizer: &Tokenizer) -> (Vec<Encoding>, Vec<Encoding>) {
    let lines = hard_lines();
    let mut encoder = tokenizer.encoder();
    let singles = lines.iter().map(|line| encoder.encode(line, usize::MAX).unwrap().encoding).collect();
    let pairs = lines[50..80].chunks(2);
    let pairs = pairs.map(|pair| encoder.encode_pair(&pair[0], &pair[1], 64).unwrap().encoding).collect();
    (singles, pairs)
}

fn assert_expected(name: &str, tokenizer: &Tokenizer) {
    let (expected, lines) = (read(&format!("{name}.txt")), hard_lines());
    let (singles, pairs) = encodings(tokenizer);
    let mut expected = expected.lines();
    let wrong: Vec<_> = singles
        .iter()
        .zip(&lines)
        .zip(expected.by_ref())
        .filter(|((found, _), expected)| found.input_ids != numbers(expected))
        .map(|((found, line), expected)| (line, &found.tokens, &found.input_ids, expected))
        .collect();
    assert!(wrong.is_empty(), "{name}: {} lines differ: {wrong:#?}", wrong.len());
    for (at, (found, expected)) in pairs.iter().zip(expected).enumerate() {
        let (ids, types) = expected.split_once('\t').unwrap();
        let place = format!("{name}: pair {at} {:?}", found.text);
        assert_eq!((&found.input_ids, &found.token_type_ids), (&numbers(ids), &numbers(types)), "{place}");
    }
}

#[test]
fn ids_are_those_of_sentencepiece_in_every_class() {
    let cases = cases();
    assert!(cases.len() >= 10);
    for (name, case) in cases {
        let folder = checkpoint(&case, &case["settings"]);
        assert_expected(&name, &load(folder.path()));
    }
}

#[test]
fn offsets_are_ordered_and_point_at_the_text() {
    for (name, case) in cases() {
        let folder = checkpoint(&case, &case["settings"]);
        let (singles, pairs) = encodings(&load(folder.path()));
        for encoding in singles.iter().chain(&pairs) {
            let length = encoding.original.chars().count() as u32;
            let (mut last, mut word) = ((0, 0), -1);
            let tokens = encoding.original_offsets.iter().zip(&encoding.word_ids).zip(&encoding.tokens);
            for ((&(start, end), id), token) in tokens.filter(|((_, id), _)| id.is_some()) {
                let place = format!("{name}: {:?} at {token:?} {start} {end}", encoding.original);
                assert!(last.0 <= start && last.1 <= end && start < end && end <= length, "{place}");
                assert!((word..=word + 1).contains(&id.unwrap()), "{place}: word {id:?} after {word}");
                (last, word) = ((start, end), id.unwrap());
            }
        }
    }
}

#[test]
fn tokens_cover_what_they_spell() {
    let (_, case) = cases().into_iter().find(|(name, _)| name == "t5_rinna").unwrap();
    let folder = checkpoint(&case, &case["settings"]);
    let tokenizer = load(folder.path());
    let covered = |text: &str| -> Vec<(String, String, Option<i32>)> {
        let encoding = tokenizer.encode(text, 512).unwrap().encoding;
        let part = |&(start, end): &(u32, u32)| -> String {
            text.chars().skip(start as usize).take((end - start) as usize).collect()
        };
        let tokens = encoding.tokens.iter().zip(&encoding.original_offsets).zip(encoding.word_ids);
        let tokens = tokens.map(|((token, range), word)| (token.clone(), part(range), word));
        tokens.collect()
    };
    let all = covered("㍿  Ａ[MASK]か\u{3099}");
    let spelled: String = all.iter().map(|(token, ..)| token.as_str()).collect();
    assert!(spelled.starts_with("[CLS]▁"), "{all:?}");
    let of = |written: &str| all.iter().filter(|(_, part, _)| part == written).count();
    // One character becomes several tokens, which all cover it; two characters become one.
    assert!(of("㍿") >= 1 && of("か\u{3099}") == 1, "{all:?}");
    let mask = all.iter().find(|(token, ..)| token == "[MASK]").unwrap();
    assert_eq!((mask.1.as_str(), mask.2), ("[MASK]", None), "{all:?}");
    let words: Vec<_> = covered("東京 大阪").into_iter().filter_map(|(.., word)| word).collect();
    assert_eq!((words[0], *words.last().unwrap()), (0, 1));
}

#[test]
fn a_copy_and_what_is_written_for_transformers_are_the_same_tokenizer() {
    for (name, case) in cases() {
        // config.json may name the class, and it is not copied.
        let mut settings = case["settings"].clone();
        let class = settings.as_object_mut().unwrap().remove("tokenizer_class").unwrap();
        let folder = checkpoint(&case, &settings);
        let config = json!({ "tokenizer_class": class }).to_string();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let copy = tempfile::tempdir().unwrap();
        let requirements = Requirements::of(folder.path(), None).unwrap();
        requirements.copy_files(copy.path(), &dictionaries()).unwrap();
        assert_expected(&name, &load(copy.path()));

        let model = tempfile::tempdir().unwrap();
        write_for_transformers(copy.path(), model.path(), 40, 0).unwrap();
        assert_expected(&name, &load(model.path()));
        let again = tempfile::tempdir().unwrap();
        write_for_transformers(model.path(), again.path(), 40, 0).unwrap();
        let files = |folder: &Path| -> Vec<(std::ffi::OsString, Vec<u8>)> {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
            let mut files: Vec<_> =
                entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect();
            files.sort();
            files
        };
        assert_eq!(files(again.path()), files(model.path()), "{name}");
    }
}

/// The library's parts differ from SentencePiece in places; most lines must be the same.
#[test]
fn the_tokenizer_json_for_other_programs_is_almost_the_same() {
    for (name, case) in cases().into_iter().filter(|(name, _)| name != "line") {
        let folder = checkpoint(&case, &case["settings"]);
        let model = tempfile::tempdir().unwrap();
        write_for_transformers(folder.path(), model.path(), 40, 0).unwrap();
        let file = model.path().join("tokenizer_config.json");
        let settings = std::fs::read_to_string(&file).unwrap();
        let mut settings: Value = serde_json::from_str(&settings).unwrap();
        assert_eq!(settings["tokenizer_class"], "PreTrainedTokenizerFast");
        settings.as_object_mut().unwrap().remove("sentencepiece_class").unwrap();
        // As published: the class of the model, and a tokenizer.json beside it.
        settings["tokenizer_class"] = case["settings"]["tokenizer_class"].clone();
        std::fs::write(&file, settings.to_string()).unwrap();
        let other = load(model.path());
        assert!(other.describe().starts_with("tokenizer.json"), "{}", other.describe());
        let (own, others) = (encodings(&load(folder.path())), encodings(&other));
        let lines = hard_lines();
        let different = own.0.iter().zip(&others.0).zip(&lines);
        let different: Vec<_> = different
            .filter(|((own, other), _)| own.input_ids != other.input_ids)
            .map(|((own, other), line)| (line, &own.tokens, &other.tokens))
            .collect();
        assert!(different.len() <= 8, "{name}: {} lines differ: {different:#?}", different.len());
    }
}

fn error(folder: &Path) -> String {
    Tokenizer::load(folder, &dictionaries(), None).err().unwrap().to_string()
}

#[test]
fn damaged_models_are_refused_by_name() {
    let (_, case) = cases().into_iter().find(|(name, _)| name == "t5").unwrap();
    let folder = checkpoint(&case, &case["settings"]);
    let file = folder.path().join("spiece.model");
    let sound = std::fs::read(&file).unwrap();
    let with = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let message = error(folder.path());
        assert!(
            message.contains("spiece.model: ") && message.contains("; fetch the file again"),
            "{message}"
        );
        message
    };
    assert!(with(b"").contains("no unknown piece"));
    assert!(with(b"version https://git-lfs.github.com/spec/v1\n").contains("no SentencePiece model"));
    assert!(with(&sound[..sound.len() / 2]).contains("no SentencePiece model"));
    // A piece "a" for the second time, and one of an unknown type.
    let again = [&sound[..], b"\x0a\x05\x0a\x03\xe3\x80\x81"].concat();
    assert!(with(&again).contains("for the second time"));
    assert!(with(&[&sound[..], b"\x0a\x06\x0a\x02zz\x18\x09"].concat()).contains("type 9"));
    // normalizer_spec.precompiled_charsmap with a length beyond its end.
    let map = [&sound[..], b"\x1a\x06\x12\x04\xff\xff\xff\xff"].concat();
    assert!(with(&map).contains("normalizer_spec.precompiled_charsmap: found a double array"));
}

#[test]
fn what_is_not_supported_is_named_with_advice() {
    let (_, case) = cases().into_iter().find(|(name, _)| name == "t5").unwrap();
    let folder = checkpoint(&case, &case["settings"]);
    let file = folder.path().join("spiece.model");
    let sound = std::fs::read(&file).unwrap();
    for (field, expected) in [
        (&b"\x12\x02\x18\x03"[..], "model_type is word, which is not supported; supported: unigram, bpe"),
        (b"\x12\x03\xc0\x01\x01", "treat_whitespace_as_suffix is true"),
    ] {
        // Messages of protobuf are merged where they are repeated.
        std::fs::write(&file, [&sound[..], field].concat()).unwrap();
        let message = error(folder.path());
        assert!(message.contains(expected) && message.contains("tokenizer.json"), "{message}");
    }
    for (settings, expected) in [
        (json!({"tokenizer_class": "T5Tokenizer", "legacy": false}), "legacy is false"),
        (json!({"tokenizer_class": "AlbertTokenizerFast", "split_by_punct": true}), "split_by_punct is true"),
        (
            json!({"tokenizer_class": "DebertaV2Tokenizer"}),
            "spm.model: is missing, expected the SentencePiece model",
        ),
        (json!({"tokenizer_class": "PegasusTokenizer"}), "tokenizer_class is PegasusTokenizer"),
        (json!({}), "tokenizer_class is missing"),
        (json!({"tokenizer_class": "AlbertTokenizer"}), "special token \"[CLS]\" (cls_token)"),
    ] {
        let folder = checkpoint(&case, &settings);
        let message = error(folder.path());
        assert!(message.contains(expected), "{settings}: {message}");
    }
}

#[test]
fn the_class_may_follow_from_config_json() {
    let (_, case) = cases().into_iter().find(|(name, _)| name == "deberta").unwrap();
    let folder = checkpoint(&case, &json!({}));
    for config in [json!({"tokenizer_class": "DebertaV2Tokenizer"}), json!({"model_type": "deberta-v2"})] {
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        assert_expected("deberta", &load(folder.path()));
    }
}
