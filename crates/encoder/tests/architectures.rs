//! Every supported architecture against transformers.
//!
//! `tests/parity/architecture_reference.py` writes the models of `tests/fixtures/architectures` and the results of
//! transformers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use midashi_encoder::{
    ATTENTION_MASK, Checkpoint, EncoderConfig, Graph, Head, HeadKind, INPUT_IDS, LAST_HIDDEN_STATE, LOGITS,
    MatmulPrecision, POOLER_OUTPUT, Pooling, Start, Storage, StoredHead, TOKEN_TYPE_IDS, Weights,
    attentions_name, classifier, logits, outputs,
};
use midashi_runtime::{DeviceChoice, Engine, Outputs, Session, Tensor};
use ndarray::{ArrayD, ArrayViewD, Axis};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Largest absolute difference accepted.
const TOLERANCE: f32 = 1e-4;

/// All supported architectures, and whether the fixture has a pooler.
const ARCHITECTURES: [(&str, bool); 7] = [
    ("bert", true),
    ("roberta", false),
    ("xlm-roberta", false),
    ("camembert", true),
    ("distilbert", false),
    ("electra", false),
    ("luke", true),
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
    let graph = outputs(checkpoint.config(), weights.has_pooler(checkpoint.config())).unwrap();
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

/// Inputs of a batch.
fn inputs<'a>(
    ids: &'a ArrayD<i64>,
    types: &'a ArrayD<i64>,
    mask: &'a ArrayD<i64>,
) -> Vec<(&'static str, Tensor<'a>)> {
    vec![
        (INPUT_IDS, ids.view().into()),
        (TOKEN_TYPE_IDS, types.view().into()),
        (ATTENTION_MASK, mask.view().into()),
    ]
}

/// Logits of the fixture's batch, from the graph without explanations and from the one with attention.
fn compute_logits(
    config: &EncoderConfig,
    weights: &Weights,
    head: Head,
    truth: &SafeTensors<'_>,
) -> ArrayD<f32> {
    let (ids, mask) = (integers(truth, INPUT_IDS), integers(truth, ATTENTION_MASK));
    let types = ArrayD::<i64>::zeros(ids.raw_dim());
    let compute = |graph: &Graph| {
        let parameters = weights.for_graph(graph, |_| true).unwrap();
        let mut session =
            engine().session(&graph.to_model("test", |_| Storage::External), parameters).unwrap();
        session.run(inputs(&ids, &types, &mask)).unwrap().float32(LOGITS).unwrap().to_owned()
    };
    let found = compute(&logits(config, head, MatmulPrecision::Float32).unwrap());
    let again = compute(&classifier(config, head, Start::InputIds).unwrap());
    assert!(found.iter().zip(&again).all(|(one, other)| (one - other).abs() < 1e-5));
    found
}

#[test]
fn the_head_of_every_architectures_own_class_agrees_with_transformers() {
    for (architecture, _) in ARCHITECTURES {
        let bytes = fs::read(fixture(architecture).join("reference.safetensors")).unwrap();
        let truth = SafeTensors::deserialize(&bytes).unwrap();
        let checkpoint = Checkpoint::open(&fixture(architecture)).unwrap();
        let (config, head) = (checkpoint.config(), Head::native(3));
        let mut weights = checkpoint.encoder_and_pooler().unwrap();
        for (name, _) in head.tensors(config) {
            // An encoder's own pooler is in the checkpoint.
            if truth.tensor(&format!("head.{name}")).is_ok() {
                weights.insert(name.clone(), floats(&truth, &format!("head.{name}")));
            }
        }
        let (found, expected) = (compute_logits(config, &weights, head, &truth), floats(&truth, LOGITS));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= TOLERANCE, "{architecture}: {found}, {expected}");
        }
    }
}

#[test]
fn a_linear_head_computes_the_same_in_the_form_of_every_architectures_own_class() {
    for (architecture, _) in ARCHITECTURES {
        let bytes = fs::read(fixture(architecture).join("reference.safetensors")).unwrap();
        let truth = SafeTensors::deserialize(&bytes).unwrap();
        let checkpoint = Checkpoint::open(&fixture(architecture)).unwrap();
        let (config, head) = (checkpoint.config(), Head::linear(3));
        let mut weights = checkpoint.encoder().unwrap();
        head.initialise(config, &mut weights, 3);
        let expected = compute_logits(config, &weights, head, &truth);

        let folder = TempDir::new().unwrap();
        let written = head.to_native(config, &weights).unwrap();
        weights.write_model(config, &written, &folder.path().join("model.safetensors")).unwrap();
        let keys = serde_json::to_string(&config.written_keys()).unwrap();
        fs::write(folder.path().join("config.json"), keys).unwrap();
        let reopened = Checkpoint::open(folder.path()).unwrap();
        let native = Head { kind: HeadKind::Native, ..head };
        let found = compute_logits(config, &reopened.fine_tuned(native).unwrap(), native, &truth);
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 1e-5, "{architecture}: {found}, {expected}");
        }
        // We read it bit for bit, and a run that starts from it has no head to start from.
        assert!(reopened.fine_tuned(head).unwrap().iter().eq(weights.iter()), "{architecture}");
        assert_eq!(reopened.stored_head().unwrap(), StoredHead::Linear, "{architecture}");
    }
}

#[test]
fn more_categories_than_a_class_has_room_for_are_refused() {
    let checkpoint = Checkpoint::open(&fixture("distilbert")).unwrap();
    let mut weights = checkpoint.encoder().unwrap();
    for (labels, fits) in [(8, true), (9, false)] {
        let head = Head::linear(labels);
        head.initialise(checkpoint.config(), &mut weights, 1);
        let written = head.to_native(checkpoint.config(), &weights);
        assert_eq!(written.is_ok(), fits, "{labels} categories of 16 columns");
        if let Err(error) = written {
            assert!(error.to_string().contains("train.head to \"native\""), "{error}");
        }
    }
}

#[test]
fn the_mean_is_refused_where_the_class_reads_cls() {
    for (architecture, _) in ARCHITECTURES {
        let checkpoint = Checkpoint::open(&fixture(architecture)).unwrap();
        let head = Head { pooling: Pooling::Mean, ..Head::linear(3) };
        let message = head.check(checkpoint.config()).unwrap_err().to_string();
        assert!(
            message.contains("ForSequenceClassification") && message.contains("train.pooling"),
            "{message}"
        );
    }
}

#[test]
fn a_written_checkpoint_has_its_own_names_and_the_same_weights() {
    for (architecture, pooler) in ARCHITECTURES {
        let checkpoint = Checkpoint::open(&fixture(architecture)).unwrap();
        let (config, weights) = (checkpoint.config(), checkpoint.encoder().unwrap());
        let own = serde_json::to_value(config).unwrap();
        assert_eq!(own["model_type"], architecture);
        let head = match checkpoint.stored_head().unwrap() {
            StoredHead::Stored { tensors, .. } => tensors,
            _ => Vec::new(),
        };
        let mut others = Weights::default();
        head.into_iter().for_each(|(name, tensor)| others.insert(name, tensor));
        let written = TempDir::new().unwrap();
        weights.write_model(config, &others, &written.path().join("model.safetensors")).unwrap();
        fs::write(written.path().join("config.json"), own.to_string()).unwrap();

        let reopened = Checkpoint::open(written.path()).unwrap();
        assert_eq!(reopened.config(), config, "{architecture}");
        assert!(reopened.encoder().unwrap().iter().eq(weights.iter()), "{architecture}");
        let bytes = fs::read(written.path().join("model.safetensors")).unwrap();
        let bytes = SafeTensors::deserialize(&bytes).unwrap();
        let original = fs::read(fixture(architecture).join("model.safetensors")).unwrap();
        let original = SafeTensors::deserialize(&original).unwrap();
        for name in bytes.names().into_iter().filter(|name| name.contains(config.name())) {
            let plain = name.strip_prefix(&format!("{}.", config.name())).unwrap();
            let shape = original.tensor(name).or_else(|_| original.tensor(plain)).unwrap().shape().to_vec();
            assert_eq!(bytes.tensor(name).unwrap().shape(), shape, "{architecture}: {name}");
        }
        let has_pooler = checkpoint.encoder_and_pooler().unwrap().has_pooler(config);
        assert_eq!(has_pooler, pooler, "{architecture}");
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
fn positions_may_begin_at_another_row_and_are_written_where_transformers_expects_them() {
    let folder = TempDir::new().unwrap();
    let write = |keys: &Value| fs::write(folder.path().join("config.json"), keys.to_string()).unwrap();
    let table = folder.path().join("model.safetensors");
    fs::copy(fixture("roberta").join("model.safetensors"), &table).unwrap();
    let text = fs::read_to_string(fixture("roberta").join("config.json")).unwrap();
    let mut keys: Value = serde_json::from_str(&text).unwrap();

    let name = "roberta.embeddings.position_embeddings.weight";
    let bytes = fs::read(&table).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let stored = floats(&stored, name);
    let rows = |first: usize| stored.slice_axis(Axis(0), (first..first + 9).into()).to_owned();
    for (first, begin) in [(None, 2), (Some(0), 0), (Some(1), 1), (Some(2), 2)] {
        if let Some(first) = first {
            keys["first_position"] = first.into();
        }
        write(&keys);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let weights = checkpoint.encoder().unwrap();
        assert_eq!(weights.get(name), Some(&rows(begin)), "{first:?}");

        // The written model is that of transformers, whose rows begin after that of the padding.
        let written = TempDir::new().unwrap();
        let config = checkpoint.config();
        weights.write_model(config, &Weights::default(), &written.path().join("model.safetensors")).unwrap();
        let written_keys = Value::Object(config.written_keys());
        assert_eq!(written_keys.get("first_position"), None);
        fs::write(written.path().join("config.json"), written_keys.to_string()).unwrap();
        let bytes = fs::read(written.path().join("model.safetensors")).unwrap();
        let table = floats(&SafeTensors::deserialize(&bytes).unwrap(), name);
        assert_eq!(table.shape(), stored.shape());
        assert_eq!(table.slice_axis(Axis(0), (2..).into()), rows(begin));
        let reopened = Checkpoint::open(written.path()).unwrap();
        assert!(reopened.encoder().unwrap().iter().eq(weights.iter()), "{first:?}");
    }
    for wrong in [json!(3), json!(-1), json!("0")] {
        keys["first_position"] = wrong;
        write(&keys);
        let message = Checkpoint::open(folder.path()).err().unwrap().to_string();
        assert!(message.contains("first_position is") && message.contains("up to 2"), "{message}");
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
            let mut config: Value = serde_json::from_str(&text).unwrap();
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
fn a_head_starts_from_the_layers_of_the_architectures_own_class() {
    let stored = |checkpoint: &Checkpoint| match checkpoint.stored_head().unwrap() {
        StoredHead::Stored { name, tensors } => (name, tensors),
        other => panic!("{other:?}"),
    };
    let of = |architecture: &str| stored(&Checkpoint::open(&fixture(architecture)).unwrap());
    let (name, tensors) = of("bert");
    assert_eq!(name, "bert.pooler.dense");
    let weights = Checkpoint::open(&fixture("bert")).unwrap().encoder_and_pooler().unwrap();
    assert!(tensors.iter().all(|(name, tensor)| weights.get(name) == Some(tensor)));
    // An encoder's pooler computes what the first layer of RoBERTa's head does.
    let (name, tensors) = of("camembert");
    assert_eq!((name.as_str(), tensors[0].0.as_str()), ("pooler.dense", "classifier.dense.weight"));

    // A fine-tuned XLM-RoBERTa: its head is dense, tanh, out_proj.
    let (name, tensors) = of("xlm-roberta");
    assert_eq!(name, "classifier.dense");
    let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["classifier.dense.weight", "classifier.dense.bias"]);
    let bytes = fs::read(fixture("xlm-roberta").join("model.safetensors")).unwrap();
    assert_eq!(tensors[0].1, floats(&SafeTensors::deserialize(&bytes).unwrap(), "classifier.dense.weight"));

    for (architecture, layer) in [("electra", "classifier.dense"), ("distilbert", "pre_classifier")] {
        let plain = Checkpoint::open(&fixture(architecture)).unwrap().stored_head().unwrap();
        assert_eq!(plain, StoredHead::None, "{architecture}");
        let (weight, bias) = (format!("{layer}.weight"), format!("{layer}.bias"));
        let (_folder, tuned) = with_tensors(architecture, &[(&weight, vec![16, 16]), (&bias, vec![16])]);
        assert_eq!(stored(&tuned).0, layer);
    }
    assert_eq!(Checkpoint::open(&fixture("roberta")).unwrap().stored_head().unwrap(), StoredHead::None);
    let (_folder, cut) = with_tensors("roberta", &[("classifier.dense.weight", vec![16, 16])]);
    let message = cut.stored_head().unwrap_err().to_string();
    assert!(message.contains("no tensor classifier.dense.bias"), "{message}");
}

#[test]
fn a_fine_tuned_model_is_read_as_it_was_trained_whatever_its_head() {
    let checkpoint = Checkpoint::open(&fixture("bert")).unwrap();
    let config = checkpoint.config();
    for head in [Head::linear(3), Head::native(3)] {
        let is_native = head.kind == HeadKind::Native;
        let mut weights = checkpoint.encoder().unwrap();
        head.initialise(config, &mut weights, 5);
        let folder = TempDir::new().unwrap();
        fs::copy(fixture("bert").join("config.json"), folder.path().join("config.json")).unwrap();
        let written = head.to_native(config, &weights).unwrap();
        weights.write_model(config, &written, &folder.path().join("model.safetensors")).unwrap();

        let reopened = Checkpoint::open(folder.path()).unwrap();
        assert!(reopened.fine_tuned(head).unwrap().iter().eq(weights.iter()), "{head:?}");
        // A run that starts from it gets the same encoder, and the pooler if it was trained.
        assert!(reopened.encoder().unwrap().iter().eq(checkpoint.encoder().unwrap().iter()));
        assert_eq!(reopened.encoder_and_pooler().unwrap().has_pooler(config), is_native);
        assert_eq!(matches!(reopened.stored_head().unwrap(), StoredHead::Stored { .. }), is_native);
        assert_eq!(reopened.stored_head().unwrap() == StoredHead::Linear, !is_native);
        if is_native {
            let message = reopened.fine_tuned(Head::linear(3)).unwrap_err().to_string();
            assert!(message.contains("not the one that Midashi writes with a linear head"), "{message}");
        }
        // As versions without a pooler wrote it.
        weights.write(&folder.path().join("model.safetensors")).unwrap();
        assert!(Checkpoint::open(folder.path()).unwrap().fine_tuned(head).unwrap().iter().eq(weights.iter()));
    }
}
