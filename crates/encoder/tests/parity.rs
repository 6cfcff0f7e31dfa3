//! A small BERT against PyTorch: hidden states, attention, loss and every gradient.
//!
//! `tests/parity/gradient_reference.py` writes `tests/fixtures/gradient_reference*.safetensors` with transformers in
//! float64, and `explanation_reference.py` writes `explanation_reference.safetensors`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use midashi_encoder::{
    ATTENTION, ATTENTION_MASK, ActivationRanges, AttentionOutputs, Batch, BatchSizes, Dropout, DropoutMask,
    Dropped, EncoderConfig, Graph, HIDDEN_STATES, Head, HeadKind, INPUT_IDS, INPUTS_EMBEDS, LOGITS, LOSS,
    LayerAttention, MatmulPrecision, PaddingRule, Start, Storage, TARGETS, TOKEN_TYPE_IDS, TextIds, Weights,
    attentions, attentions_name, calibration, classifier, dropout_masks, explanation, gradient_name, logits,
    mean_attention_name, training, trunk,
};
use midashi_runtime::{Device, Runtime, Session, SessionOptions, Tensor, int8_weight_bits};
use ndarray::{ArrayD, Axis, IxDyn, Slice};
use safetensors::tensor::{Dtype, SafeTensors};

/// Largest difference accepted, relative to the largest number of the tensor.
const TOLERANCE: f32 = 1e-4;

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
        let path = root().join("tests/fixtures").join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let config = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["config"]).unwrap();
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
        // The default of transformers.
        if let Some(ids) = integers.get(INPUT_IDS) {
            let zeros = ArrayD::zeros(ids.raw_dim());
            integers.entry(TOKEN_TYPE_IDS.to_owned()).or_insert(zeros);
        }
        Self { config, floats, integers }.embedded()
    }

    /// Adds the word embeddings of the ids, if the fixture has both.
    fn embedded(mut self) -> Self {
        let (ids, words) = (self.integers.get(INPUT_IDS), self.floats.get(&self.config.word_embeddings()));
        if let (Some(ids), Some(words)) = (ids, words) {
            let rows: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
            let shape = [ids.shape(), &[self.config.hidden_size]].concat();
            let rows = words.select(Axis(0), &rows).into_shape_with_order(shape).unwrap();
            self.floats.insert(INPUTS_EMBEDS.to_owned(), rows);
        }
        self
    }

    /// The fixture `name`, which holds only the differences to the main one.
    fn variant(name: &str) -> Self {
        let (mut variant, main) = (Self::read(name), main_reference());
        for (name, tensor) in main.floats {
            variant.floats.entry(name).or_insert(tensor);
        }
        for (name, tensor) in main.integers {
            variant.integers.entry(name).or_insert(tensor);
        }
        variant.embedded()
    }

    fn labels(&self) -> usize {
        self.floats["classifier.bias"].len()
    }

    /// The head with a pooler if the fixture has the pooler's gradient.
    fn head(&self) -> Head {
        match self.floats.contains_key("grad.bert.pooler.dense.weight") {
            true => Head::native(self.labels()),
            false => Head::linear(self.labels()),
        }
    }

    /// Targets for which the loss is the mean cross-entropy of the batch.
    fn targets(&self) -> ArrayD<f32> {
        let answers = &self.integers["labels"];
        let texts = answers.len();
        let target = |at: IxDyn| if answers[at[0]] == at[1] as i64 { 1.0 / texts as f32 } else { 0.0 };
        ArrayD::from_shape_fn(IxDyn(&[texts, self.labels()]), target)
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

    /// Inputs of a graph that starts at `start`.
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
        std::iter::once(Start::InputIds)
            .chain((0..self.config.num_hidden_layers).map(Start::AfterLayers))
            .collect()
    }
}

fn main_reference() -> Reference {
    Reference::read("gradient_reference.safetensors")
}

fn assert_close(what: &str, found: ndarray::ArrayViewD<'_, f32>, expected: ndarray::ArrayViewD<'_, f32>) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    // Gradients that are zero in exact arithmetic (a key's bias) are compared with 1e-3.
    let largest = expected.iter().fold(1e-3_f32, |most, number| most.max(number.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= TOLERANCE * largest,
            "{what}: found {found}, PyTorch has {expected}"
        );
    }
}

impl Reference {
    /// Hidden states after so many layers, without padding: `[all tokens, hidden_size]`.
    fn hidden_states(&self, layers: usize) -> ArrayD<f32> {
        let (hidden, mask) = (&self.floats[&format!("hidden.{layers}")], &self.integers["attention_mask"]);
        let rows = hidden.rows().into_iter().zip(mask).filter(|(_, present)| **present == 1);
        let numbers: Vec<f32> = rows.flat_map(|(row, _)| row.to_vec()).collect();
        let width = self.config.hidden_size;
        ArrayD::from_shape_vec(IxDyn(&[numbers.len() / width, width]), numbers).unwrap()
    }
}

#[test]
fn hidden_states_of_every_layer_agree_with_transformers() {
    let reference = main_reference();
    for layers in 0..=reference.config.num_hidden_layers {
        let mut session =
            reference.session(&trunk(&reference.config, layers, MatmulPrecision::Float32).unwrap());
        let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
        let (found, expected) = (outputs.float32(HIDDEN_STATES).unwrap(), reference.hidden_states(layers));
        assert_close(&format!("hidden states after {layers} layers"), found, expected.view());
    }
}

/// The ranges of the activations on the fixture's texts.
fn ranges(reference: &Reference, layers: usize) -> ActivationRanges {
    let graph = calibration(&reference.config, layers).unwrap();
    let mut session = reference.session(&graph);
    let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
    let mut ranges = ActivationRanges::default();
    for name in graph.output_names() {
        ranges.include(name, outputs.float32(name).unwrap().iter().copied());
    }
    ranges
}

/// A trunk in int8 with the fixture's weights in `bits` bits.
fn int8_session(reference: &Reference, layers: usize, bits: u32) -> Session {
    let mut weights = Weights::default();
    reference.floats.iter().for_each(|(name, tensor)| weights.insert(name.clone(), tensor.clone()));
    let ranges = ranges(reference, layers);
    let precision = MatmulPrecision::Int8(&ranges);
    let graph = trunk(&reference.config, layers, precision).unwrap();
    let mut quantized = weights.quantized(&graph, precision, bits).unwrap();
    let shifted = quantized.keys().filter(|name| name.ends_with(".bias.shifted")).count();
    assert_eq!(shifted, 4 * layers, "the biases of query, key, value and the first feed-forward layer");
    assert_eq!(quantized.len() - shifted, 2 * 6 * layers, "a matrix and its scales for each linear layer");
    let floats = weights.for_graph(&graph, |name| !quantized.contains_key(name)).unwrap();
    let model = graph.to_model("test", |name| {
        quantized.remove(name).map_or(Storage::External, |bytes| Storage::Embedded(bytes.into()))
    });
    let options = SessionOptions::new(Device::Cpu, 1).with_initializers(floats);
    runtime().session(&model, options).unwrap()
}

#[test]
fn int8_hidden_states_are_close_to_transformers_and_closer_with_more_bits() {
    let reference = main_reference();
    let layers = reference.config.num_hidden_layers;
    let expected = reference.hidden_states(layers);
    let size = |array: &ArrayD<f32>| array.iter().map(|number| number.powi(2)).sum::<f32>().sqrt();
    let error = |bits| {
        let mut session = int8_session(&reference, layers, bits);
        let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
        size(&(&outputs.float32(HIDDEN_STATES).unwrap() - &expected)) / size(&expected)
    };
    let (seven, most) = (error(7), error(int8_weight_bits()));
    assert!(1e-4 < most && most <= seven && seven < 0.05, "{most}, 7 bits {seven}");
    // A processor whose sums overflow with 8 bits has no more than 7.
    assert!(int8_weight_bits() == 7 || most < seven, "8 bits {most}, 7 bits {seven}");
}

/// The difference of a classifier's logits to transformers', relative to their size.
fn int8_error(reference: &Reference, precision: MatmulPrecision<'_>) -> f32 {
    let mut weights = Weights::default();
    reference.floats.iter().for_each(|(name, tensor)| weights.insert(name.clone(), tensor.clone()));
    let graph = logits(&reference.config, reference.head(), precision).unwrap();
    let mut quantized = weights.quantized(&graph, precision, int8_weight_bits()).unwrap();
    let floats = weights.for_graph(&graph, |name| !quantized.contains_key(name)).unwrap();
    let model = graph.to_model("test", |name| {
        quantized.remove(name).map_or(Storage::External, |bytes| Storage::Embedded(bytes.into()))
    });
    let options = SessionOptions::new(Device::Cpu, 1).with_initializers(floats);
    let mut session = runtime().session(&model, options).unwrap();
    let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
    let size = |array: &ArrayD<f32>| array.iter().map(|number| number.powi(2)).sum::<f32>().sqrt();
    let expected = &reference.floats["logits"];
    size(&(&outputs.float32(LOGITS).unwrap() - expected)) / size(expected)
}

#[test]
fn logits_alone_agree_with_transformers_and_in_integers_are_close() {
    for file in ["gradient_reference.safetensors", "gradient_reference_relu.safetensors"] {
        let reference = Reference::variant(file);
        let error = |precision| int8_error(&reference, precision);
        assert!(error(MatmulPrecision::Float32) < 1e-5, "{file}");
        let ranges = ranges(&reference, reference.config.num_hidden_layers);
        let (by_ranges, fine) = (error(MatmulPrecision::Int8(&ranges)), error(MatmulPrecision::FineInt8));
        // With 7 bits the steps of the weights are twice as large, and the layers' errors add up.
        let most = if int8_weight_bits() == 8 { 0.02 } else { 0.05 };
        assert!(1e-5 < fine && fine < most, "{file}: {fine}");
        assert!(1e-5 < by_ranges && by_ranges < most, "{file}: {by_ranges}");
    }
}

#[test]
fn int8_hidden_states_of_a_text_do_not_depend_on_its_batch() {
    let reference = main_reference();
    let mut session = int8_session(&reference, reference.config.num_hidden_layers, 8);
    let together =
        session.run(reference.inputs(Start::InputIds)).unwrap().float32(HIDDEN_STATES).unwrap().to_owned();
    let (ids, mask) = (&reference.integers["input_ids"], &reference.integers["attention_mask"]);
    let mut row = 0;
    for (ids, mask) in ids.rows().into_iter().zip(mask.rows()) {
        let length = mask.sum() as usize;
        let ids: Vec<i32> = ids.iter().take(length).map(|&id| id as i32).collect();
        let text = TextIds { input_ids: &ids, token_type_ids: &vec![0; length] };
        let batch = Batch::of_ids(&[text], reference.config.pad_token_id, PaddingRule::Masked);
        let outputs = session.run(batch.inputs()).unwrap();
        let expected = together.slice_axis(Axis(0), Slice::from(row..row + length));
        assert_close("hidden states", outputs.float32(HIDDEN_STATES).unwrap(), expected);
        row += length;
    }
}

#[test]
fn logits_and_attention_agree_with_transformers_for_every_start() {
    let reference = main_reference();
    let last = reference.config.num_hidden_layers - 1;
    let attention = &reference.floats[&format!("attention.{last}")];
    let cls = attention.index_axis(Axis(2), 0);
    for start in reference.starts().into_iter().chain([Start::InputsEmbeds]) {
        let mut session = reference.session(&classifier(&reference.config, reference.head(), start).unwrap());
        let outputs = session.run(reference.inputs(start)).unwrap();
        assert_close("logits", outputs.float32(LOGITS).unwrap(), reference.floats["logits"].view());
        assert_close("attention", outputs.float32(ATTENTION).unwrap(), cls.view());
        for row in outputs.float32(ATTENTION).unwrap().rows() {
            assert!((row.sum() - 1.0).abs() < 1e-5, "a head's row sums to 1");
        }
    }
}

#[test]
fn all_attention_and_the_gradient_of_a_logit_agree_with_pytorch() {
    let reference = Reference::variant("explanation_reference.safetensors");
    let categories = &reference.integers["categories"];
    let (texts, labels) = (categories.len(), reference.labels());
    let targets = ArrayD::from_shape_fn(IxDyn(&[texts, labels]), |at| {
        if categories[at[0]] == at[1] as i64 { 1.0 } else { 0.0 }
    });
    let graph = explanation(&reference.config, reference.head(), AttentionOutputs::Means).unwrap();
    let mut session = reference.session(&graph);
    let mut inputs = reference.inputs(Start::InputsEmbeds);
    inputs.push((TARGETS, targets.view().into()));
    let outputs = session.run(inputs).unwrap();
    assert_close("logits", outputs.float32(LOGITS).unwrap(), reference.floats["logits"].view());
    let gradient = outputs.float32(&gradient_name(INPUTS_EMBEDS)).unwrap();
    assert_close("gradient", gradient, reference.floats["gelu.gradient"].view());
    let mut session = reference.session(&attentions(&reference.config, LayerAttention::Matrices).unwrap());
    let all = session.run(reference.inputs(Start::InputsEmbeds)).unwrap();
    let last = reference.config.num_hidden_layers - 1;
    for layer in 0..=last {
        let expected = &reference.floats[&format!("attention.{layer}")];
        assert_close("attention", all.float32(&attentions_name(layer)).unwrap(), expected.view());
        let mut mean = expected.mean_axis(Axis(1)).unwrap();
        if layer == last {
            mean.slice_axis_inplace(Axis(1), (..1).into());
        }
        let found = outputs.float32(&mean_attention_name(layer)).unwrap();
        assert_close("mean attention", found, mean.view());
    }
}

/// Compares loss, logits and all gradients, with the weights of the main fixture.
fn compare_training(reference: &Reference, start: Start) {
    let graph = training(&reference.config, reference.head(), start, Dropout::default(), |_| true).unwrap();
    let trainable = compare_outputs(reference, &graph, &reference.inputs(start));
    if start == Start::InputIds {
        assert_all_but_one_bias(reference, &trainable);
    } else {
        assert!(!trainable.iter().any(|name| name.contains("embeddings")));
    }
}

/// Checks that every tensor of the model is trainable, but for the last key bias: it has no part in the loss, which PyTorch's
/// gradient of it confirms.
fn assert_all_but_one_bias(reference: &Reference, trainable: &[String]) {
    let last = format!("bert.encoder.layer.{}", reference.config.num_hidden_layers - 1);
    let of_model = reference.config.tensors().into_iter().chain(reference.head().tensors(&reference.config));
    let others = of_model.map(|(name, _)| name).filter(|name| !trainable.contains(name));
    let bias = format!("{last}.attention.self.key.bias");
    assert_eq!(others.collect::<Vec<_>>(), std::slice::from_ref(&bias));
    let gradient = |name: &str| {
        reference.floats[&format!("grad.{name}")].iter().fold(0.0_f32, |most, number| most.max(number.abs()))
    };
    let weight = format!("{last}.attention.self.key.weight");
    assert!(gradient(&bias) < 1e-6 * gradient(&weight), "PyTorch's gradient of {bias}");
}

/// Runs a training graph and compares its outputs; returns the names of the trainable parameters.
fn compare_outputs(reference: &Reference, graph: &Graph, inputs: &[(&str, Tensor<'_>)]) -> Vec<String> {
    let trainable: Vec<String> = graph.parameters().map(|(name, _)| name.to_owned()).collect();
    let mut session = reference.session(graph);
    let targets = reference.targets();
    let mut inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor.view())).collect();
    inputs.push((TARGETS, targets.view().into()));
    let outputs = session.run(inputs).unwrap();
    let loss = outputs.float32(LOSS).unwrap().sum();
    assert!((loss - reference.floats["loss"].sum()).abs() < 1e-5, "loss {loss}");
    assert_close("logits", outputs.float32(LOGITS).unwrap(), reference.floats["logits"].view());
    assert!(trainable.iter().any(|name| name == "classifier.weight"));
    for name in &trainable {
        let expected = &reference.floats[&format!("grad.{name}")];
        assert_close(name, outputs.float32(&gradient_name(name)).unwrap(), expected.view());
    }
    trainable
}

#[test]
fn loss_and_every_gradient_agree_with_pytorch_for_every_start() {
    let reference = main_reference();
    for start in reference.starts() {
        compare_training(&reference, start);
    }
}

#[test]
fn gradients_of_every_activation_agree_with_pytorch() {
    for activation in ["gelu_new", "relu"] {
        let reference = Reference::variant(&format!("gradient_reference_{activation}.safetensors"));
        compare_training(&reference, Start::InputIds);
    }
}

#[test]
fn logits_and_gradients_of_pairs_of_texts_agree_with_pytorch() {
    let reference = Reference::variant("gradient_reference_pairs.safetensors");
    let types = &reference.integers[TOKEN_TYPE_IDS];
    assert!(types.iter().any(|&kind| kind == 1) && types.iter().any(|&kind| kind == 0));
    let mut session = reference.session(&trunk(&reference.config, 0, MatmulPrecision::Float32).unwrap());
    let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
    let expected = reference.hidden_states(0);
    assert_close("embeddings", outputs.float32(HIDDEN_STATES).unwrap(), expected.view());
    let graph = classifier(&reference.config, reference.head(), Start::InputIds).unwrap();
    let mut session = reference.session(&graph);
    let outputs = session.run(reference.inputs(Start::InputIds)).unwrap();
    assert_close("logits", outputs.float32(LOGITS).unwrap(), reference.floats["logits"].view());
    compare_training(&reference, Start::InputIds);
}

#[test]
fn with_dropout_loss_and_every_gradient_agree_with_pytorch() {
    let trainable = compare_with_dropout(&Reference::variant("gradient_reference_dropout.safetensors"));
    assert!(!trainable.iter().any(|name| name.contains("pooler")));
}

#[test]
fn with_a_pooler_and_dropout_loss_and_every_gradient_agree_with_pytorch() {
    let reference = Reference::variant("gradient_reference_pooler.safetensors");
    assert_eq!(reference.head().kind, HeadKind::Native);
    let trainable = compare_with_dropout(&reference);
    assert!(trainable.iter().any(|name| name.contains("pooler")), "the pooler is trainable too");
    assert_all_but_one_bias(&reference, &trainable);
}

/// Compares a training graph with masks at all places; returns the names of the trainable parameters.
fn compare_with_dropout(reference: &Reference) -> Vec<String> {
    let dropout = Dropout { hidden: true, attention: true };
    let graph = training(&reference.config, reference.head(), Start::InputIds, dropout, |_| true).unwrap();
    let mask = &reference.integers["attention_mask"];
    let sizes = BatchSizes { texts: mask.shape()[0], longest: mask.shape()[1], tokens: mask.sum() as usize };
    let masks = dropout_masks(&graph, sizes);
    assert_eq!(masks.len(), 3 * reference.config.num_hidden_layers + 2);
    let mut inputs = reference.inputs(Start::InputIds);
    for DropoutMask { name, place, drops, shape } in &masks {
        let mask = &reference.floats[&format!("dropout.{place}")];
        assert_eq!(mask.shape(), shape, "{name}");
        assert_eq!(*drops == Dropped::Attention, place.ends_with(".attention.self"), "{name}");
        inputs.push((name, mask.view().into()));
    }
    compare_outputs(reference, &graph, &inputs)
}

#[test]
fn only_trainable_parameters_have_gradients() {
    let reference = main_reference();
    let trainable = |name: &str| name.starts_with("classifier");
    let graph =
        training(&reference.config, reference.head(), Start::AfterLayers(2), Dropout::default(), trainable)
            .unwrap();
    let outputs: Vec<&str> = graph.output_names().collect();
    assert_eq!(outputs, ["loss", "logits", "gradient.classifier.weight", "gradient.classifier.bias"]);
}

#[test]
fn padding_does_not_change_a_prediction() {
    let reference = main_reference();
    let graph = classifier(&reference.config, reference.head(), Start::InputIds).unwrap();
    let mut session = reference.session(&graph);
    let mask = &reference.integers["attention_mask"];
    for text in 0..mask.shape()[0] {
        let length = mask.index_axis(Axis(0), text).sum();
        let alone = |name: &str| {
            let all = &reference.integers[name];
            all.slice_axis(Axis(0), Slice::from(text..text + 1))
                .slice_axis(Axis(1), Slice::from(..length as usize))
                .to_owned()
        };
        let inputs = [INPUT_IDS, TOKEN_TYPE_IDS, ATTENTION_MASK].map(|name| (name, alone(name)));
        let inputs = inputs.iter().map(|(name, numbers)| (*name, numbers.view().into()));
        let outputs = session.run(inputs.collect()).unwrap();
        let expected = reference.floats["logits"].slice_axis(Axis(0), Slice::from(text..text + 1));
        assert_close("logits", outputs.float32(LOGITS).unwrap(), expected);
    }
}

#[test]
fn without_a_mask_loss_and_every_gradient_agree_with_pytorch() {
    compare_training(&Reference::variant("gradient_reference_unmasked.safetensors"), Start::InputIds);
}

#[test]
fn without_a_mask_padding_changes_predictions_as_in_pytorch() {
    let reference = Reference::variant("gradient_reference_unmasked.safetensors");
    let (ids, lengths) = (&reference.integers["input_ids"], &main_reference().integers["attention_mask"]);
    let texts: Vec<Vec<i32>> = ids
        .rows()
        .into_iter()
        .zip(lengths.rows())
        .map(|(ids, mask)| ids.iter().take(mask.sum() as usize).map(|&id| id as i32).collect())
        .collect();
    let types = vec![0; ids.shape()[1]];
    let texts: Vec<TextIds<'_>> =
        texts.iter().map(|ids| TextIds { input_ids: ids, token_type_ids: &types[..ids.len()] }).collect();
    let graph = classifier(&reference.config, reference.head(), Start::InputIds).unwrap();
    let mut session = reference.session(&graph);
    let pad_id = reference.config.pad_token_id;

    let together = Batch::of_ids(&texts, pad_id, PaddingRule::Attended);
    let outputs = session.run(together.inputs()).unwrap();
    let logits = &reference.floats["logits"];
    assert_close("logits", outputs.float32(LOGITS).unwrap(), logits.view());
    let last = reference.config.num_hidden_layers - 1;
    let attention = reference.floats[&format!("attention.{last}")].index_axis(Axis(2), 0).to_owned();
    assert_close("attention", outputs.float32(ATTENTION).unwrap(), attention.view());
    drop(outputs);

    for (row, text) in texts.iter().enumerate() {
        let alone = Batch::of_ids(&[*text], pad_id, PaddingRule::Attended);
        let outputs = session.run(alone.inputs()).unwrap();
        let difference =
            &outputs.float32(LOGITS).unwrap().index_axis(Axis(0), 0) - &logits.index_axis(Axis(0), row);
        let largest = difference.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        let length = text.input_ids.len();
        let is_longest = length == ids.shape()[1];
        assert_eq!(largest > 1e-2, !is_longest, "{length} tokens: logits differ by {largest}");
    }
}
