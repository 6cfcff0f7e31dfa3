//! A small packed encoder that `tests/parity/bundled_reference.py` wrote, as a checkpoint: tensors as numpy reads them, ids as
//! SentencePiece makes them. Damaged copies of it are refused by name.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use midashi_bundled::{Error, Origin, PackedEncoder, write_checkpoint};
use midashi_encoder::Checkpoint;
use midashi_tokenizer::{Dictionaries, Tokenizer};
use serde_json::Value;

const ORIGIN: Origin<'_> =
    Origin { model: "owner/tiny", licence: "mit", package: "package 1.0", sha256: "0123" };

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/bundled").join(name)
}

fn tiny() -> Vec<u8> {
    fs::read(fixture("tiny.bin")).unwrap()
}

fn checkpoint(bytes: &[u8]) -> Result<tempfile::TempDir, Error> {
    let folder = tempfile::tempdir().unwrap();
    write_checkpoint(&PackedEncoder::parse(bytes)?, &ORIGIN, folder.path())?;
    Ok(folder)
}

fn tokenizer(folder: &Path) -> Tokenizer {
    Tokenizer::load(folder, &Dictionaries::new(folder), None).unwrap()
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_number_is_the_one_that_numpy_reads() {
    let folder = checkpoint(&tiny()).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let weights = checkpoint.encoder().unwrap();
    let bytes = fs::read(fixture("tiny.safetensors")).unwrap();
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut compared = 0;
    for (name, found) in weights.iter() {
        let name = name.strip_prefix("bert.").unwrap_or(name);
        let expected = reference.tensor(name).unwrap();
        assert_eq!(found.shape(), expected.shape(), "{name}");
        let expected = expected.data().as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        assert!(found.iter().map(|number| number.to_bits()).eq(expected), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 5 + 2 * 16);
    assert_eq!(checkpoint.unused(&weights).unwrap(), [""; 0]);
}

#[test]
fn ids_are_those_of_sentencepiece() {
    let folder = checkpoint(&tiny()).unwrap();
    let tokenizer = tokenizer(folder.path());
    let cases = json(fixture("tiny.json"));
    assert!(cases.as_array().unwrap().len() > 8);
    for case in cases.as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let content = case["ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap() as i32);
        let expected: Vec<i32> = [0].into_iter().chain(content).chain([2]).collect();
        assert_eq!(tokenizer.encode(text, 512).unwrap().encoding.input_ids, expected, "{text:?}");
    }
}

#[test]
fn both_templates_are_those_of_xlm_roberta() {
    let folder = checkpoint(&tiny()).unwrap();
    let tokenizer = tokenizer(folder.path());
    let mut encoder = tokenizer.encoder();
    let pair = encoder.encode_pair("新", "発売", 512).unwrap().encoding;
    assert_eq!(pair.input_ids, [0, 4, 9, 2, 2, 4, 10, 2]);
    assert_eq!(pair.token_type_ids, [0; 8]);
    assert_eq!(tokenizer.special_tokens(), (2, 4));
    assert_eq!(tokenizer.replacement(), Some((15, "<mask>".to_owned())));
    // As in XLM-RoBERTa, the mask includes the space before it.
    assert_eq!(encoder.encode("新 <mask>", 512).unwrap().encoding.input_ids, [0, 4, 9, 15, 2]);
}

#[test]
fn the_folder_says_what_it_is() {
    let folder = checkpoint(&tiny()).unwrap();
    let config = json(folder.path().join("config.json"));
    for (key, value) in
        [("vocab_size", 19), ("pad_token_id", 1), ("type_vocab_size", 2), ("num_hidden_layers", 2)]
    {
        assert_eq!(config[key], value, "{key}");
    }
    assert_eq!(
        (config["model_type"].as_str(), config["layer_norm_eps"].as_f64()),
        (Some("bert"), Some(1e-12))
    );
    let settings = json(folder.path().join("tokenizer_config.json"));
    // Otherwise transformers takes BERT's own tokenizer.
    assert_eq!(settings["tokenizer_class"], "PreTrainedTokenizerFast");
    let card = fs::read_to_string(folder.path().join("README.md")).unwrap();
    assert!(card.starts_with("---\nlicense: mit\nbase_model: owner/tiny\n---\n"), "{card}");
    assert!(card.contains("package 1.0") && card.contains("`0123`"), "{card}");
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    let (first, second) = (checkpoint(&tiny()).unwrap(), checkpoint(&tiny()).unwrap());
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "README.md"] {
        let read = |folder: &Path| fs::read(folder.join(name)).unwrap();
        assert_eq!(read(first.path()), read(second.path()), "{name}");
    }
}

#[test]
fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    let whole = tiny();
    for length in 0..whole.len() {
        assert!(PackedEncoder::parse(&whole[..length]).is_err(), "{length} bytes");
    }
    assert!(PackedEncoder::parse(&whole).is_ok());
}

/// The file with other bytes at `at`.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = tiny();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

/// Where `bytes` begin in the file.
fn place_of(bytes: &[u8]) -> usize {
    tiny().windows(bytes.len()).position(|window| window == bytes).unwrap()
}

#[test]
fn damage_is_refused_with_its_place() {
    let directory = |name: &str| place_of(name.as_bytes()) + name.len();
    let negative = (-1_i32).to_le_bytes();
    for (file, expected) in [
        (with(0, b"GGUF"), "byte 0: found \"GGUF\", expected the name E5S1"),
        (with(4, &[2]), "version 2 of the format, expected version 1"),
        (with(8, &[33]), "found hidden size 33, 2 attention heads"),
        (with(12, &negative), "byte 12: found -1 as the number of layers"),
        (with(12, &[0]), "found no layers"),
        (with(20, &[65]), "intermediate size 65, expected multiples of 32"),
        (with(24, &[15]), "16 pieces and 15 word embeddings"),
        (with(36, &f32::NAN.to_le_bytes()), "epsilon NaN"),
        (with(40, &[64]), "blocks of 64 numbers, expected blocks of 32"),
        (with(44, &i32::MAX.to_le_bytes()), "bytes until the end of the file, expected 8589934592 bytes"),
        (with(52, &[0]), "the ids 0, 0, 1 and 3, expected four different ids below 16"),
        (with(56, &[99]), "the ids 0, 2, 99 and 3"),
        (with(64, &[255; 8]), "bytes until the end of the file"),
        (with(76, &[200]), "piece 0: found bytes 0 to 200"),
        (with(72 + 4 * 17, &f32::INFINITY.to_le_bytes()), "piece 0: found the score inf"),
        (with(place_of("が".as_bytes()), &[255]), "pieces that are no UTF-8"),
        (with(place_of("が".as_bytes()), "か".as_bytes()), "\"か\" again, expected pieces that differ"),
        (with(place_of(&[1, 0, 0, 0, 0, 9]), &[0, 0xd8, 0, 0]), "expected a Unicode character"),
        (with(place_of(&[1, 0, 0, 0, 0, 9]), &[10]), "expected ascending characters"),
        (with(directory("emb.word"), &[2]), "of form 2"),
        (with(directory("emb.word") + 1, &[1]), "tensor \"emb.word\": found"),
        (with(directory("emb.word") + 5, &[255; 4]), "expected bytes within the file"),
        (with(directory("emb.pos") - 7, b"emb.ppp"), "tensor \"emb.pos\": found no such tensor"),
        (with(directory("l0.k.w") - 6, b"l0.q.w"), "a second tensor of this name"),
        (with(12, &[3]), "tensor \"l2.q.w\": found no such tensor"),
    ] {
        let message = checkpoint(&file).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}, not {expected}");
    }
}

#[test]
fn a_replacement_that_nfkc_changes_again_cannot_be_written() {
    // ① becomes 1; here it becomes the full-width １ (U+FF11).
    let at = place_of(&[0x60, 0x24, 0, 0, 1]);
    let message = checkpoint(&with(at + 5, &[0x11, 0xff])).unwrap_err().to_string();
    assert!(message.contains("U+2460") && message.contains("one that NFKC does not change"), "{message}");
}
