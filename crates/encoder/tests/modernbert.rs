//! Small ModernBERTs against PyTorch: hidden states, attention, loss, every gradient and steps of AdamW.
//!
//! `tests/parity/modernbert_reference.py` writes `tests/fixtures/modernbert_*.safetensors` with transformers in float64.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use midashi_encoder::{
    ATTENTION, ATTENTION_MASK, ActivationRanges, AdamW, AttentionOutputs, BIAS_CORRECTION, Batch, BatchSizes,
    Checkpoint, Dropout, DropoutMask, Dropped, EncoderConfig, Graph, HIDDEN_STATES, Head, HeadKind,
    INPUT_IDS, INPUTS_EMBEDS, LAST_HIDDEN_STATE, LOGITS, LOSS, LayerAttention, LearningRate, MatmulPrecision,
    PaddingRule, Pooling, RATE_FACTOR, STEP_SIZE, Start, Storage, StoredHead, TARGETS, TOKEN_TYPE_IDS,
    TextIds, Training, Weights, attentions, attentions_name, calibration, classifier, dropout_masks,
    explanation, first_moment_name, gradient_name, logits, mean_attention_name, next_name, outputs,
    second_moment_name, training, trunk,
};
use midashi_runtime::{Device, Runtime, Session, SessionOptions, Tensor, int8_weight_bits};
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice, arr0};
use safetensors::tensor::{Dtype, SafeTensors};
use tempfile::TempDir;

/// Largest difference accepted, relative to the largest number of the tensor.
const TOLERANCE: f32 = 1e-4;
/// Tokens to each side that local layers of the fixtures attend to.
const REACH: usize = 4;

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
    config: EncoderConfig,
    floats: HashMap<String, ArrayD<f32>>,
    integers: HashMap<String, ArrayD<i64>>,
}

impl Reference {
    fn read(name: &str) -> Self {
        let path = root().join("tests/fixtures").join(format!("modernbert_{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let config: EncoderConfig =
            serde_json::from_str(&metadata.metadata().as_ref().unwrap()["config"]).unwrap();
        let (mut floats, mut integers) = (HashMap::new(), HashMap::new());
        for (name, tensor) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let (shape, data) = (IxDyn(tensor.shape()), tensor.data());
            if tensor.dtype() == Dtype::I64 {
                let numbers = data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
                integers.insert(name, ArrayD::from_shape_vec(shape, numbers).unwrap());
            } else {
                let numbers = data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                floats.insert(name, ArrayD::from_shape_vec(shape, numbers).unwrap());
            }
        }
        let ids = &integers[INPUT_IDS];
        let rows: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
        let shape = [ids.shape(), &[config.hidden_size]].concat();
        let embedded = floats[&config.word_embeddings()].select(Axis(0), &rows);
        floats.insert(INPUTS_EMBEDS.to_owned(), embedded.into_shape_with_order(shape).unwrap());
        let zeros = ArrayD::zeros(ids.raw_dim());
        integers.insert(TOKEN_TYPE_IDS.to_owned(), zeros);
        let mut reference = Self { config, floats, integers };
        // The loss is the mean cross-entropy of the batch.
        let targets = reference.targets(1.0 / reference.integers["labels"].len() as f32);
        reference.floats.insert(TARGETS.to_owned(), targets);
        reference
    }

    fn labels(&self) -> usize {
        self.floats["classifier.bias"].len()
    }

    /// The head of a case.
    fn head(&self, case: &str) -> Head {
        let kind = if case == "linear" { HeadKind::Linear } else { HeadKind::Native };
        let pooling = if case == "mean" { Pooling::Mean } else { Pooling::Cls };
        Head { labels: self.labels(), kind, pooling }
    }

    /// Numbers of tokens of the texts.
    fn lengths(&self) -> Vec<usize> {
        self.integers[ATTENTION_MASK].rows().into_iter().map(|row| row.sum() as usize).collect()
    }

    /// Rows of tokens of `[texts, tokens, …]`, text after text.
    fn unpadded(&self, padded: &ArrayViewD<'_, f32>) -> ArrayD<f32> {
        let mask = &self.integers[ATTENTION_MASK];
        let rows: Vec<usize> = (0..mask.len()).filter(|&at| mask.as_slice().unwrap()[at] == 1).collect();
        let shape = [&[mask.len()], &padded.shape()[2..]].concat();
        padded.to_owned().into_shape_with_order(shape).unwrap().select(Axis(0), &rows)
    }

    /// `factor` at the label of each text.
    fn targets(&self, factor: f32) -> ArrayD<f32> {
        let answers = &self.integers["labels"];
        let target = |at: IxDyn| if answers[at[0]] == at[1] as i64 { factor } else { 0.0 };
        ArrayD::from_shape_fn(IxDyn(&[answers.len(), self.labels()]), target)
    }

    /// A session with all weights.
    fn session(&self, graph: &Graph) -> Session {
        let weights = graph.parameters().map(|(name, shape)| {
            assert_eq!(self.floats[name].shape(), shape, "{name}");
            (name.to_owned(), self.floats[name].clone())
        });
        let options = SessionOptions::new(Device::Cpu, 1).with_initializers(weights.collect());
        runtime().session(&graph.to_model("test", |_| Storage::External), options).unwrap()
    }

    fn inputs(&self, start: Start) -> Vec<(&'static str, Tensor<'_>)> {
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
        std::iter::once(Start::InputIds).chain(after).collect()
    }

    fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        self.floats.iter().for_each(|(name, tensor)| weights.insert(name.clone(), tensor.clone()));
        weights
    }
}

#[track_caller]
fn assert_close(what: &str, found: ArrayViewD<'_, f32>, expected: ArrayViewD<'_, f32>) {
    assert_within(TOLERANCE, what, found, expected);
}

#[track_caller]
fn assert_within(tolerance: f32, what: &str, found: ArrayViewD<'_, f32>, expected: ArrayViewD<'_, f32>) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let largest = expected.iter().fold(1e-3_f32, |most, number| most.max(number.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{what}: found {found}, expected {expected}"
        );
    }
}

/// A text's part of `[texts, …]`, with as many tokens along each of `axes`.
fn of_text(array: &ArrayViewD<'_, f32>, text: usize, axes: &[usize], length: usize) -> ArrayD<f32> {
    let mut part = array.slice_axis(Axis(0), Slice::from(text..text + 1)).to_owned();
    axes.iter().for_each(|&axis| part = part.slice_axis(Axis(axis), Slice::from(..length)).to_owned());
    part
}

#[test]
fn hidden_states_after_every_layer_agree_with_transformers() {
    let reference = Reference::read("reference");
    for layers in 0..=reference.config.num_hidden_layers {
        let graph = trunk(&reference.config, layers, MatmulPrecision::Float32).unwrap();
        let mut session = reference.session(&graph);
        let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
        let expected = reference.unpadded(&reference.floats[&format!("hidden.{layers}")].view());
        assert_close("hidden states", outputs.float32(HIDDEN_STATES).unwrap(), expected.view());
    }
}

#[test]
fn all_attention_and_the_last_hidden_state_agree_with_transformers() {
    let reference = Reference::read("reference");
    let mut session = reference.session(&outputs(&reference.config, false).unwrap());
    let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
    let found = reference.unpadded(&outputs.float32(LAST_HIDDEN_STATE).unwrap());
    let expected = reference.unpadded(&reference.floats[LAST_HIDDEN_STATE].view());
    assert_close("last hidden state", found.view(), expected.view());
    for layer in 0..reference.config.num_hidden_layers {
        let found = outputs.float32(&attentions_name(layer)).unwrap();
        let expected = &reference.floats[&format!("attention.{layer}")];
        for (text, &length) in reference.lengths().iter().enumerate() {
            let found = of_text(&found, text, &[2], length);
            assert_close("attention", found.view(), of_text(&expected.view(), text, &[2], length).view());
        }
    }
    // The fixture has layers of both kinds: a local one does not see the last token from the first.
    let last = reference.lengths()[0] - 1;
    let distant = |layer: usize| reference.floats[&format!("attention.{layer}")][[0, 0, 0, last]];
    assert!(distant(0) > 0.0 && distant(1) == 0.0 && distant(2) > 0.0 && distant(3) == 0.0);
}

#[test]
fn logits_and_attention_agree_with_transformers_for_every_head_and_start() {
    let reference = Reference::read("reference");
    let last = reference.config.num_hidden_layers - 1;
    let cls = reference.floats[&format!("attention.{last}")].index_axis(Axis(2), 0).to_owned();
    for case in ["linear", "cls", "mean"] {
        let expected = &reference.floats[&format!("{case}.logits")];
        for start in reference.starts().into_iter().chain([Start::InputsEmbeds]) {
            let graph = classifier(&reference.config, reference.head(case), start).unwrap();
            let mut session = reference.session(&graph);
            let outputs = session.run(reference.inputs(start)).unwrap();
            assert_close(case, outputs.float32(LOGITS).unwrap(), expected.view());
            assert_close("attention", outputs.float32(ATTENTION).unwrap(), cls.view());
        }
        let graph = logits(&reference.config, reference.head(case), MatmulPrecision::Float32).unwrap();
        let mut session = reference.session(&graph);
        let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
        assert_close(case, outputs.float32(LOGITS).unwrap(), expected.view());
    }
}

#[test]
fn padding_does_not_change_a_prediction() {
    let reference = Reference::read("reference");
    for case in ["cls", "mean"] {
        let graph = logits(&reference.config, reference.head(case), MatmulPrecision::Float32).unwrap();
        let mut session = reference.session(&graph);
        for (text, &length) in reference.lengths().iter().enumerate() {
            let alone = |name: &str| {
                let all = &reference.integers[name];
                let row = all.slice_axis(Axis(0), Slice::from(text..text + 1));
                (name.to_owned(), row.slice_axis(Axis(1), Slice::from(..length)).to_owned())
            };
            let inputs = [INPUT_IDS, TOKEN_TYPE_IDS, ATTENTION_MASK].map(alone);
            let inputs = inputs.iter().map(|(name, numbers)| (name.as_str(), numbers.view().into()));
            let outputs = session.run(inputs.collect()).unwrap();
            let expected = of_text(&reference.floats[&format!("{case}.logits")].view(), text, &[], 0);
            assert_close("logits", outputs.float32(LOGITS).unwrap(), expected.view());
        }
    }
}

#[test]
fn blocks_and_the_whole_matrix_agree_for_texts_of_every_length() {
    let reference = Reference::read("reference");
    let layers = reference.config.num_hidden_layers;
    let graph = trunk(&reference.config, layers, MatmulPrecision::Float32).unwrap();
    let mut blocks = reference.session(&graph);
    let mut whole = reference.session(&outputs(&reference.config, false).unwrap());
    let mut mean = reference
        .session(&logits(&reference.config, reference.head("mean"), MatmulPrecision::Float32).unwrap());
    let mut mean_whole =
        reference.session(&classifier(&reference.config, reference.head("mean"), Start::InputIds).unwrap());
    // Around the ends of blocks of 4, up to one block of 12 and beyond.
    for longest in 1..=6 * REACH + 2 {
        let texts: Vec<Vec<i32>> = [longest, longest.div_ceil(2), 1]
            .map(|length| (0..length).map(|at| 4 + (at * at % 27) as i32).collect())
            .into();
        let types = vec![0; longest];
        let texts: Vec<TextIds<'_>> =
            texts.iter().map(|ids| TextIds { input_ids: ids, token_type_ids: &types[..ids.len()] }).collect();
        let batch = Batch::of_ids(&texts, 1, PaddingRule::Masked);
        let outputs = whole.run(batch.inputs()).unwrap();
        let expected = outputs.float32(LAST_HIDDEN_STATE).unwrap();
        let found = blocks.run(batch.inputs()).unwrap().float32(HIDDEN_STATES).unwrap().to_owned();
        let mut row = 0;
        for (text, ids) in texts.iter().enumerate() {
            let length = ids.input_ids.len();
            let found = found.slice_axis(Axis(0), Slice::from(row..row + length));
            let found = final_norm(&reference, &found.to_owned());
            let expected = of_text(&expected, text, &[1], length);
            let expected = expected.into_shape_with_order(found.shape()).unwrap();
            assert_close(&format!("{longest} tokens, text {text}"), found.view(), expected.view());
            row += length;
        }
        let outputs = mean_whole.run(batch.inputs()).unwrap();
        let expected = outputs.float32(LOGITS).unwrap();
        let found = mean.run(batch.inputs()).unwrap();
        assert_close(&format!("{longest} tokens"), found.float32(LOGITS).unwrap(), expected);
    }
}

/// The normalisation after the last layer, row by row.
fn final_norm(reference: &Reference, hidden: &ArrayD<f32>) -> ArrayD<f32> {
    let weight = &reference.floats["model.final_norm.weight"];
    let mut normalised = hidden.clone();
    for mut row in normalised.rows_mut() {
        let mean = row.sum() / row.len() as f32;
        row -= mean;
        let variance = row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32;
        let factor = 1.0 / (variance + reference.config.layer_norm_eps as f32).sqrt();
        row.iter_mut().zip(weight).for_each(|(x, weight)| *x *= factor * weight);
    }
    normalised
}

/// Compares loss, logits and all gradients; returns the names of the trainable parameters.
fn compare_training<'a>(
    reference: &'a Reference,
    case: &str,
    graph: &Graph,
    mut inputs: Vec<(&'a str, Tensor<'a>)>,
) -> usize {
    let trainable: Vec<String> = graph.parameters().map(|(name, _)| name.to_owned()).collect();
    let mut session = reference.session(graph);
    inputs.push((TARGETS, reference.floats[TARGETS].view().into()));
    let outputs = session.run(inputs).unwrap();
    let loss = outputs.float32(LOSS).unwrap().sum();
    assert!((loss - reference.floats[&format!("{case}.loss")].sum()).abs() < 1e-5, "{case}: loss {loss}");
    let expected = &reference.floats[&format!("{case}.logits")];
    assert_close("logits", outputs.float32(LOGITS).unwrap(), expected.view());
    for name in &trainable {
        let expected = &reference.floats[&format!("{case}.grad.{name}")];
        let found = outputs.float32(&gradient_name(name)).unwrap();
        assert_close(&format!("{case} {name}"), found, expected.view());
    }
    trainable.len()
}

#[test]
fn loss_and_every_gradient_agree_with_pytorch_for_every_head_and_start() {
    let reference = Reference::read("reference");
    for case in ["linear", "cls", "mean"] {
        let head = reference.head(case);
        for start in reference.starts() {
            let graph = training(&reference.config, head, start, Dropout::default(), |_| true).unwrap();
            let compared = compare_training(&reference, case, &graph, reference.inputs(start));
            let all = reference.config.tensors().len() + head.tensors(&reference.config).len();
            assert_eq!(compared == all, start == Start::InputIds, "{case}, {start:?}: {compared} of {all}");
        }
    }
}

#[test]
fn with_biases_and_the_keys_of_transformers_5_all_agrees_with_pytorch() {
    let reference = Reference::read("biases");
    let graph = logits(&reference.config, reference.head("cls"), MatmulPrecision::Float32).unwrap();
    let mut session = reference.session(&graph);
    let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
    assert_close("logits", outputs.float32(LOGITS).unwrap(), reference.floats["cls.logits"].view());
    let head = reference.head("mean");
    let graph = training(&reference.config, head, Start::InputIds, Dropout::default(), |_| true).unwrap();
    let compared = compare_training(&reference, "mean", &graph, reference.inputs(Start::InputIds));
    assert_eq!(compared, reference.config.tensors().len() + 6, "biases are among them");
}

#[test]
fn frozen_layers_have_no_gradients_and_the_final_normalisation_has_one() {
    let reference = Reference::read("reference");
    let config = &reference.config;
    let trainable = |name: &str| config.is_trainable(name, Some(1));
    let start = Start::AfterLayers(2);
    let graph = training(config, reference.head("cls"), start, Dropout::default(), trainable).unwrap();
    let outputs: Vec<&str> = graph.output_names().filter(|name| name.starts_with("gradient.")).collect();
    let is_expected = |name: &&str| {
        ["gradient.model.layers.3.", "gradient.model.final_norm.", "gradient.head.", "gradient.classifier."]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    assert!(outputs.iter().all(is_expected), "{outputs:?}");
    assert_eq!(outputs.len(), 6 + 1 + 2 + 2, "{outputs:?}");
}

/// The reference's dropout mask of a place, `[shape]`: see `dropout_mask` in the script.
fn dropout_mask(place: usize, shape: &[usize]) -> ArrayD<f32> {
    let number = |at: usize| if (31 * at + 17 * place) % 7 < 2 { 0.0 } else { 1.4 };
    ArrayD::from_shape_vec(IxDyn(shape), (0..shape.iter().product()).map(number).collect()).unwrap()
}

/// A mask of attention weights `[texts, heads, tokens, tokens]` in blocks: `[texts, blocks, heads, 4, 12]`, anything outside
/// of the texts.
fn in_blocks(mask: &ArrayD<f32>, shape: &[usize]) -> ArrayD<f32> {
    let tokens = mask.shape()[2];
    ArrayD::from_shape_fn(IxDyn(shape), |at| {
        let (query, key) = (at[1] * REACH + at[3], at[1] * REACH + at[4]);
        let key = key.checked_sub(REACH).filter(|&key| key < tokens && query < tokens);
        key.map_or(5.0, |key| mask[[at[0], at[2], query, key]])
    })
}

#[test]
fn with_dropout_loss_and_every_gradient_agree_with_pytorch() {
    let reference = Reference::read("reference");
    let config = &reference.config;
    let dropout = Dropout { hidden: true, attention: true };
    let graph = training(config, reference.head("dropout"), Start::InputIds, dropout, |_| true).unwrap();
    let lengths = reference.lengths();
    let (texts, longest) = (lengths.len(), lengths[0]);
    let sizes = BatchSizes { texts, longest, tokens: lengths.iter().sum() };
    let (heads, width, inner) = (config.num_attention_heads, config.hidden_size, config.intermediate_size);
    let last = config.num_hidden_layers - 1;
    let mut masks = Vec::new();
    for DropoutMask { name, place, drops, shape } in dropout_masks(&graph, sizes) {
        assert_eq!(drops == Dropped::Attention, place.ends_with(".attn"), "{name}");
        let rows = |number: usize, width: usize, layer: usize| {
            let mask = dropout_mask(number, &[texts, longest, width]);
            match layer == last {
                true => mask.index_axis(Axis(1), 0).to_owned(),
                false => reference.unpadded(&mask.view()),
            }
        };
        let layer = place.strip_prefix("model.layers.").map(|rest| rest.split('.').next().unwrap());
        let layer: usize = layer.map_or(0, |layer| layer.parse().unwrap());
        let mask = match place {
            "model.embeddings" => rows(0, width, 0),
            "classifier" => dropout_mask(3 * (last + 1) + 1, &[texts, width]),
            _ if place.ends_with(".attn") => {
                let mask = dropout_mask(3 * layer + 1, &[texts, heads, longest, longest]);
                match (layer == last, shape.len()) {
                    (true, _) => mask.slice_axis(Axis(2), Slice::from(..1)).to_owned(),
                    (false, 5) => in_blocks(&mask, &shape),
                    _ => mask,
                }
            }
            _ if place.ends_with(".attn.out_drop") => rows(3 * layer + 2, width, layer),
            _ => rows(3 * layer + 3, inner, layer),
        };
        assert_eq!(mask.shape(), shape, "{name}");
        masks.push((name, mask));
    }
    assert_eq!(masks.len(), 3 * config.num_hidden_layers + 2);
    let mut inputs = reference.inputs(Start::InputIds);
    inputs.extend(masks.iter().map(|(name, mask)| (*name, mask.view().into())));
    compare_training(&reference, "dropout", &graph, inputs);
}

#[test]
fn all_attention_and_the_gradient_of_a_logit_agree_with_pytorch() {
    for fixture in ["reference", "biases"] {
        let reference = Reference::read(fixture);
        let head = reference.head("cls");
        let graph = explanation(&reference.config, head, AttentionOutputs::Means).unwrap();
        let mut session = reference.session(&graph);
        let targets = reference.targets(1.0);
        let mut inputs = reference.inputs(Start::InputsEmbeds);
        inputs.push((TARGETS, targets.view().into()));
        let outputs = session.run(inputs).unwrap();
        assert_close("logits", outputs.float32(LOGITS).unwrap(), reference.floats["cls.logits"].view());
        let found = outputs.float32(&gradient_name(INPUTS_EMBEDS)).unwrap();
        assert_close("gradient", found, reference.floats["explanation.gradient"].view());
        let mut session =
            reference.session(&attentions(&reference.config, LayerAttention::Matrices).unwrap());
        let all = session.run(reference.inputs(Start::InputsEmbeds)).unwrap();
        for layer in 0..reference.config.num_hidden_layers {
            let Some(expected) = reference.floats.get(&format!("attention.{layer}")) else { continue };
            let found = all.float32(&attentions_name(layer)).unwrap();
            let (found, expected) = (of_text(&found, 0, &[], 0), of_text(&expected.view(), 0, &[], 0));
            assert_close("attention", found.view(), expected.view());
            let mut mean = expected.mean_axis(Axis(1)).unwrap();
            if layer + 1 == reference.config.num_hidden_layers {
                mean.slice_axis_inplace(Axis(1), (..1).into());
            }
            let found = outputs.float32(&mean_attention_name(layer)).unwrap();
            assert_close("mean attention", of_text(&found, 0, &[], 0).view(), mean.view());
        }
    }
}

#[test]
fn after_twenty_steps_of_adamw_the_weights_are_pytorchs() {
    /// The script's settings.
    const STEPS: i32 = 20;
    const RATE: f64 = 2e-3;
    const DECAY: f64 = 0.1;
    let reference = Reference::read("reference");
    let config = &reference.config;
    let adamw = AdamW { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, max_grad_norm: 1.0 };
    let rate =
        |name: &str| LearningRate { rate: RATE, weight_decay: if config.decays(name) { DECAY } else { 0.0 } };
    let head = reference.head("linear");
    let graph = Training::new(config, head, Start::InputIds, Dropout::default(), |_| true)
        .with_adamw(adamw, rate)
        .unwrap();
    let mut session = runtime()
        .session(&graph.to_model("test", |_| Storage::Input), SessionOptions::new(Device::Cpu, 1))
        .unwrap();
    let mut state: HashMap<String, ArrayD<f32>> = HashMap::new();
    let names: Vec<String> = graph.parameters().map(|(name, _)| name.to_owned()).collect();
    for name in &names {
        let weight = reference.floats[name].clone();
        for moment in [first_moment_name(name), second_moment_name(name)] {
            state.insert(moment, ArrayD::zeros(weight.raw_dim()));
        }
        state.insert(name.clone(), weight);
    }
    for step in 1..=STEPS {
        let size = 1.0 / (1.0 - f64::from(adamw.beta_1).powi(step));
        let correction = 1.0 / (1.0 - f64::from(adamw.beta_2).powi(step)).sqrt();
        let scalars = [(RATE_FACTOR, 1.0), (STEP_SIZE, size), (BIAS_CORRECTION, correction)]
            .map(|(name, number)| (name, arr0(number as f32).into_dyn()));
        let mut inputs = reference.inputs(Start::InputIds);
        inputs.push((TARGETS, reference.floats[TARGETS].view().into()));
        inputs.extend(scalars.iter().map(|(name, number)| (*name, number.view().into())));
        inputs.extend(state.iter().map(|(name, tensor)| (name.as_str(), tensor.view().into())));
        let outputs = session.run(inputs).unwrap();
        let next =
            state.keys().map(|name| (name.clone(), outputs.float32(&next_name(name)).unwrap().to_owned()));
        state = next.collect();
    }
    for name in &names {
        let expected = &reference.floats[&format!("adamw.{name}")];
        assert_ne!(expected, reference.floats[name], "{name} did not change");
        assert_within(1e-5, name, state[name].view(), expected.view());
    }
}

/// The difference of a graph's output to transformers', relative to its size.
fn int8_error(
    reference: &Reference,
    graph: &Graph,
    precision: MatmulPrecision<'_>,
    output: &str,
    expected: &ArrayD<f32>,
) -> f32 {
    let weights = reference.weights();
    let mut quantized = weights.quantized(graph, precision, int8_weight_bits()).unwrap();
    let floats = weights.for_graph(graph, |name| !quantized.contains_key(name)).unwrap();
    let model = graph.to_model("test", |name| {
        quantized.remove(name).map_or(Storage::External, |bytes| Storage::Embedded(bytes.into()))
    });
    let options = SessionOptions::new(Device::Cpu, 1).with_initializers(floats);
    let mut session = runtime().session(&model, options).unwrap();
    let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
    let size = |array: &ArrayD<f32>| array.iter().map(|number| number.powi(2)).sum::<f32>().sqrt();
    size(&(&outputs.float32(output).unwrap() - expected)) / size(expected)
}

#[test]
fn integers_are_close_to_transformers() {
    // How much larger the steps of the weights are than with 8 bits.
    let steps = (1 << (8 - int8_weight_bits())) as f32;
    for (fixture, case) in [("reference", "cls"), ("reference", "linear"), ("biases", "mean")] {
        let reference = Reference::read(fixture);
        let expected = reference.floats[&format!("{case}.logits")].clone();
        let [float, fine] = [MatmulPrecision::Float32, MatmulPrecision::FineInt8].map(|precision| {
            let graph = logits(&reference.config, reference.head(case), precision).unwrap();
            int8_error(&reference, &graph, precision, LOGITS, &expected)
        });
        assert!(float < 1e-5, "{fixture}, {case}: {float}");
        // The small model's attention is sharp, so it shows rounding more than published ones.
        assert!(1e-5 < fine && fine < 0.1 * steps, "{fixture}, {case}: {fine}");
    }
    let reference = Reference::read("reference");
    let layers = reference.config.num_hidden_layers;
    let mut ranges = ActivationRanges::default();
    let graph = calibration(&reference.config, layers).unwrap();
    let mut session = reference.session(&graph);
    let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
    for name in graph.output_names() {
        ranges.include(name, outputs.float32(name).unwrap().iter().copied());
    }
    let precision = MatmulPrecision::Int8(&ranges);
    let graph = trunk(&reference.config, layers, precision).unwrap();
    let expected = reference.unpadded(&reference.floats[&format!("hidden.{layers}")].view());
    let error = int8_error(&reference, &graph, precision, HIDDEN_STATES, &expected);
    assert!(1e-4 < error && error < 0.05 * steps, "{error}");
}

/// A checkpoint's folder with the reference's weights, under other names where `rename` gives one.
fn checkpoint(reference: &Reference, rename: impl Fn(&str) -> Option<String>) -> (TempDir, Checkpoint) {
    let folder = TempDir::new().unwrap();
    let mut weights = Weights::default();
    let is_weight = |name: &str| ["model.", "head.", "classifier."].iter().any(|part| name.starts_with(part));
    for (name, tensor) in reference.floats.iter().filter(|(name, _)| is_weight(name)) {
        if let Some(name) = rename(name) {
            weights.insert(name, tensor.clone());
        }
    }
    weights.write(&folder.path().join("model.safetensors")).unwrap();
    std::fs::write(folder.path().join("config.json"), serde_json::to_vec(&reference.config).unwrap())
        .unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    (folder, checkpoint)
}

#[test]
fn checkpoints_are_read_with_the_prefix_and_without() {
    let reference = Reference::read("reference");
    let whole = |name: &str| Some(name.to_owned());
    let (_folder, with_prefix) = checkpoint(&reference, whole);
    let (_folder, without) = checkpoint(&reference, |name| name.strip_prefix("model.").map(str::to_owned));
    let weights = with_prefix.encoder().unwrap();
    assert!(weights.iter().eq(without.encoder().unwrap().iter()));
    assert_eq!(weights.iter().count(), reference.config.tensors().len());
    assert!(weights.iter().all(|(name, tensor)| reference.floats[name] == tensor));
    assert_eq!(without.unused(&without.encoder().unwrap()).unwrap(), Vec::<String>::new());
    assert_eq!(without.stored_head().unwrap(), StoredHead::None);
}

#[test]
fn the_native_head_starts_from_that_of_the_masked_language_model() {
    let reference = Reference::read("biases");
    let (_folder, checkpoint) = checkpoint(&reference, |name| {
        let is_classifier = name.starts_with("classifier.");
        Some(if is_classifier { name.replace("classifier", "decoder") } else { name.to_owned() })
    });
    let StoredHead::Stored { name, tensors } = checkpoint.stored_head().unwrap() else { panic!("no head") };
    assert_eq!(name, "head.dense");
    let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["head.dense.weight", "head.dense.bias", "head.norm.weight", "head.norm.bias"]);
    assert!(tensors.iter().all(|(name, tensor)| reference.floats[name] == tensor));
    let unused = checkpoint.unused(&checkpoint.encoder().unwrap()).unwrap();
    assert!(unused.contains(&"decoder.weight".to_owned()) && unused.len() == 6, "{unused:?}");
}
