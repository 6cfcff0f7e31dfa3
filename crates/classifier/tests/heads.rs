//! Models that Midashi wrote, against transformers.
//!
//! `tests/parity/head_reference.py` wrote `tests/fixtures/heads`: for each head a `model/` without its ONNX graphs, and
//! the logits that transformers computes with it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use midashi_classifier::{Classifier, ModelFolder, Options};
use midashi_config::{Head, TextChoice};
use midashi_encoder::softmax;
use midashi_runtime::{DeviceChoice, Engine};
use midashi_tokenizer::Dictionaries;
use ndarray::Array1;
use serde::Deserialize;

/// Largest difference of a probability.
const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Expected {
    text: String,
    logits: Vec<f32>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        Engine::open(&root().join("cache/onnxruntime"), DeviceChoice::Cpu, 1)
            .unwrap_or_else(|error| panic!("{error}"))
    })
}

fn fixture(head: &str) -> PathBuf {
    root().join("tests/fixtures/heads").join(head)
}

#[test]
fn a_written_model_is_to_transformers_what_it_is_to_us() {
    for (name, head) in [("linear", Head::Linear), ("pooler", Head::Native)] {
        let model = ModelFolder::open(&fixture(name)).unwrap();
        assert_eq!(model.training().head, head);
        assert_eq!(model.weights().unwrap().has_pooler(model.config()), head == Head::Native);
        let dictionaries = Dictionaries::below(&root().join("cache"));
        let options = Options { dictionaries, ..Options::default() };
        let mut classifier = Classifier::with_options(model, engine(), options).unwrap();
        assert_eq!((classifier.text(), classifier.max_length()), (TextChoice::Title, 64));

        let expected: Vec<Expected> =
            serde_json::from_slice(&fs::read(fixture(name).join("logits.json")).unwrap()).unwrap();
        let texts: Vec<&str> = expected.iter().map(|expected| expected.text.as_str()).collect();
        let predictions = classifier.classify(&texts).unwrap();
        assert!(expected.len() > 20);
        for (found, Expected { text, logits }) in predictions.iter().zip(&expected) {
            let truth = softmax(Array1::from(logits.clone()).view());
            for (found, truth) in found.probabilities.iter().zip(truth) {
                assert!(
                    (found - truth).abs() < TOLERANCE,
                    "{name}, {text}: {found}, transformers has {truth}"
                );
            }
        }
        let categories: std::collections::BTreeSet<usize> =
            predictions.iter().map(|prediction| prediction.category.index()).collect();
        assert!(categories.len() > 3, "the texts differ: {categories:?}");
    }
}

#[test]
fn a_text_is_cut_where_the_training_cut_it_unless_the_caller_says_otherwise() {
    let open = |max_length| {
        let model = ModelFolder::open(&fixture("linear")).unwrap();
        let dictionaries = Dictionaries::below(&root().join("cache"));
        Classifier::with_options(model, engine(), Options { dictionaries, max_length, ..Options::default() })
            .unwrap()
    };
    let text = "見出し".repeat(100);
    for (asked, expected) in [(None, 64), (Some(20), 20), (Some(1000), 64)] {
        let encoded = open(asked).encode(&[&text]).unwrap();
        assert_eq!(encoded[0].encoding.len(), expected);
        assert!(encoded[0].truncated);
    }
}

#[test]
fn another_pooler_beside_a_linear_head_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("pooler")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let record = folder.path().join("midashi.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("\"pooler\"", "\"linear\"")).unwrap();
    let message = ModelFolder::open(folder.path()).unwrap().weights().unwrap_err().to_string();
    assert!(
        message.contains(
            "the layer before the classifier is not the one that Midashi writes with a linear head"
        ),
        "{message}"
    );
    assert!(message.contains("set \"head\" to \"native\" in midashi.json"), "{message}");
}
