//! Predictions and explanations of a small BERT, compared with PyTorch.
//!
//! The truth is `tests/fixtures/explanation_reference.safetensors`, written by
//! `tests/parity/explanation_reference.py` with transformers in float64, each text alone; weights and texts are those
//! of `gradient_reference.safetensors`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use midashi_classifier::{
    Attribution, Classifier, Encoded, Error, Explanation, IntegratedGradients, Integration, Method,
    ModelFolder, Options, Path as IntegrationPath,
};
use midashi_encoder::{INPUT_IDS, TOKEN_TYPE_IDS, TextIds, Weights, softmax};
use midashi_runtime::{DeviceChoice, Engine};
use midashi_text::Encoding;
use ndarray::{Array1, Array2, ArrayD, Axis, Ix2, s};
use safetensors::SafeTensors;

/// Largest difference accepted, relative to the largest number of the tensor.
const TOLERANCE: f32 = 1e-4;
/// The same between two ways of computing one thing here.
const AGREEMENT: f32 = 1e-5;

/// The fixture's cases, and their `hidden_act`.
const CASES: [(&str, &str); 5] =
    [("gelu", "gelu"), ("gelu_new", "gelu_new"), ("relu", "relu"), ("pairs", "gelu"), ("pooler", "gelu")];
const LABELS: usize = 5;
/// Of the fixture's integrated gradients.
const POINTS: usize = 13;
/// A thread computes this share of the tokens of a batch, and with gradients this share of that.
const SHARE: usize = 4;
/// Enough for all texts of the fixture in one batch, with gradients too.
const ONE_BATCH: usize = SHARE * SHARE * 9 * POINTS;

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

/// The bytes of a fixture.
fn fixture(name: &str) -> Vec<u8> {
    let path = root().join("tests/fixtures").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn floats(bytes: &[u8], name: &str) -> ArrayD<f32> {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    let numbers = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    ArrayD::from_shape_vec(tensor.shape(), numbers).unwrap()
}

fn integers(bytes: &[u8], name: &str) -> ArrayD<i64> {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    let numbers = tensor.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    ArrayD::from_shape_vec(tensor.shape(), numbers).unwrap()
}

/// Ids of one text.
struct Text {
    input_ids: Vec<i32>,
    token_type_ids: Vec<i32>,
    baseline: Vec<i32>,
    category: usize,
}

/// One case of the fixture: a checkpoint in a folder, texts, and the truth about them.
struct Case {
    name: &'static str,
    folder: tempfile::TempDir,
    texts: Vec<Text>,
    model: Vec<u8>,
    truth: Vec<u8>,
}

impl Case {
    fn read((name, activation): (&'static str, &str)) -> Self {
        let (model, truth) =
            (fixture("gradient_reference.safetensors"), fixture("explanation_reference.safetensors"));
        let (ids, mask) = (integers(&model, INPUT_IDS), integers(&model, "attention_mask"));
        let types = match name {
            "pairs" => integers(&fixture("gradient_reference_pairs.safetensors"), TOKEN_TYPE_IDS),
            _ => ArrayD::zeros(ids.raw_dim()),
        };
        let (baselines, categories) = (integers(&truth, "baseline_ids"), integers(&truth, "categories"));
        let text = |row: usize| {
            let length = mask.index_axis(Axis(0), row).sum() as usize;
            let of = |ids: &ArrayD<i64>| {
                ids.index_axis(Axis(0), row).iter().take(length).map(|&id| id as i32).collect()
            };
            Text {
                input_ids: of(&ids),
                token_type_ids: of(&types),
                baseline: of(&baselines),
                category: categories[row] as usize,
            }
        };
        let texts = (0..ids.shape()[0]).map(text).collect();
        let folder = checkpoint(&model, activation, name == "pooler");
        Self { name, folder, texts, model, truth }
    }

    fn main() -> Self {
        Self::read(CASES[0])
    }

    /// Integrated gradients have the fixture's points.
    fn classifier(&self, batch_tokens: usize) -> Classifier<'static> {
        self.classifier_with(batch_tokens, Integration { points: POINTS, error: 0.0 })
    }

    fn classifier_with(&self, batch_tokens: usize, integration: Integration) -> Classifier<'static> {
        let model = ModelFolder::open(self.folder.path()).unwrap();
        let options = Options { batch_tokens, integration, ..Options::default() };
        Classifier::with_options(model, engine(), options).unwrap()
    }

    fn ids(&self) -> Vec<TextIds<'_>> {
        self.texts.iter().map(Text::ids).collect()
    }

    fn categories(&self) -> Vec<usize> {
        self.texts.iter().map(|text| text.category).collect()
    }

    /// What PyTorch has of one text: the last axis is cut to the text's tokens.
    fn truth(&self, name: &str, row: usize) -> ArrayD<f32> {
        let all = floats(&self.truth, &format!("{}.{name}", self.name));
        let mut of_text = all.index_axis_move(Axis(0), row);
        let last = Axis(of_text.ndim() - 1);
        of_text.slice_axis_inplace(last, (..self.texts[row].input_ids.len()).into());
        of_text
    }

    fn logits(&self, name: &str) -> Array2<f32> {
        floats(&self.truth, &format!("{}.{name}", self.name)).into_dimensionality::<Ix2>().unwrap()
    }

    #[track_caller]
    fn assert_close(
        &self,
        what: &str,
        row: usize,
        found: ArrayD<f32>,
        expected: ArrayD<f32>,
        tolerance: f32,
    ) {
        let what = format!("{}, text {row}: {what}", self.name);
        assert_eq!(found.shape(), expected.shape(), "{what}");
        let largest = expected.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            // Where all is 0, so must be what is found.
            assert!((found - expected).abs() <= tolerance * largest, "{what}: {found}, expected {expected}");
        }
    }
}

impl Text {
    fn ids(&self) -> TextIds<'_> {
        TextIds { input_ids: &self.input_ids, token_type_ids: &self.token_type_ids }
    }

    fn path(&self) -> IntegrationPath<'_> {
        IntegrationPath { text: self.ids(), baseline: &self.baseline, category: self.category }
    }
}

/// Integrated gradients of all texts of a case, computed together.
fn integrated(classifier: &mut Classifier<'_>, case: &Case) -> Vec<IntegratedGradients> {
    let paths: Vec<IntegrationPath<'_>> = case.texts.iter().map(Text::path).collect();
    classifier.integrated_gradients(&paths, &mut |_, _| {}).unwrap()
}

/// A folder with the fixture's weights as a fine-tuned model.
fn checkpoint(model: &[u8], activation: &str, pooler: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (_, metadata) = SafeTensors::read_metadata(model).unwrap();
    let config = &metadata.metadata().as_ref().unwrap()["config"];
    let mut config: serde_json::Value = serde_json::from_str(config).unwrap();
    config["hidden_act"] = activation.into();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let mut weights = Weights::default();
    for name in SafeTensors::deserialize(model).unwrap().names() {
        let is_weight = ["bert.", "classifier."].iter().any(|prefix| name.starts_with(prefix));
        if is_weight && (pooler || !name.contains("pooler")) {
            weights.insert(name.to_string(), floats(model, name));
        }
    }
    weights.write(&folder.path().join("model.safetensors")).unwrap();
    fs::write(folder.path().join("labels.json"), r#"["a", "b", "c", "d", "e"]"#).unwrap();
    let record = if pooler { r#"{"trunk": null, "head": "pooler"}"# } else { r#"{"trunk": null}"# };
    fs::write(folder.path().join("midashi.json"), record).unwrap();
    folder
}

fn vector(numbers: Vec<f32>) -> ArrayD<f32> {
    Array1::from(numbers).into_dyn()
}

fn matrix(rows: Vec<Vec<f32>>) -> ArrayD<f32> {
    let shape = (rows.len(), rows[0].len());
    Array2::from_shape_vec(shape, rows.concat()).unwrap().into_dyn()
}

/// Everything that an attribution holds, by name.
fn parts(attribution: &Attribution) -> [(&'static str, ArrayD<f32>); 3] {
    [
        ("layer_attention", matrix(attribution.layer_attention())),
        ("rollout", vector(attribution.rollout())),
        ("gradient_x_input", vector(attribution.gradient_x_input.clone())),
    ]
}

#[test]
fn attention_of_layers_rollout_and_gradient_x_input_are_pytorchs() {
    for case in CASES.map(Case::read) {
        let attributions = case.classifier(ONE_BATCH).attributions(&case.ids(), &case.categories()).unwrap();
        assert_eq!(attributions.len(), case.texts.len());
        for (row, attribution) in attributions.iter().enumerate() {
            for (what, found) in parts(attribution) {
                case.assert_close(what, row, found, case.truth(what, row), TOLERANCE);
            }
        }
    }
}

#[test]
fn rollout_and_attention_of_a_layer_need_no_gradients() {
    for case in CASES.map(Case::read) {
        let mut classifier = case.classifier(ONE_BATCH);
        let rollouts = classifier.rollouts(&case.ids()).unwrap();
        let layers = case.truth("layer_attention", 0).len_of(Axis(0));
        let layers: Vec<_> =
            (0..layers).map(|layer| classifier.cls_attentions(&case.ids(), layer).unwrap()).collect();
        let all = classifier.attentions(&case.ids()).unwrap();
        for (row, rollout) in rollouts.into_iter().enumerate() {
            for (all, layer) in all[row].outer_iter().zip(&layers) {
                let (of_cls, found) = (all.slice(s![.., 0, ..]).to_owned(), layer[row].clone());
                case.assert_close("heads", row, found.into_dyn(), of_cls.into_dyn(), AGREEMENT);
            }
            case.assert_close("rollout", row, vector(rollout), case.truth("rollout", row), TOLERANCE);
            let means = layers.iter().map(|layer| layer[row].mean_axis(Axis(0)).unwrap().to_vec());
            let expected = case.truth("layer_attention", row);
            case.assert_close("layer_attention", row, matrix(means.collect()), expected, TOLERANCE);
        }
    }
}

#[test]
fn all_attention_is_transformers() {
    let case = Case::main();
    let attentions = case.classifier(ONE_BATCH).attentions(&case.ids()).unwrap();
    for (row, attentions) in attentions.iter().enumerate() {
        let tokens = case.texts[row].input_ids.len();
        for (layer, found) in attentions.outer_iter().enumerate() {
            let what = format!("attention.{layer}");
            let expected = floats(&case.model, &what);
            let expected = expected.slice(s![row, .., ..tokens, ..tokens]).to_owned().into_dyn();
            case.assert_close(&what, row, found.to_owned().into_dyn(), expected, TOLERANCE);
        }
    }
}

#[test]
fn integrated_gradients_are_pytorchs() {
    for case in CASES.map(Case::read) {
        for (row, found) in integrated(&mut case.classifier(ONE_BATCH), &case).into_iter().enumerate() {
            assert_eq!(found.points, POINTS);
            let expected = case.truth("integrated_gradients", row);
            case.assert_close("integrated gradients", row, vector(found.weights), expected, TOLERANCE);
        }
    }
}

#[test]
fn integrated_gradients_sum_to_the_difference_of_the_logits_as_closely_as_asked() {
    for case in CASES.map(Case::read) {
        let (logits, baseline) = (case.logits("logits"), case.logits("baseline_logits"));
        // The gradient of a ReLU jumps on the way.
        let error = if case.name == "relu" { 1e-3 } else { 1e-4 };
        let accuracy = Integration { points: 400, error };
        let all = integrated(&mut case.classifier_with(ONE_BATCH, accuracy), &case);
        let (name, mut points) = (case.name, Vec::new());
        for (row, (text, found)) in case.texts.iter().zip(all).enumerate() {
            let total: f32 = found.weights.iter().sum();
            let absolute: f32 = found.weights.iter().map(|weight| weight.abs()).sum();
            let difference = logits[[row, text.category]] - baseline[[row, text.category]];
            assert!(
                (total - difference).abs() <= 2.0 * error as f32 * absolute,
                "{name}, text {row}: {total}, logits {difference}"
            );
            assert!(found.error <= error && found.points <= 400, "{name}, text {row}: {found:?}");
            points.push(found.points);
        }
        assert!(points.iter().any(|&of_text| of_text != points[0]), "{name}: {points:?}, as each text needs");
    }
}

#[test]
fn integrated_gradients_do_not_depend_on_which_points_go_together() {
    let case = Case::main();
    let together = integrated(&mut case.classifier(ONE_BATCH), &case);
    // Seven points of the longest text fit; each point alone.
    for batch_tokens in [4 * 9 * 7, 1] {
        let found = integrated(&mut case.classifier(batch_tokens), &case);
        for (row, (found, expected)) in found.into_iter().zip(&together).enumerate() {
            let expected = vector(expected.weights.clone());
            case.assert_close("integrated gradients", row, vector(found.weights), expected, AGREEMENT);
        }
    }
    let mut progress = Vec::new();
    let paths: Vec<IntegrationPath<'_>> = case.texts.iter().map(Text::path).collect();
    let mut count = |done, wanted| progress.push((done, wanted));
    // Half of the points of the longest text fit into a batch.
    case.classifier(SHARE * SHARE * 9 * 7).integrated_gradients(&paths, &mut count).unwrap();
    assert_eq!(progress.last(), Some(&(4 * POINTS, 4 * POINTS)));
    assert!(progress.len() > 3 && progress.is_sorted(), "{progress:?}");
}

#[test]
fn padding_does_not_change_an_explanation() {
    for case in CASES.map(Case::read) {
        let mut classifier = case.classifier(ONE_BATCH);
        let padded = classifier.attributions(&case.ids(), &case.categories()).unwrap();
        let attentions = classifier.attentions(&case.ids()).unwrap();
        for (row, (text, padded)) in case.texts.iter().zip(attentions).enumerate() {
            let alone = classifier.attentions(&[text.ids()]).unwrap().remove(0);
            case.assert_close("attention", row, padded.into_dyn(), alone.into_dyn(), AGREEMENT);
        }
        for (row, (text, padded)) in case.texts.iter().zip(&padded).enumerate() {
            let alone = classifier.attributions(&[text.ids()], &[text.category]).unwrap().remove(0);
            for ((what, padded), (_, alone)) in parts(padded).into_iter().zip(parts(&alone)) {
                case.assert_close(what, row, padded, alone, AGREEMENT);
            }
        }
    }
}

#[test]
fn an_explanation_is_of_the_category_that_is_asked_for() {
    let case = Case::main();
    let text = case.texts[0].ids();
    let mut classifier = case.classifier(ONE_BATCH);
    let other = (case.texts[0].category + 1) % LABELS;
    let both = classifier.attributions(&[text, text], &[case.texts[0].category, other]).unwrap();
    assert_eq!(both[0].mean_attention, both[1].mean_attention, "attention says nothing about a category");
    let expected = case.truth("gradient_x_input", 0);
    case.assert_close("gradient_x_input", 0, vector(both[0].gradient_x_input.clone()), expected, TOLERANCE);
    let mut alone = classifier.attributions(&[text], &[other]).unwrap();
    let [found, alone] = [&both[1], &alone.remove(0)].map(|of| vector(of.gradient_x_input.clone()));
    assert_ne!(found, vector(both[0].gradient_x_input.clone()));
    case.assert_close("gradient_x_input of another category", 0, found, alone, AGREEMENT);
}

#[test]
fn predictions_are_pytorchs_in_the_order_of_the_texts() {
    for case in CASES.map(Case::read) {
        let logits = case.logits("logits");
        // One batch, three, and each text alone; the shortest come first.
        for batch_tokens in [ONE_BATCH, SHARE * 14, 1] {
            let predictions = case.classifier(batch_tokens).classify_ids(&case.ids()).unwrap();
            assert_eq!(predictions.len(), case.texts.len());
            for (row, prediction) in predictions.into_iter().enumerate() {
                let expected = vector(softmax(logits.row(row)));
                case.assert_close(
                    "probabilities",
                    row,
                    vector(prediction.probabilities),
                    expected,
                    TOLERANCE,
                );
                let heads = prediction.attention.mean_axis(Axis(0)).unwrap().into_dyn();
                let expected = case.truth("layer_attention", row);
                let last = expected.index_axis(Axis(0), expected.shape()[0] - 1).to_owned();
                case.assert_close("attention", row, heads, last, TOLERANCE);
            }
        }
    }
}

#[test]
fn no_number_depends_on_the_threads() {
    let numbers = |threads: usize| {
        let folder = root().join("cache/onnxruntime");
        let engine = Engine::open(&folder, DeviceChoice::Cpu, threads).unwrap();
        CASES.map(Case::read).map(|case| {
            let model = ModelFolder::open(case.folder.path()).unwrap();
            let integration = Integration { points: POINTS, error: 0.0 };
            let options = Options { batch_tokens: SHARE * 14, integration, ..Options::default() };
            let mut classifier = Classifier::with_options(model, &engine, options).unwrap();
            let (ids, categories) = (case.ids(), case.categories());
            let predictions = classifier.classify_ids(&ids).unwrap();
            let attributions = classifier.attributions(&ids, &categories).unwrap();
            let paths: Vec<IntegrationPath<'_>> = case.texts.iter().map(Text::path).collect();
            let integrated = classifier.integrated_gradients(&paths, &mut |_, _| {}).unwrap();
            (
                predictions.into_iter().map(|found| (found.logits, found.attention)).collect::<Vec<_>>(),
                attributions
                    .into_iter()
                    .map(|found| (found.mean_attention, found.gradient_x_input))
                    .collect::<Vec<_>>(),
                classifier.attentions(&ids).unwrap(),
                integrated.into_iter().map(|found| found.weights).collect::<Vec<_>>(),
            )
        })
    };
    let alone = numbers(1);
    for threads in [2, 3] {
        assert_eq!(numbers(threads), alone, "{threads} threads");
    }
}

#[test]
fn a_text_whose_numbers_are_not_finite_is_named() {
    let case = Case::main();
    let path = case.folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let mut weights = Weights::default();
    for name in SafeTensors::deserialize(&bytes).unwrap().names() {
        weights.insert(name.to_string(), floats(&bytes, name));
    }
    // A word that no text has, with numbers whose squares overflow.
    const WORD: usize = 49;
    let words = weights.iter_mut().find(|(name, _)| name.ends_with("word_embeddings.weight")).unwrap().1;
    for (at, number) in words.index_axis_mut(Axis(0), WORD).iter_mut().enumerate() {
        *number = if at % 4 == 0 { f32::MIN } else { f32::MAX };
    }
    weights.write(&path).unwrap();
    let fine = case.texts[2].ids();
    let wrong = TextIds { input_ids: &[2, WORD as i32, 3], token_type_ids: &[0; 3] };
    // In one batch and alone.
    for batch_tokens in [ONE_BATCH, 1] {
        let mut classifier = case.classifier(batch_tokens);
        let path = |text| IntegrationPath { text, baseline: text.input_ids, category: 0 };
        let errors = [
            classifier.classify_ids(&[fine, wrong]).err(),
            classifier.attributions(&[fine, wrong], &[0, 0]).err(),
            classifier.gradients_x_inputs(&[fine, wrong], &[0, 0]).err(),
            classifier.attentions(&[fine, wrong]).err(),
            classifier.integrated_gradients(&[path(fine), path(wrong)], &mut |_, _| {}).err(),
        ];
        for error in errors {
            let error = error.map(|error| error.with_text(|text| ["fine", "wrong"][text].to_owned()));
            assert!(matches!(&error, Some(Error::NotFinite { text, .. }) if text == "wrong"), "{error:?}");
        }
    }
}

/// Why there are no integrated gradients of `text`.
fn integrated_error(classifier: &mut Classifier<'_>, text: TextIds<'_>, baseline: &[i32]) -> Option<Error> {
    let path = IntegrationPath { text, baseline, category: 0 };
    classifier.integrated_gradients(&[path], &mut |_, _| {}).err()
}

#[test]
fn an_id_outside_the_vocabulary_is_named() {
    let case = Case::main();
    let mut classifier = case.classifier(ONE_BATCH);
    let text = case.texts[2].ids();
    for wrong in [50, -1] {
        let ids = [2, wrong, 3];
        let other = TextIds { input_ids: &ids, ..text };
        let errors = [
            classifier.classify_ids(&[text, other]).err(),
            classifier.attributions(&[text, other], &[0, 0]).err(),
            classifier.attentions(&[text, other]).err(),
            integrated_error(&mut classifier, other, text.input_ids),
            integrated_error(&mut classifier, text, &ids),
        ];
        for error in errors {
            assert!(matches!(error, Some(Error::Id { id, rows: 50 }) if id == wrong), "{error:?}");
        }
    }
}

#[test]
fn a_baseline_of_another_length_and_an_unknown_category_are_refused() {
    let case = Case::main();
    let mut classifier = case.classifier(ONE_BATCH);
    let text = case.texts[2].ids();
    let error = integrated_error(&mut classifier, text, &[2]);
    assert!(matches!(error, Some(Error::Baseline { found: 1, expected: 3 })), "{error:?}");
    let error = classifier.attributions(&[text], &[5]).err();
    assert!(matches!(error, Some(Error::Category { category: 5, labels: 5 })), "{error:?}");
}

#[test]
fn a_layer_or_head_that_the_model_lacks_is_refused() {
    let case = Case::main();
    let mut classifier = case.classifier(ONE_BATCH);
    let config = classifier.model().config();
    let (layers, heads) = (config.num_hidden_layers, config.num_attention_heads);
    let mut message = |layer, head| {
        let method = Method::Attention { layer, head };
        classifier.explain_encoded(Vec::new(), method).unwrap_err().to_string()
    };
    let expected = format!("head is {heads}; the model has {heads} heads, expected 0 to {}", heads - 1);
    assert_eq!(message(None, Some(heads)), expected);
    let expected = format!("layer is {layers}; the model has {layers} layers, expected 0 to {}", layers - 1);
    assert_eq!(message(Some(layers), Some(0)), expected);
}

#[test]
fn tokenised_texts_are_explained_as_the_predicted_category() {
    let case = Case::main();
    let encoded = |text: &Text| Encoded {
        encoding: Encoding {
            input_ids: text.input_ids.clone(),
            token_type_ids: text.token_type_ids.clone(),
            ..Encoding::default()
        },
        ..Encoded::default()
    };
    let mut classifier = case.classifier(ONE_BATCH);
    let encoded: Vec<Encoded> = case.texts.iter().map(encoded).collect();
    let rollouts = classifier.explain_encoded(encoded.clone(), Method::Rollout).unwrap();
    let products = classifier.explain_encoded(encoded, Method::GradientXInput).unwrap();
    for (row, text) in case.texts.iter().enumerate() {
        let weights = |explanation: &Explanation| {
            vector(explanation.weights.iter().map(|&weight| weight as f32).collect())
        };
        case.assert_close("rollout", row, weights(&rollouts[row]), case.truth("rollout", row), TOLERANCE);
        let predicted = products[row].prediction.category.index();
        let alone = classifier.attributions(&[text.ids()], &[predicted]).unwrap().remove(0);
        let expected = vector(alone.gradient_x_input);
        case.assert_close("gradient_x_input", row, weights(&products[row]), expected, AGREEMENT);
    }
}

#[test]
fn freed_graphs_are_opened_again() {
    let case = Case::main();
    let mut classifier = case.classifier(ONE_BATCH);
    let before = integrated(&mut classifier, &case);
    classifier.free_explanations();
    for (before, after) in before.iter().zip(integrated(&mut classifier, &case)) {
        assert_eq!(before.weights, after.weights);
    }
}
