//! Compares `midashi-inspect` on small checkpoints with PyTorch's modules, counts and outputs
//! (`tests/fixtures/architectures`, written by `tests/parity/architecture_reference.py`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::{ArrayD, Axis};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixture(architecture: &str) -> PathBuf {
    root().join("tests/fixtures/architectures").join(architecture)
}

/// Exit code, standard output, standard error.
fn inspect(checkpoint: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_midashi-inspect"))
        .current_dir(root())
        .env_remove("MIDASHI_CONFIG")
        .env_remove("MIDASHI_SET")
        .arg(checkpoint)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn report(checkpoint: &Path, arguments: &[&str]) -> String {
    let (code, out, error) = inspect(checkpoint, arguments);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{out}");
    out
}

#[track_caller]
fn refusal(checkpoint: &Path, arguments: &[&str]) -> String {
    let (code, out, error) = inspect(checkpoint, arguments);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
    assert!(error.starts_with("error: ") && error.lines().count() == 1, "{error}");
    error
}

/// The number after `name` at the start of a line.
#[track_caller]
fn number(report: &str, name: &str) -> u64 {
    let line = report.lines().find(|line| line.split_whitespace().next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no line begins with {name}:\n{report}"));
    line.split_whitespace().nth(1).unwrap().replace(',', "").parse().unwrap()
}

/// A copy of the fixture `bert` with a tokenizer whose pieces are `t0` to `t29`.
fn with_tokenizer() -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(fixture("bert").join(name), folder.path().join(name)).unwrap();
    }
    let pieces: serde_json::Map<String, Value> = (0..30).map(|id| (format!("t{id}"), json!(id))).collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": pieces, "unk_token": "t0"},
    });
    fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    folder
}

#[test]
fn modules_of_a_deberta_match_pytorch() {
    for name in ["v3", "conv", "own", "c2p"] {
        let bytes = fs::read(root().join(format!("tests/fixtures/deberta/{name}.safetensors"))).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata: Value =
            serde_json::from_str(&metadata.metadata().as_ref().unwrap()["reference"]).unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("model.safetensors"), &bytes).unwrap();
        fs::write(folder.path().join("config.json"), metadata["config"].to_string()).unwrap();
        let out = report(folder.path(), &[]);
        assert_eq!(out.split("\n\n").next(), metadata["modules"].as_str(), "{name}");
    }
}

#[test]
fn modules_and_numbers_of_parameters_match_pytorch() {
    let truth = fs::read_to_string(fixture("bert").join("model.json")).unwrap();
    let truth: Value = serde_json::from_str(&truth).unwrap();
    let out = report(&fixture("bert"), &[]);
    assert_eq!(out.split("\n\n").next(), truth["modules"].as_str());
    assert_eq!(number(&out, "total"), truth["parameters"]);
    assert_eq!(number(&out, "trainable"), truth["parameters_of_last_layer"], "pipeline.toml: the last layer");
    let all = report(&fixture("bert"), &["--trainable-layers", "all"]);
    assert_eq!(number(&all, "trainable"), truth["parameters_without_pooler"]);
    let by_configuration = report(&fixture("bert"), &["--set", "train.trainable_layers=2"]);
    assert_eq!(number(&by_configuration, "trainable"), number(&out, "encoder"));
    assert_eq!(number(&report(&fixture("bert"), &["--trainable-layers", "0"]), "trainable"), 0);
}

#[test]
fn modules_of_a_modernbert_match_pytorch() {
    // Written by `tests/parity/modernbert_reference.py`: weights, configuration and what PyTorch prints in one file.
    for (name, layers) in [
        ("reference", "encoder               4,980  a layer of 1,236 and 3 of 1,248"),
        ("biases", "final norm               24"),
    ] {
        let file = root().join("tests/fixtures").join(format!("modernbert_{name}.safetensors"));
        let bytes = fs::read(&file).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = metadata.metadata().as_ref().unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("config.json"), &metadata["config"]).unwrap();
        fs::copy(&file, folder.path().join("model.safetensors")).unwrap();
        let out = report(folder.path(), &[]);
        assert_eq!(out.split("\n\n").next().unwrap(), metadata["modules"]);
        assert!(out.contains(layers), "{out}");
        assert!(out.contains("files of a modernbert\n"), "{out}");
    }
}

#[test]
fn another_architecture_is_shown_as_bert() {
    let out = report(&fixture("distilbert"), &[]);
    for part in [
        "(0-1): 2 x BertLayer(",
        "(intermediate_act_fn): NewGELUActivation()",
        "files of a distilbert\n  model.safetensors: safetensors,",
        "tensors: 41 F32",
        "beside the encoder: vocab_layer_norm.bias, vocab_layer_norm.weight, vocab_projector.bias, vocab_transform.bias",
        "none that can be used: ",
        "found neither tokenizer.json nor vocab.txt",
        "at most 9 tokens a text",
    ] {
        assert!(out.contains(part), "{part:?} is missing:\n{out}");
    }
    assert!(!out.contains("pooler") && !out.contains("token_type"), "{out}");
}

#[test]
fn the_attention_of_cls_matches_transformers() {
    let bytes = fs::read(fixture("bert").join("reference.safetensors")).unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    let ids = reference.tensor("input_ids").unwrap();
    let ids: Vec<i64> = ids.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    // The first text, which has no padding.
    let pieces: Vec<String> = ids[..9].iter().map(|id| format!("t{id}")).collect();
    let folder = with_tokenizer();
    let out = report(folder.path(), &["--text", &pieces.join(" ")]);

    for (piece, id) in pieces.iter().zip(&ids) {
        let row =
            |line: &&str| line.split_whitespace().next() == Some(&id.to_string()) && line.ends_with(piece);
        assert!(out.lines().any(|line| row(&line)), "{piece}:\n{out}");
    }
    for part in [
        ", 30 pieces\n",
        "last_hidden_state [1, 9, 16]\n",
        "pooler_output     [1, 16]\n",
        "attentions        2 layers of [1, 4, 9, 9]\n",
    ] {
        assert!(out.contains(part), "{part:?} is missing:\n{out}");
    }
    for layer in 0..2 {
        let tensor = reference.tensor(&format!("attentions.{layer}")).unwrap();
        let numbers = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let attention = ArrayD::from_shape_vec(tensor.shape(), numbers).unwrap();
        let sums = attention.index_axis(Axis(0), 0).sum_axis(Axis(0)).index_axis_move(Axis(0), 0);
        let mut most: Vec<(f32, &str)> =
            sums.iter().copied().zip(pieces.iter().map(String::as_str)).collect();
        most.sort_by(|one, other| other.0.total_cmp(&one.0));
        let most: Vec<String> = most[..3].iter().map(|(sum, piece)| format!("{piece} {sum:.2}")).collect();
        let expected = format!("  layer {layer}   {}\n", most.join(", "));
        assert!(out.contains(&expected), "{expected:?} is missing:\n{out}");
    }
}

#[test]
fn a_pair_is_shown_with_its_token_types() {
    let out = report(with_tokenizer().path(), &["--text", "t5 t6", "--pair", "t7"]);
    for part in ["pieces of \"t5 t6\" and \"t7\"\n", "[1, 3, 16]"] {
        assert!(out.contains(part), "{part:?} is missing:\n{out}");
    }
    let rows = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows: Vec<_> = rows.filter(|row| row.len() == 5 && row[3].contains('–')).collect();
    let expected = ["5 0 0 0–2 t5", "6 0 1 3–5 t6", "7 1 2 6–8 t7"];
    assert_eq!(rows, expected.map(|row| row.split(' ').collect::<Vec<_>>()));
}

#[test]
fn a_text_that_is_too_long_says_that_its_end_was_dropped() {
    let text = vec!["t5"; 20].join(" ");
    let out = report(with_tokenizer().path(), &["--text", &text]);
    assert!(out.contains("its end was dropped") && out.contains("[1, 11, 16]"), "{out}");
    let out = report(with_tokenizer().path(), &["--text", "t5 t6"]);
    assert!(!out.contains("dropped"), "{out}");
}

#[test]
fn an_invalid_checkpoint_is_rejected_with_the_reason() {
    let empty = TempDir::new().unwrap();
    let message = refusal(empty.path(), &[]);
    assert!(message.contains("config.json"), "{message}");
    fs::write(empty.path().join("config.json"), r#"{"model_type": "t5"}"#).unwrap();
    let message = refusal(empty.path(), &[]);
    assert!(message.contains("\"t5\"") && message.contains("distilbert"), "{message}");
    fs::copy(fixture("bert").join("config.json"), empty.path().join("config.json")).unwrap();
    assert!(refusal(empty.path(), &[]).contains("holds no weights"));

    let message = refusal(&fixture("bert"), &["--trainable-layers", "3"]);
    assert!(message.contains("trainable_layers is 3 but the checkpoint has 2 layers"), "{message}");
    let message = refusal(&fixture("bert"), &["--trainable-layers", "some"]);
    assert!(message.contains("or \"all\""), "{message}");
    let message = refusal(&fixture("bert"), &["--text", "t5"]);
    assert!(message.contains("found neither tokenizer.json nor vocab.txt"), "{message}");

    let folder = with_tokenizer();
    let tokenizer = folder.path().join("tokenizer.json");
    let text = fs::read_to_string(&tokenizer).unwrap();
    fs::write(&tokenizer, text.replace("\"t29\":29", "\"t29\":29,\"t30\":30")).unwrap();
    let message = refusal(folder.path(), &["--text", "t5"]);
    assert!(message.contains("31 ids") && message.contains("config.json has vocab_size 30"), "{message}");
}
