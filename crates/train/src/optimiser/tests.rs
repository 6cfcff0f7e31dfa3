//! Both optimisers against each other and against hand-computed steps.

use std::collections::HashMap;
use std::path::Path;

use midashi_config::{self as config, LearningRates, Schedule, Train, TrainableLayers};
use midashi_encoder::{
    Batch, Dropout, EncoderConfig, Graph, Head, PaddingRule, Start, TARGETS, TextIds, Weights,
};
use midashi_runtime::{DeviceChoice, Engine, Tensor};
use ndarray::{Array2, ArrayD, ArrayViewD, IxDyn, arr0, arr1};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::data::dropout_masks;
use crate::model::Model;
use crate::optimiser::fused::{AdamW, Fused};
use crate::optimiser::in_graph::InGraph;
use crate::optimiser::interface::Optimiser;
use crate::optimiser::learning_rate::learning_rate;
use crate::optimiser::schedule::LearningRateSchedule;

const STEPS: usize = 20;
const LABELS: usize = 4;
const VOCABULARY: i32 = 40;
/// The key bias of the last layer, where `[CLS]` alone attends.
const NO_PART_IN_THE_LOSS: &str = "bert.encoder.layer.2.attention.self.key.bias";
/// Token types of the longest text.
const TYPES: [i32; 11] = [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];
/// Largest difference accepted, relative to the largest number of the tensor.
const TOLERANCE: f32 = 1e-6;

fn engine() -> Engine {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache/onnxruntime");
    Engine::open(&folder, DeviceChoice::Cpu, 1).unwrap()
}

fn model() -> Model {
    let config: EncoderConfig = serde_json::from_value(serde_json::json!({
        "model_type": "bert", "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 3,
        "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 12
    }))
    .unwrap();
    let dropout = Dropout { hidden: true, attention: true };
    let labels = (0..LABELS).map(|label| label.to_string()).collect();
    let head = Head::native(LABELS);
    Model { config, labels, head, start: Start::InputIds, trainable: TrainableLayers::All, dropout }
}

/// Weights of `model` before the first step.
fn weights(model: &Model) -> Weights {
    let mut weights = Weights::scratch(&model.config, 0);
    model.head.initialise(&model.config, &mut weights, 0);
    weights
}

/// Everything at once: decay, clipping, schedule, rates by layer, dropout.
fn recipe(gradient_accumulation_steps: usize, max_grad_norm: f64) -> Train {
    Train {
        learning_rate: LearningRates {
            encoder: 1e-3,
            classifier: 3e-3,
            schedule: Schedule::Linear,
            warmup: 0.2,
            layer_decay: 0.8,
        },
        weight_decay: 0.1,
        max_grad_norm,
        dropout: config::Dropout { hidden: 0.1, attention: 0.1 },
        gradient_accumulation_steps,
        ..Train::default()
    }
}

/// Inputs of the training graph besides the trainable tensors.
struct MicroBatch {
    texts: Batch,
    targets: ArrayD<f32>,
    masks: Vec<(String, ArrayD<f32>)>,
}

impl MicroBatch {
    fn inputs(&self) -> Vec<(&str, Tensor<'_>)> {
        let mut inputs: Vec<(&str, Tensor<'_>)> = self.texts.inputs();
        inputs.push((TARGETS, self.targets.view().into()));
        inputs.extend(self.masks.iter().map(|(name, mask)| (name.as_str(), mask.view().into())));
        inputs
    }
}

/// The micro-batches of each step, with texts of different lengths.
fn steps(graph: &Graph, train: &Train) -> Vec<Vec<MicroBatch>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut run = 0;
    let mut micro_batch = || {
        run += 1;
        let mut text =
            || (0..rng.random_range(3..12)).map(|_| rng.random_range(1..VOCABULARY)).collect::<Vec<_>>();
        let texts: Vec<Vec<i32>> = (0..4).map(|_| text()).collect();
        let texts: Vec<TextIds<'_>> =
            texts.iter().map(|ids| TextIds { input_ids: ids, token_type_ids: &TYPES[..ids.len()] }).collect();
        let texts = Batch::of_ids(&texts, 0, PaddingRule::Masked);
        let labels: Vec<usize> = (0..4).map(|_| rng.random_range(0..LABELS)).collect();
        let share = 0.25 / train.gradient_accumulation_steps as f32;
        let target = |(row, label)| if labels[row] == label { share } else { 0.0 };
        let targets = Array2::from_shape_fn((4, LABELS), target).into_dyn();
        let masks = dropout_masks(graph, train.dropout, 5, run, texts.sizes());
        MicroBatch { texts, targets, masks }
    };
    (0..STEPS).map(|_| (0..train.gradient_accumulation_steps).map(|_| micro_batch()).collect()).collect()
}

fn assert_close(what: &str, found: ArrayViewD<'_, f32>, expected: ArrayViewD<'_, f32>) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let largest = expected.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
    let furthest = found
        .iter()
        .zip(expected)
        .fold(0.0_f32, |most, (found, expected)| most.max((found - expected).abs()));
    assert!(furthest <= TOLERANCE * largest, "{what}: {furthest} of {largest}");
}

/// Trains with both optimisers on the same micro-batches.
fn compare(accumulation: usize, max_grad_norm: f64) {
    let (engine, model, train) = (engine(), model(), recipe(accumulation, max_grad_norm));
    let before = weights(&model);
    let steps = steps(&model.training().unwrap(), &train);
    let schedule = LearningRateSchedule::new(&train.learning_rate, STEPS);

    let mut fused = Fused::new(&engine, &model, &train, before.clone()).unwrap();
    let mut in_graph = InGraph::new(&engine, &model, &train, before.clone()).unwrap();
    let mut clipped = 0;
    for (number, micro_batches) in steps.iter().enumerate() {
        for (index, micro_batch) in micro_batches.iter().enumerate() {
            let is_last = index + 1 == micro_batches.len();
            let factor = is_last.then(|| schedule.factor(number));
            let expected = fused.run(&micro_batch.inputs(), factor).unwrap();
            let found = in_graph.run(&micro_batch.inputs(), factor).unwrap();
            let array = |number| arr0(number).into_dyn();
            assert_close("loss", array(found.loss).view(), array(expected.loss).view());
            assert_close("logits", found.logits.view(), expected.logits.view());
            assert_eq!((found.gradient_norm.is_some(), expected.gradient_norm.is_some()), (is_last, is_last));
            if let (Some(found), Some(expected)) = (found.gradient_norm, expected.gradient_norm) {
                assert_close("norm", array(found).view(), array(expected).view());
                clipped += usize::from(expected > train.max_grad_norm as f32);
            }
        }
    }
    assert!((1..STEPS).contains(&clipped), "{clipped} of {STEPS} gradients were clipped");
    let [found, expected] =
        [Box::new(in_graph).into_weights(), Box::new(fused).into_weights()].map(Result::unwrap);
    // The gradient of key biases is 0 in exact arithmetic, because softmax cancels what they add to all
    // scores of a token. Adam amplifies its rounding error to steps of full size.
    for (name, expected) in expected.iter().filter(|(name, _)| !name.ends_with(".key.bias")) {
        assert_close(name, found.get(name).unwrap().view(), expected.view());
        assert!(expected != before.get(name).unwrap(), "{name} did not change");
    }
    for weights in [&found, &expected] {
        assert_eq!(weights.get(NO_PART_IN_THE_LOSS), before.get(NO_PART_IN_THE_LOSS));
    }
}

#[test]
fn after_twenty_steps_the_weights_are_those_of_the_fused_optimiser() {
    compare(1, 0.55);
}

#[test]
fn micro_batches_make_the_same_weights_as_with_the_fused_optimiser() {
    compare(3, 0.4);
}

/// The state as it is read from a file.
fn saved(optimiser: &dyn Optimiser) -> HashMap<String, Vec<f32>> {
    let state = optimiser.state().unwrap().into_iter();
    state.map(|(name, tensor)| (name, tensor.iter().copied().collect())).collect()
}

#[test]
fn a_saved_state_resumes_with_the_same_numbers_and_the_best_weights_are_restored() {
    let (engine, model, train) = (engine(), model(), recipe(2, 1.0));
    let weights = weights(&model);
    let steps = steps(&model.training().unwrap(), &train);
    let new = |in_graph| -> Box<dyn Optimiser + '_> {
        if in_graph {
            Box::new(InGraph::new(&engine, &model, &train, weights.clone()).unwrap())
        } else {
            Box::new(Fused::new(&engine, &model, &train, weights.clone()).unwrap())
        }
    };
    for in_graph in [true, false] {
        let go = |optimiser: &mut dyn Optimiser, steps: &[Vec<MicroBatch>]| {
            for micro_batches in steps {
                optimiser.run(&micro_batches[0].inputs(), None).unwrap();
                optimiser.run(&micro_batches[1].inputs(), Some(0.5)).unwrap();
            }
        };
        let mut through = new(in_graph);
        go(&mut *through, &steps[..2]);
        through.save_best();
        let best = saved(&*through);
        go(&mut *through, &steps[2..4]);

        let mut resumed = new(in_graph);
        resumed.restore(saved(&*through), 4).unwrap();
        assert_eq!(saved(&*resumed), saved(&*through));
        go(&mut *through, &steps[4..6]);
        go(&mut *resumed, &steps[4..6]);
        assert_eq!(saved(&*resumed), saved(&*through), "every number of weights and moments");
        assert_eq!((resumed.steps(), through.steps()), (6, 6));

        resumed.restore_best();
        let found = resumed.into_weights().unwrap();
        for (name, tensor) in weights.iter() {
            let found = found.get(name).unwrap().as_slice().unwrap();
            let best = best.get(&format!("weight/{name}"));
            assert_eq!(best.is_none(), name == NO_PART_IN_THE_LOSS, "{name}");
            let unchanged = tensor.as_slice().unwrap();
            assert_eq!(found, best.map_or(unchanged, Vec::as_slice), "{name}");
            assert_eq!(found == unchanged, best.is_none(), "{name}");
        }
        let error = new(in_graph).restore(HashMap::new(), 1).unwrap_err().to_string();
        assert!(error.contains("the saved state has no bert.embeddings."), "{error}");
    }
}

#[test]
fn rates_fall_from_layer_to_layer_and_the_classifier_has_its_own() {
    let mut train = Train::default();
    train.learning_rate.encoder = 1.0;
    train.learning_rate.classifier = 7.0;
    train.learning_rate.layer_decay = 0.5;
    let rate = |name: &str| learning_rate(&model(), &train, name).rate;
    assert_eq!(rate("classifier.weight"), 7.0);
    assert_eq!(rate("bert.encoder.layer.2.output.dense.weight"), 1.0);
    assert_eq!(rate("bert.encoder.layer.0.output.dense.weight"), 0.25);
    assert_eq!(rate("bert.embeddings.word_embeddings.weight"), 0.125);
}

#[test]
fn biases_do_not_decay_and_a_long_gradient_is_clipped() {
    let names = ["classifier.weight", "classifier.bias"];
    let mut weights = Weights::default();
    for name in names {
        weights.insert(name.to_owned(), ArrayD::ones(IxDyn(&[2])));
    }
    let mut train = Train { weight_decay: 0.1, max_grad_norm: 1.0, ..Train::default() };
    train.learning_rate.classifier = 0.5;
    let mut adamw = AdamW::new(&model(), &train, weights, names.into_iter()).unwrap();
    let (zero, long) = (arr1(&[0.0_f32, 0.0]).into_dyn(), arr1(&[3.0_f32, 4.0]).into_dyn());
    let norm = adamw.step(&[zero.into(), long.into()], 1.0).unwrap();
    assert_eq!(norm, 5.0, "before clipping");
    let after: Vec<Vec<f32>> =
        adamw.trainable().map(|(_, tensor)| tensor.iter().copied().collect()).collect();
    assert_eq!(after[0], [0.95, 0.95], "1 − 0.5 · 0.1");
    // Adam's first step is the learning rate, however long the gradient.
    assert!(after[1].iter().all(|weight| (weight - 0.5).abs() < 1e-6), "{:?}", after[1]);
}
