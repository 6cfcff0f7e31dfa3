//! Every supported architecture against transformers.
//!
//! `tests/parity/architecture_reference.py` writes the models of `tests/fixtures/architectures` and the results of
//! transformers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use midashi_encoder::{
    ATTENTION_MASK, Checkpoint, Head, INPUT_IDS, LAST_HIDDEN_STATE, POOLER_OUTPUT, Pooler, Storage,
    TOKEN_TYPE_IDS, Weights, attentions_name, outputs,
};
use midashi_runtime::{DeviceChoice, Engine, Outputs, Session};
use ndarray::{ArrayD, ArrayViewD, Axis};
use safetensors::SafeTensors;
use tempfile::TempDir;

/// Largest absolute difference accepted.
const TOLERANCE: f32 = 1e-4;

/// All supported architectures, and whether the fixture has a pooler.
const ARCHITECTURES: [(&str, bool); 6] = [
    ("bert", true),
    ("roberta", false),
    ("xlm-roberta", false),
    ("camembert", true),
    ("distilbert", false),
    ("electra", false),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixture(architecture: &str) -> PathBuf {
    root().join("tests/fixtures/architectures").join(architecture)
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        Engine::open(&root().join("cache/onnxruntime"), DeviceChoice::Cpu, 1)
            .unwrap_or_else(|error| panic!("{error}"))
    })
}

fn integers(tensors: &SafeTensors<'_>, name: &str) -> ArrayD<i64> {
    let tensor = tensors.tensor(name).unwrap();
    let numbers = tensor.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    ArrayD::from_shape_vec(tensor.shape(), numbers).unwrap()
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> ArrayD<f32> {
    let tensor = tensors.tensor(name).unwrap();
    let numbers = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    ArrayD::from_shape_vec(tensor.shape(), numbers).unwrap()
}

/// A session with all outputs of a checkpoint.
fn session(checkpoint: &Checkpoint) -> Session {
    let weights = checkpoint.encoder_and_pooler().unwrap();
    let graph = outputs(checkpoint.config(), weights.has_pooler()).unwrap();
    let parameters = weights.for_graph(&graph, |_| true).unwrap();
    engine().session(&graph.to_model("test", |_| Storage::External), parameters).unwrap()
}

/// Compares the rows of an output that belong to tokens and not to padding.
#[track_caller]
fn assert_tokens_agree(what: &str, found: ArrayViewD<'_, f32>, expected: ArrayViewD<'_, f32>, tokens: i64) {
    let (found, expected) = (found.axis_iter(Axis(0)), expected.axis_iter(Axis(0)));
    for (found, expected) in found.zip(expected).take(tokens as usize) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= TOLERANCE, "{what}: {found}, transformers has {expected}");
        }
    }
}

/// Compares all outputs with those of transformers.
fn compare(architecture: &str, found: &Outputs, truth: &SafeTensors<'_>, mask: &ArrayD<i64>, pooler: bool) {
    for (text, mask) in mask.axis_iter(Axis(0)).enumerate() {
        let tokens = mask.sum();
        let what = |name: &str| format!("{architecture}, text {text}, {name}");
        let of_text = |name: &str| {
            let (found, expected) = (found.float32(name).unwrap(), floats(truth, name));
            assert_eq!(found.shape(), expected.shape(), "{}", what(name));
            (found.index_axis(Axis(0), text).to_owned(), expected.index_axis(Axis(0), text).to_owned())
        };
        let (found_hidden, hidden) = of_text(LAST_HIDDEN_STATE);
        assert_tokens_agree(&what(LAST_HIDDEN_STATE), found_hidden.view(), hidden.view(), tokens);
        for layer in 0..2 {
            let name = attentions_name(layer);
            let (found, expected) = of_text(&name);
            for (found, expected) in found.axis_iter(Axis(0)).zip(expected.axis_iter(Axis(0))) {
                assert_tokens_agree(&what(&name), found, expected, tokens);
            }
        }
        if pooler {
            let (found, expected) = of_text(POOLER_OUTPUT);
            assert_tokens_agree(&what(POOLER_OUTPUT), found.view(), expected.view(), i64::MAX);
        }
    }
    assert_eq!(found.float32(POOLER_OUTPUT).is_ok(), pooler, "{architecture}: pooler");
    assert_eq!(truth.tensor(POOLER_OUTPUT).is_ok(), pooler, "{architecture}: transformers' pooler");
}

#[test]
fn outputs_of_every_architecture_agree_with_transformers() {
    for (architecture, pooler) in ARCHITECTURES {
        let bytes = fs::read(fixture(architecture).join("reference.safetensors")).unwrap();
        let truth = SafeTensors::deserialize(&bytes).unwrap();
        let (ids, mask) = (integers(&truth, INPUT_IDS), integers(&truth, ATTENTION_MASK));
        let checkpoint = Checkpoint::open(&fixture(architecture)).unwrap();
        let mut session = session(&checkpoint);
        let types = ArrayD::<i64>::zeros(ids.raw_dim());
        let inputs = vec![
            (INPUT_IDS, ids.view().into()),
            (TOKEN_TYPE_IDS, types.view().into()),
            (ATTENTION_MASK, mask.view().into()),
        ];
        compare(architecture, &session.run(inputs).unwrap(), &truth, &mask, pooler);
    }
}

#[test]
fn a_written_checkpoint_is_a_bert_with_the_same_weights() {
    for (architecture, pooler) in ARCHITECTURES {
        let checkpoint = Checkpoint::open(&fixture(architecture)).unwrap();
        let weights = checkpoint.encoder_and_pooler().unwrap();
        let written = TempDir::new().unwrap();
        weights.write(&written.path().join("model.safetensors")).unwrap();
        let config = serde_json::to_value(checkpoint.config()).unwrap();
        assert_eq!(config["model_type"], "bert");
        fs::write(written.path().join("config.json"), config.to_string()).unwrap();

        let reopened = Checkpoint::open(written.path()).unwrap();
        assert_eq!(reopened.architecture(), "bert");
        assert_eq!(reopened.config(), checkpoint.config(), "{architecture}");
        let again = reopened.encoder_and_pooler().unwrap();
        assert!(again.iter().eq(weights.iter()), "{architecture}");
        assert_eq!(again.has_pooler(), pooler);
        assert!(again.iter().all(|(name, _)| name.starts_with("bert.")));
    }
}

#[test]
fn the_longest_text_has_as_many_tokens_as_positions() {
    // Limits of transformers' embeddings; the longest text of the fixtures has 9 tokens.
    let longest = [("bert", 11), ("roberta", 9), ("xlm-roberta", 9), ("camembert", 10), ("distilbert", 9)];
    for (architecture, expected) in longest {
        let checkpoint = Checkpoint::open(&fixture(architecture)).unwrap();
        assert_eq!(checkpoint.config().max_tokens(), expected, "{architecture}");
    }
}

#[test]
fn tensors_outside_of_the_encoder_are_listed() {
    let unused = |architecture: &str| {
        let checkpoint = Checkpoint::open(&fixture(architecture)).unwrap();
        checkpoint.unused(&checkpoint.encoder_and_pooler().unwrap()).unwrap()
    };
    assert_eq!(unused("camembert"), Vec::<String>::new());
    let head = ["classifier.dense.bias", "classifier.dense.weight", "classifier.out_proj.bias"];
    assert_eq!(unused("xlm-roberta")[..3], head);
    assert!(unused("bert").iter().all(|name| name.starts_with("cls.")) && unused("bert").len() > 5);
    assert!(unused("distilbert").iter().all(|name| name.starts_with("vocab_")));

    let checkpoint = Checkpoint::open(&fixture("bert")).unwrap();
    let unused = checkpoint.unused(&checkpoint.encoder().unwrap()).unwrap();
    assert_eq!(unused[..2], ["bert.pooler.dense.bias", "bert.pooler.dense.weight"]);
}

#[test]
fn messages_about_tensors_use_the_architectures_own_names() {
    for (architecture, key, layer, words) in [
        (
            "roberta",
            "num_hidden_layers",
            "roberta.encoder.layer.2.",
            "roberta.embeddings.word_embeddings.weight",
        ),
        (
            "distilbert",
            "n_layers",
            "distilbert.transformer.layer.2.",
            "distilbert.embeddings.word_embeddings.weight",
        ),
        (
            "electra",
            "num_hidden_layers",
            "electra.encoder.layer.2.",
            "electra.embeddings.word_embeddings.weight",
        ),
        ("camembert", "num_hidden_layers", "roberta.encoder.layer.2.", "embeddings.word_embeddings.weight"),
    ] {
        let folder = TempDir::new().unwrap();
        let weights = folder.path().join("model.safetensors");
        fs::copy(fixture(architecture).join("model.safetensors"), &weights).unwrap();
        let text = fs::read_to_string(fixture(architecture).join("config.json")).unwrap();
        let refusal = |key: &str, value: usize| {
            let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
            config[key] = value.into();
            fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
            let message = Checkpoint::open(folder.path()).unwrap().encoder().err().unwrap().to_string();
            assert!(message.starts_with(&format!("{}: ", weights.display())), "{message}");
            message
        };
        let missing = refusal(key, 3);
        assert!(missing.contains(&format!("no tensor {layer}")) && missing.contains("[16, 16]"), "{missing}");
        let misshapen = refusal("vocab_size", 31);
        assert!(misshapen.contains(&format!("tensor {words} has shape [30, 16]")), "{misshapen}");
        assert!(misshapen.contains("[31, 16]"), "{misshapen}");
    }
}

#[test]
fn position_embeddings_are_checked_with_their_unused_rows() {
    let folder = TempDir::new().unwrap();
    for name in ["model.safetensors", "config.json"] {
        fs::copy(fixture("roberta").join(name), folder.path().join(name)).unwrap();
    }
    let config = folder.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"max_position_embeddings\": 11", "\"max_position_embeddings\": 12"))
        .unwrap();
    let message = Checkpoint::open(folder.path()).unwrap().encoder().err().unwrap().to_string();
    assert!(message.contains("position_embeddings.weight has shape [11, 16]"), "{message}");
    assert!(message.contains("[12, 16]"), "{message}");
}

/// The checkpoint of `architecture` with more tensors, in a folder of its own.
fn with_tensors(architecture: &str, more: &[(&str, Vec<usize>)]) -> (TempDir, Checkpoint) {
    let folder = TempDir::new().unwrap();
    fs::copy(fixture(architecture).join("config.json"), folder.path().join("config.json")).unwrap();
    let bytes = fs::read(fixture(architecture).join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut weights = Weights::default();
    for name in tensors.names() {
        weights.insert(name.to_string(), floats(&tensors, name));
    }
    for (name, shape) in more {
        weights.insert((*name).to_owned(), ArrayD::from_elem(shape.clone(), 0.5));
    }
    weights.write(&folder.path().join("model.safetensors")).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    (folder, checkpoint)
}

#[test]
fn a_head_starts_from_the_layer_that_computes_what_berts_pooler_does() {
    let stored =
        |architecture: &str| match Checkpoint::open(&fixture(architecture)).unwrap().pooler().unwrap() {
            Pooler::Stored { name, tensors } => (name, tensors),
            other => panic!("{architecture}: {other:?}"),
        };
    let (name, tensors) = stored("bert");
    assert_eq!(name, "bert.pooler.dense");
    let weights = Checkpoint::open(&fixture("bert")).unwrap().encoder_and_pooler().unwrap();
    assert!(tensors.iter().all(|(name, tensor)| weights.get(name) == Some(tensor)));
    assert_eq!(stored("camembert").0, "pooler.dense");

    // A fine-tuned XLM-RoBERTa: its head is dense, tanh, out_proj.
    let (name, tensors) = stored("xlm-roberta");
    assert_eq!(name, "classifier.dense");
    let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]);
    let bytes = fs::read(fixture("xlm-roberta").join("model.safetensors")).unwrap();
    assert_eq!(tensors[0].1, floats(&SafeTensors::deserialize(&bytes).unwrap(), "classifier.dense.weight"));
}

#[test]
fn layers_that_are_followed_by_another_function_start_no_pooler() {
    for (architecture, tensor, function) in
        [("electra", "classifier.dense.weight", "GELU"), ("distilbert", "pre_classifier.weight", "ReLU")]
    {
        let plain = Checkpoint::open(&fixture(architecture)).unwrap().pooler().unwrap();
        assert_eq!(plain, Pooler::None, "{architecture}");
        let (_folder, checkpoint) = with_tensors(architecture, &[(tensor, vec![16, 16])]);
        assert_eq!(checkpoint.pooler().unwrap(), Pooler::Other { tensor, function });
    }
    assert_eq!(Checkpoint::open(&fixture("roberta")).unwrap().pooler().unwrap(), Pooler::None);
    let (_folder, cut) = with_tensors("roberta", &[("classifier.dense.weight", vec![16, 16])]);
    let message = cut.pooler().unwrap_err().to_string();
    assert!(message.contains("no tensor classifier.dense.bias"), "{message}");
}

#[test]
fn a_fine_tuned_model_is_read_as_it_was_trained_whatever_its_head() {
    let checkpoint = Checkpoint::open(&fixture("bert")).unwrap();
    let config = checkpoint.config();
    for head in [Head::linear(3), Head::with_pooler(3)] {
        let mut weights =
            if head.pooler { checkpoint.encoder_and_pooler() } else { checkpoint.encoder() }.unwrap();
        weights.add_classifier(3, config.hidden_size, 5);
        let folder = TempDir::new().unwrap();
        fs::copy(fixture("bert").join("config.json"), folder.path().join("config.json")).unwrap();
        let written = head.to_bert(config, &weights).unwrap();
        weights.write_with(&written, &folder.path().join("model.safetensors")).unwrap();

        let reopened = Checkpoint::open(folder.path()).unwrap();
        assert!(reopened.fine_tuned(head).unwrap().iter().eq(weights.iter()), "{head:?}");
        // A run that starts from it gets the same encoder, and the pooler if it was trained.
        assert!(reopened.encoder().unwrap().iter().eq(checkpoint.encoder().unwrap().iter()));
        assert_eq!(reopened.encoder_and_pooler().unwrap().has_pooler(), head.pooler);
        assert_eq!(matches!(reopened.pooler().unwrap(), Pooler::Stored { .. }), head.pooler);
        assert_eq!(reopened.pooler().unwrap() == Pooler::Identity, !head.pooler);
        if head.pooler {
            let message = reopened.fine_tuned(Head::linear(3)).unwrap_err().to_string();
            assert!(message.contains("not a power of two times the identity"), "{message}");
        }
        // As versions without a pooler wrote it.
        weights.write(&folder.path().join("model.safetensors")).unwrap();
        assert!(Checkpoint::open(folder.path()).unwrap().fine_tuned(head).unwrap().iter().eq(weights.iter()));
    }
}
