//! Small DeBERTa-v2 models against transformers: hidden states, attention, logits, loss and every gradient.
//!
//! `tests/parity/deberta_reference.py` writes `tests/fixtures/deberta` with transformers in float64.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use midashi_encoder::{
    ATTENTION, ATTENTION_MASK, ActivationRanges, AdamW, AttentionOutputs, BIAS_CORRECTION, BatchSizes,
    Checkpoint, Dropout, DropoutMask, Dropped, EncoderConfig, Graph, HIDDEN_STATES, Head, INPUT_IDS,
    INPUTS_EMBEDS, LAST_HIDDEN_STATE, LOGITS, LOSS, LearningRate, MatmulPrecision, Pooling, RATE_FACTOR,
    STEP_SIZE, Start, Storage, TARGETS, TOKEN_TYPE_IDS, Training, Weights, attentions_name, calibration,
    classifier, dropout_masks, explanation, first_moment_name, gradient_name, logits, next_name, outputs,
    second_moment_name, training, trunk,
};
use midashi_runtime::{Device, Runtime, Session, SessionOptions, Tensor, int8_weight_bits};
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice, arr0};
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::{Value, json};

/// Largest difference accepted, relative to the largest number of the tensor.
const TOLERANCE: f32 = 1e-4;
/// As [`TOLERANCE`], after steps of an optimiser.
const STEPS_TOLERANCE: f32 = 1e-5;
const MODELS: [&str; 4] = ["v3", "conv", "own", "c2p"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Runtime::load(&root().join("cache/onnxruntime")).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// The tensors of a fixture.
struct Reference {
    keys: Value,
    config: EncoderConfig,
    weights: Weights,
    floats: HashMap<String, ArrayD<f32>>,
    integers: HashMap<String, ArrayD<i64>>,
}

impl Reference {
    fn read(name: &str) -> Self {
        let path = root().join(format!("tests/fixtures/deberta/{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = metadata.metadata().clone().unwrap();
        let metadata: Value = serde_json::from_str(&metadata["reference"]).unwrap();
        let keys = metadata["config"].clone();
        let config: EncoderConfig = serde_json::from_value(keys.clone()).unwrap();
        let scale = 1.0 / (1.0 - metadata["rate"].as_f64().unwrap() as f32);
        let (mut floats, mut integers) = (HashMap::new(), HashMap::new());
        for (name, tensor) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let (shape, data) = (IxDyn(tensor.shape()), tensor.data());
            let numbers: Vec<f32> = match tensor.dtype() {
                Dtype::I64 => {
                    let numbers = data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
                    integers.insert(name, ArrayD::from_shape_vec(shape, numbers).unwrap());
                    continue;
                }
                Dtype::U8 => data.iter().map(|&kept| f32::from(kept) * scale).collect(),
                _ => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            };
            floats.insert(name, ArrayD::from_shape_vec(shape, numbers).unwrap());
        }
        let mut weights = Weights::default();
        let is_weight =
            |name: &str| ["deberta.", "pooler.", "classifier."].iter().any(|prefix| name.starts_with(prefix));
        for (name, tensor) in floats.iter().filter(|(name, _)| is_weight(name)) {
            weights.insert(name.clone(), tensor.clone());
        }
        let rows: Vec<usize> = integers[INPUT_IDS].iter().map(|&id| id as usize).collect();
        let shape = [integers[INPUT_IDS].shape(), &[config.hidden_size]].concat();
        let words = weights.get(&config.word_embeddings()).unwrap();
        let embeds = words.select(Axis(0), &rows).into_shape_with_order(shape).unwrap();
        floats.insert(INPUTS_EMBEDS.to_owned(), embeds);
        Self { keys, config, weights, floats, integers }
    }

    fn labels(&self) -> usize {
        self.floats["classifier.bias"].len()
    }

    /// `share` at each text's label.
    fn targets(&self, share: f32) -> ArrayD<f32> {
        let labels = &self.integers["labels"];
        let target = |at: IxDyn| if labels[at[0]] == at[1] as i64 { share } else { 0.0 };
        ArrayD::from_shape_fn(IxDyn(&[labels.len(), self.labels()]), target)
    }

    /// A session with all weights.
    fn session(&self, graph: &Graph) -> Session {
        self.session_in(graph, MatmulPrecision::Float32, int8_weight_bits())
    }

    /// A session with all weights, integers of `bits` bits where the graph, built in `precision`, multiplies such.
    fn session_in(&self, graph: &Graph, precision: MatmulPrecision<'_>, bits: u32) -> Session {
        let mut quantized = self.weights.quantized(graph, precision, bits).unwrap();
        let floats = self.weights.for_graph(graph, |name| !quantized.contains_key(name)).unwrap();
        let model = graph.to_model("test", |name| {
            quantized.remove(name).map_or(Storage::External, |bytes| Storage::Embedded(bytes.into()))
        });
        let options = SessionOptions::new(Device::Cpu, 1).with_initializers(floats);
        runtime().session(&model, options).unwrap()
    }

    /// Inputs of a graph that starts at `start`.
    fn inputs(&self, start: Start) -> Vec<(&str, Tensor<'_>)> {
        let integers = |name| (name, self.integers[name].view().into());
        let mut inputs: Vec<(&str, Tensor<'_>)> = match start {
            Start::InputIds => vec![integers(INPUT_IDS), integers(TOKEN_TYPE_IDS)],
            Start::InputsEmbeds => {
                vec![(INPUTS_EMBEDS, self.floats[INPUTS_EMBEDS].view().into()), integers(TOKEN_TYPE_IDS)]
            }
            Start::AfterLayers(layers) => {
                vec![(HIDDEN_STATES, self.floats[&format!("hidden.{layers}")].view().into())]
            }
        };
        inputs.push(integers(ATTENTION_MASK));
        inputs
    }

    fn starts(&self) -> Vec<Start> {
        let after = (0..self.config.num_hidden_layers).map(Start::AfterLayers);
        [Start::InputIds, Start::InputsEmbeds].into_iter().chain(after).collect()
    }

    /// The rows of tokens of `x`, `[texts, tokens, …]`.
    fn at_tokens(&self, x: ArrayViewD<'_, f32>) -> ArrayD<f32> {
        let mask = self.integers[ATTENTION_MASK].iter();
        let places: Vec<usize> =
            mask.enumerate().filter(|(_, present)| **present == 1).map(|(at, _)| at).collect();
        let shape = [&[x.shape()[0] * x.shape()[1]], &x.shape()[2..]].concat();
        x.to_owned().into_shape_with_order(shape).unwrap().select(Axis(0), &places)
    }

    /// Attention from tokens, `[tokens, heads, all tokens]`: transformers lets padding attend to everything.
    fn of_tokens(&self, attention: ArrayViewD<'_, f32>) -> ArrayD<f32> {
        let by_token = attention.permuted_axes(IxDyn(&[0, 2, 1, 3]));
        self.at_tokens(by_token.as_standard_layout().view())
    }
}

fn assert_close(what: &str, found: ArrayViewD<'_, f32>, expected: ArrayViewD<'_, f32>) {
    assert_within(TOLERANCE, what, found, expected);
}

fn assert_within(tolerance: f32, what: &str, found: ArrayViewD<'_, f32>, expected: ArrayViewD<'_, f32>) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let largest = expected.iter().fold(1e-3_f32, |most, number| most.max(number.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{what}: found {found}, PyTorch has {expected}"
        );
    }
}

#[test]
fn hidden_states_of_every_layer_agree_with_transformers() {
    for model in MODELS {
        let reference = Reference::read(model);
        for layers in 0..=reference.config.num_hidden_layers {
            let graph = trunk(&reference.config, layers, MatmulPrecision::Float32).unwrap();
            let mut session = reference.session(&graph);
            let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
            let expected = reference.at_tokens(reference.floats[&format!("hidden.{layers}")].view());
            let what = format!("{model}: hidden states after {layers} layers");
            assert_close(&what, outputs.float32(HIDDEN_STATES).unwrap(), expected.view());
        }
    }
}

#[test]
fn all_outputs_of_the_encoder_agree_with_transformers() {
    for model in MODELS {
        let reference = Reference::read(model);
        let mut session = reference.session(&outputs(&reference.config, false).unwrap());
        let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
        let layers = reference.config.num_hidden_layers;
        let expected = &reference.floats[&format!("hidden.{layers}")];
        let found = outputs.float32(LAST_HIDDEN_STATE).unwrap();
        let [found, expected] = [found, expected.view()].map(|hidden| reference.at_tokens(hidden));
        assert_close(model, found.view(), expected.view());
        for layer in 0..layers {
            let found = outputs.float32(&attentions_name(layer)).unwrap();
            let expected = reference.floats[&format!("attention.{layer}")].view();
            let [found, expected] = [found, expected].map(|attention| reference.of_tokens(attention));
            assert_close(&format!("{model}: attention of layer {layer}"), found.view(), expected.view());
        }
    }
}

#[test]
fn logits_and_attention_agree_with_transformers_for_every_start_and_head() {
    for model in MODELS {
        let reference = Reference::read(model);
        let last = reference.config.num_hidden_layers - 1;
        let attention = &reference.floats[&format!("attention.{last}")];
        for start in reference.starts() {
            for (head, name) in [
                (Head::linear(reference.labels()), "linear.logits"),
                (Head::native(reference.labels()), "native.logits"),
            ] {
                let mut session = reference.session(&classifier(&reference.config, head, start).unwrap());
                let outputs = session.run(reference.inputs(start)).unwrap();
                let what = format!("{model}: {name} from {start:?}");
                assert_close(&what, outputs.float32(LOGITS).unwrap(), reference.floats[name].view());
                let cls = attention.index_axis(Axis(2), 0);
                assert_close(&what, outputs.float32(ATTENTION).unwrap(), cls.view());
            }
        }
    }
}

#[test]
fn the_gradient_of_a_logit_for_the_embeddings_agrees_with_pytorch() {
    for model in ["v3", "conv", "own"] {
        let reference = Reference::read(model);
        let head = Head::linear(reference.labels());
        let mut session =
            reference.session(&explanation(&reference.config, head, AttentionOutputs::Nothing).unwrap());
        let (mut inputs, targets) = (reference.inputs(Start::InputsEmbeds), reference.targets(1.0));
        inputs.push((TARGETS, targets.view().into()));
        let outputs = session.run(inputs).unwrap();
        assert_close(model, outputs.float32(LOGITS).unwrap(), reference.floats["linear.logits"].view());
        let gradient = outputs.float32(&gradient_name(INPUTS_EMBEDS)).unwrap();
        assert_close(model, gradient, reference.floats["linear.embeds"].view());
    }
}

/// Runs a training graph on the inputs of the batch and compares loss, logits and every gradient with the tensors `kind.…`; returns how
/// many gradients there are.
fn compare_training(
    reference: &Reference,
    kind: &str,
    graph: &Graph,
    inputs: &[(&str, Tensor<'_>)],
) -> usize {
    let mut session = reference.session(graph);
    let targets = reference.targets(1.0 / reference.integers["labels"].len() as f32);
    let mut inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor.view())).collect();
    inputs.push((TARGETS, targets.view().into()));
    let outputs = session.run(inputs).unwrap();
    let loss = outputs.float32(LOSS).unwrap().sum();
    assert!((loss - reference.floats[&format!("{kind}.loss")].sum()).abs() < 1e-5, "{kind}: loss {loss}");
    let logits = reference.floats[&format!("{kind}.logits")].view();
    assert_close(kind, outputs.float32(LOGITS).unwrap(), logits);
    let names: Vec<&str> = graph.output_names().filter_map(|name| name.strip_prefix("gradient.")).collect();
    for name in &names {
        let expected = &reference.floats[&format!("{kind}.grad.{name}")];
        let what = format!("{kind}: gradient of {name}");
        assert_close(&what, outputs.float32(&gradient_name(name)).unwrap(), expected.view());
    }
    names.len()
}

#[test]
fn loss_and_every_gradient_agree_with_pytorch_for_every_start() {
    for model in ["v3", "conv", "own"] {
        let reference = Reference::read(model);
        let head = Head::linear(reference.labels());
        for start in reference.starts().into_iter().filter(|start| *start != Start::InputsEmbeds) {
            let config = &reference.config;
            let layers = start.trunk_layers().map(|frozen| config.num_hidden_layers - frozen);
            let trainable = |name: &str| config.is_trainable(name, layers);
            let graph = training(config, head, start, Dropout::default(), trainable).unwrap();
            let count = compare_training(&reference, "linear", &graph, &reference.inputs(start));
            let names = config.tensors().into_iter().map(|(name, _)| name);
            assert_eq!(count, names.filter(|name| trainable(name)).count() + 2, "{model} from {start:?}");
        }
    }
}

#[test]
fn with_dropout_and_the_context_pooler_loss_and_every_gradient_agree_with_pytorch() {
    for (model, places) in [("v3", 0), ("conv", 2)] {
        let reference = Reference::read(model);
        let (dropout, head) = (Dropout { hidden: true, attention: true }, Head::native(reference.labels()));
        let graph = training(&reference.config, head, Start::InputIds, dropout, |_| true).unwrap();
        let mask = &reference.integers[ATTENTION_MASK];
        let sizes =
            BatchSizes { texts: mask.shape()[0], longest: mask.shape()[1], tokens: mask.sum() as usize };
        let masks = dropout_masks(&graph, sizes);
        assert_eq!(masks.len(), 4 * reference.config.num_hidden_layers + 2 + places, "{model}");
        let mut inputs = reference.inputs(Start::InputIds);
        for DropoutMask { name, place, drops, shape } in &masks {
            let mask = &reference.floats[&format!("dropout.{place}")];
            assert_eq!(mask.shape(), shape, "{name}");
            assert_eq!(*drops == Dropped::Attention, place.ends_with(".attention.self"), "{name}");
            inputs.push((name, mask.view().into()));
        }
        let count = compare_training(&reference, "dropped", &graph, &inputs);
        assert_eq!(count, reference.config.tensors().len() + 4, "{model}: the pooler is trained too");
    }
}

#[test]
fn after_twenty_steps_of_adamw_the_weights_are_pytorchs() {
    /// The script's settings.
    const STEPS: i32 = 20;
    const RATE: f64 = 2e-3;
    const DECAY: f64 = 0.1;
    let reference = Reference::read("conv");
    let (config, head) = (&reference.config, Head::native(reference.labels()));
    let adamw = AdamW { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, max_grad_norm: 1.0 };
    let rate =
        |name: &str| LearningRate { rate: RATE, weight_decay: if config.decays(name) { DECAY } else { 0.0 } };
    let training = Training::new(config, head, Start::InputIds, Dropout::default(), |_| true);
    let graph = training.with_adamw(adamw, rate).unwrap();
    let model = graph.to_model("test", |_| Storage::Input);
    let mut session = runtime().session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap();
    let names: Vec<String> = graph.parameters().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names.len(), config.tensors().len() + 4);
    let mut state: HashMap<String, ArrayD<f32>> = HashMap::new();
    for name in &names {
        let weight = reference.floats[name].clone();
        for moment in [first_moment_name(name), second_moment_name(name)] {
            state.insert(moment, ArrayD::zeros(weight.raw_dim()));
        }
        state.insert(name.clone(), weight);
    }
    let targets = reference.targets(1.0 / reference.integers["labels"].len() as f32);
    for step in 1..=STEPS {
        let size = 1.0 / (1.0 - f64::from(adamw.beta_1).powi(step));
        let correction = 1.0 / (1.0 - f64::from(adamw.beta_2).powi(step)).sqrt();
        let scalars = [(RATE_FACTOR, 1.0), (STEP_SIZE, size), (BIAS_CORRECTION, correction)]
            .map(|(name, number)| (name, arr0(number as f32).into_dyn()));
        let mut inputs = reference.inputs(Start::InputIds);
        inputs.push((TARGETS, targets.view().into()));
        inputs.extend(scalars.iter().map(|(name, number)| (*name, number.view().into())));
        inputs.extend(state.iter().map(|(name, tensor)| (name.as_str(), tensor.view().into())));
        let outputs = session.run(inputs).unwrap();
        let next = |name: &String| (name.clone(), outputs.float32(&next_name(name)).unwrap().to_owned());
        state = state.keys().map(next).collect();
    }
    for name in &names {
        let expected = &reference.floats[&format!("adamw.{name}")];
        assert_ne!(expected, &reference.floats[name], "{name} did not change");
        assert_within(STEPS_TOLERANCE, name, state[name].view(), expected.view());
    }
}

#[test]
fn padding_does_not_change_a_prediction() {
    for model in MODELS {
        let reference = Reference::read(model);
        let head = Head::linear(reference.labels());
        let graph = classifier(&reference.config, head, Start::InputIds).unwrap();
        let mut session = reference.session(&graph);
        let mask = &reference.integers[ATTENTION_MASK];
        for text in 0..mask.shape()[0] {
            let length = mask.index_axis(Axis(0), text).sum() as usize;
            let alone = |name: &str| {
                let text = Slice::from(text..text + 1);
                let numbers = reference.integers[name].slice_axis(Axis(0), text);
                numbers.slice_axis(Axis(1), Slice::from(..length)).to_owned()
            };
            let inputs = [INPUT_IDS, TOKEN_TYPE_IDS, ATTENTION_MASK].map(|name| (name, alone(name)));
            let inputs = inputs.iter().map(|(name, numbers)| (*name, numbers.view().into()));
            let outputs = session.run(inputs.collect()).unwrap();
            let expected = reference.floats["linear.logits"].slice_axis(Axis(0), Slice::from(text..text + 1));
            assert_close(model, outputs.float32(LOGITS).unwrap(), expected);
        }
    }
}

#[test]
fn a_single_token_is_its_own_neighbour_and_position() {
    for model in MODELS {
        let reference = Reference::read(model);
        let ones = ArrayD::<i64>::ones(IxDyn(&[1, 1]));
        let zeros = ArrayD::<i64>::zeros(IxDyn(&[1, 1]));
        let inputs = || {
            vec![
                (INPUT_IDS, ones.view().into()),
                (TOKEN_TYPE_IDS, zeros.view().into()),
                (ATTENTION_MASK, ones.view().into()),
            ]
        };
        let head = Head::linear(reference.labels());
        let graph = classifier(&reference.config, head, Start::InputIds).unwrap();
        let mut session = reference.session(&graph);
        let outputs_of_one = session.run(inputs()).unwrap();
        assert_eq!(outputs_of_one.float32(ATTENTION).unwrap().iter().copied().collect::<Vec<_>>(), [1.0; 2]);
        // The last layer for [CLS] alone and for all tokens are different nodes.
        let mut session = reference.session(&outputs(&reference.config, false).unwrap());
        let all = session.run(inputs()).unwrap();
        let hidden = all.float32(LAST_HIDDEN_STATE).unwrap();
        let (weight, bias) = (&reference.floats["classifier.weight"], &reference.floats["classifier.bias"]);
        let expected = ArrayD::from_shape_fn(IxDyn(&[1, reference.labels()]), |at| {
            let row = weight.index_axis(Axis(0), at[1]);
            bias[at[1]] + row.iter().zip(&hidden).map(|(weight, hidden)| weight * hidden).sum::<f32>()
        });
        assert_close(model, outputs_of_one.float32(LOGITS).unwrap(), expected.view());
    }
}

fn distance(found: ArrayViewD<'_, f32>, expected: &ArrayD<f32>) -> f32 {
    let size = |array: &ArrayD<f32>| array.iter().map(|number| number.powi(2)).sum::<f32>().sqrt();
    size(&(&found - expected)) / size(expected)
}

#[test]
fn int8_hidden_states_are_close_to_transformers_and_closer_with_more_bits() {
    for model in ["v3", "conv", "own"] {
        let reference = Reference::read(model);
        let layers = reference.config.num_hidden_layers;
        let expected = reference.at_tokens(reference.floats[&format!("hidden.{layers}")].view());
        let mut ranges = ActivationRanges::default();
        let graph = calibration(&reference.config, layers).unwrap();
        let mut session = reference.session(&graph);
        let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
        for name in graph.output_names() {
            ranges.include(name, outputs.float32(name).unwrap().iter().copied());
        }
        let precision = MatmulPrecision::Int8(&ranges);
        let graph = trunk(&reference.config, layers, precision).unwrap();
        let error = |bits| {
            let mut session = reference.session_in(&graph, precision, bits);
            let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
            distance(outputs.float32(HIDDEN_STATES).unwrap(), &expected)
        };
        let (seven, most) = (error(7), error(int8_weight_bits()));
        assert!(1e-4 < most && most <= seven && seven < 0.1, "{model}: {most}, 7 bits {seven}");
        // A processor whose sums overflow with 8 bits has no more than 7.
        assert!(int8_weight_bits() == 7 || most < seven, "{model}: 8 bits {most}, 7 bits {seven}");
    }
}

#[test]
fn logits_alone_agree_with_transformers_and_in_integers_are_close() {
    for model in ["v3", "conv"] {
        let reference = Reference::read(model);
        let head = Head::native(reference.labels());
        let error = |precision| {
            let graph = logits(&reference.config, head, precision).unwrap();
            let mut session = reference.session_in(&graph, precision, int8_weight_bits());
            let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
            distance(outputs.float32(LOGITS).unwrap(), &reference.floats["native.logits"])
        };
        assert!(error(MatmulPrecision::Float32) < 1e-5, "{model}");
        let fine = error(MatmulPrecision::FineInt8);
        assert!(1e-5 < fine && fine < 0.05, "{model}: {fine}");
    }
}

#[test]
fn relative_embeddings_are_frozen_with_the_embeddings_and_the_convolution_with_the_first_layer() {
    let config = Reference::read("conv").config;
    let trainable = |layers| -> Vec<String> {
        let names = config.tensors().into_iter().map(|(name, _)| name);
        names.filter(|name| config.is_trainable(name, Some(layers))).collect()
    };
    let (one, two) = (trainable(1), trainable(2));
    assert!(one.iter().all(|name| name.starts_with("deberta.encoder.layer.1.")), "{one:?}");
    let is_convolution = |name: &&String| name.starts_with("deberta.encoder.conv.");
    assert_eq!(two.iter().filter(is_convolution).count(), 4, "{two:?}");
    assert!(!two.iter().any(|name| name.contains("rel_embeddings") || name.contains("encoder.LayerNorm")));
    assert!(config.is_trainable("deberta.encoder.rel_embeddings.weight", None));
    assert!(config.is_trainable("pooler.dense.weight", Some(1)), "the head always is");
}

#[test]
fn a_checkpoint_is_read_with_and_without_prefix_and_without_the_heads_of_its_pretraining() {
    let reference = Reference::read("conv");
    for prefix in ["deberta.", ""] {
        let folder = tempfile::tempdir().unwrap();
        let mut stored = Weights::default();
        for (name, tensor) in reference.weights.iter() {
            if let Some(plain) = name.strip_prefix("deberta.") {
                stored.insert(format!("{prefix}{plain}"), tensor.clone());
            }
        }
        let others =
            ["lm_predictions.lm_head.dense.weight", "mask_predictions.dense.bias", "cls.predictions.bias"];
        for name in others {
            stored.insert(name.to_owned(), ArrayD::zeros(IxDyn(&[3])));
        }
        stored.write(&folder.path().join("model.safetensors")).unwrap();
        std::fs::write(folder.path().join("config.json"), reference.keys.to_string()).unwrap();
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let weights = checkpoint.encoder().unwrap();
        for (name, tensor) in weights.iter() {
            assert_eq!(Some(tensor), reference.weights.get(name), "{name}");
        }
        assert_eq!(weights.iter().count(), reference.config.tensors().len());
        let mut unused = others.map(str::to_owned);
        unused.sort();
        assert_eq!(checkpoint.unused(&weights).unwrap(), unused);
    }
}

/// The keys of microsoft/deberta-v3-base as published, with `changes`.
fn microsoft(changes: Value) -> Result<EncoderConfig, String> {
    let mut keys = json!({
        "model_type": "deberta-v2", "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072,
        "max_position_embeddings": 512, "relative_attention": true, "position_buckets": 256,
        "norm_rel_ebd": "layer_norm", "share_att_key": true, "pos_att_type": "p2c|c2p", "layer_norm_eps": 1e-7,
        "max_relative_positions": -1, "position_biased_input": false, "num_attention_heads": 12,
        "num_hidden_layers": 12, "type_vocab_size": 0, "vocab_size": 128_100
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        keys[key] = value.clone();
    }
    serde_json::from_value(keys).map_err(|error| error.to_string())
}

#[test]
fn tensors_are_those_of_published_files() {
    let names = |changes: Value| -> HashMap<String, Vec<usize>> {
        microsoft(changes).unwrap().tensors().into_iter().collect()
    };
    let microsoft = names(json!({}));
    assert_eq!(microsoft.len(), 3 + 1 + 2 + 12 * 16);
    assert_eq!(microsoft["deberta.encoder.rel_embeddings.weight"], [512, 768]);
    // ku-nlp/deberta-v2-base-japanese
    let kyoto = names(json!({
        "attention_head_size": 64, "conv_act": "gelu", "conv_kernel_size": 3, "pos_att_type": ["p2c", "c2p"],
        "pooler_dropout": 0, "pooler_hidden_act": "gelu", "pooler_hidden_size": 768, "vocab_size": 32_000
    }));
    assert_eq!(kyoto.len(), microsoft.len() + 4);
    assert_eq!(kyoto["deberta.encoder.conv.conv.weight"], [768, 768, 3]);
    // microsoft/deberta-v2-xlarge has 512 buckets, which is as many as distances.
    let wide = names(json!({"position_buckets": 512, "hidden_size": 1536, "num_attention_heads": 24}));
    assert_eq!(wide["deberta.encoder.rel_embeddings.weight"], [1024, 1536]);
    let own = names(json!({
        "share_att_key": false, "norm_rel_ebd": "none", "position_biased_input": true, "type_vocab_size": 2
    }));
    assert_eq!(own.len(), microsoft.len() - 2 + 2 + 12 * 4);
}

#[test]
fn settings_that_are_not_computed_are_refused_by_name() {
    for (changes, parts) in [
        (json!({"relative_attention": false}), ["relative_attention", "disentangled"]),
        (json!({"embedding_size": 128}), ["embedding_size is 128 and hidden_size 768", "embed_proj"]),
        (json!({"pos_att_type": "p2c|p2p"}), ["pos_att_type", "\"p2p\""]),
        (json!({"pos_att_type": 3}), ["pos_att_type is neither a text", "nor a list"]),
        (json!({"pos_att_type": []}), ["pos_att_type is empty", "c2p"]),
        (json!({"norm_rel_ebd": "rms"}), ["norm_rel_ebd", "\"rms\""]),
        (json!({"conv_kernel_size": 4}), ["conv_kernel_size is 4", "odd"]),
        (json!({"conv_kernel_size": 3, "conv_groups": 2}), ["conv_groups is 2", "only 1"]),
        (json!({"conv_kernel_size": 3, "conv_act": "swish"}), ["conv_act", "\"swish\""]),
        (json!({"pooler_hidden_act": "mish"}), ["pooler_hidden_act", "\"mish\""]),
        (json!({"pooler_hidden_size": 64}), ["pooler_hidden_size is 64", "768"]),
        (json!({"attention_head_size": 32}), ["attention_head_size is 32", "64"]),
        (json!({"position_buckets": 1 << 20}), ["position_buckets is 1048576", "at most 65536"]),
        (json!({"max_position_embeddings": 1_u64 << 18}), ["max_position_embeddings", "at most 65536"]),
        (json!({"position_buckets": 1}), ["position_buckets is 1", "bucket"]),
        (json!({"position_buckets": 256, "max_relative_positions": 100}), ["position_buckets is 256", "100"]),
    ] {
        let message = microsoft(changes.clone()).err().unwrap_or_else(|| "accepted".to_owned());
        assert!(parts.iter().all(|part| message.contains(part)), "{changes}: {message}");
    }
    let config = microsoft(json!({})).unwrap();
    let mean = Head { pooling: Pooling::Mean, ..Head::native(2) };
    let message = mean.check(&config).unwrap_err().to_string();
    assert!(message.contains("DebertaV2ForSequenceClassification"), "{message}");
}
