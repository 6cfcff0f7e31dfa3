//! The exported classifier, run without the rest of Midashi.

use midashi_artifacts::{Split, TokenizedText};
use midashi_encoder::{
    ATTENTION, ATTENTION_MASK, Batch, INPUT_IDS, LOGITS, PaddingRule, TOKEN_TYPE_IDS, TextIds,
};
use midashi_runtime::{Device, Runtime, Session, SessionOptions};
use midashi_stage::sha256_of_bytes;
use midashi_tests::{Run, root};
use ndarray::Axis;

use crate::runs::finished;

fn classifier(run: &Run) -> Session {
    let runtime = Runtime::load(&root().join("cache/onnxruntime")).unwrap();
    let model = run.bytes("model/classifier.onnx");
    runtime.session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap()
}

fn softmax<'a>(logits: impl Iterator<Item = &'a f32> + Clone) -> Vec<f32> {
    let total: f32 = logits.clone().map(|logit| logit.exp()).sum();
    logits.map(|logit| logit.exp() / total).collect()
}

fn ids(texts: &[TokenizedText]) -> Vec<TextIds<'_>> {
    texts
        .iter()
        .map(|TokenizedText { encoding, .. }| TextIds {
            input_ids: &encoding.input_ids,
            token_type_ids: &encoding.token_type_ids,
        })
        .collect()
}

/// The classifier's probabilities for `texts` as one batch.
pub fn probabilities(run: &Run, texts: &[TokenizedText], padding: PaddingRule) -> Vec<Vec<f32>> {
    let batch = Batch::of_ids(&ids(texts), 0, padding);
    let mut session = classifier(run);
    let outputs = session.run(batch.inputs()).unwrap();
    outputs.float32(LOGITS).unwrap().rows().into_iter().map(|row| softmax(row.into_iter())).collect()
}

/// Asserts that the classifier, in batches of other texts, gives the run's predictions and attention.
pub fn assert_gives_the_predictions(run: &Run) {
    let mut session = classifier(run);
    let (predictions, attention) = (run.predictions(), run.attention());
    for (texts, rows) in run.texts(Split::Test).chunks(7).zip(predictions.rows.chunks(7)) {
        let batch = Batch::of_ids(&ids(texts), 0, PaddingRule::Masked);
        let inputs = batch.inputs();
        let names: Vec<&str> = inputs.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, [INPUT_IDS, TOKEN_TYPE_IDS, ATTENTION_MASK]);
        let outputs = session.run(inputs).unwrap();
        let logits = outputs.float32(LOGITS).unwrap();
        let weights = outputs.float32(ATTENTION).unwrap();
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(row.id, texts[at].id);
            let found = softmax(logits.index_axis(Axis(0), at).iter());
            for (found, expected) in found.iter().zip(&row.probabilities) {
                assert!((found - expected).abs() < 1e-5);
            }
            let shown = attention.iter().find(|shown| shown.id == row.id);
            for (head, expected) in shown.iter().flat_map(|shown| shown.attention.iter().enumerate()) {
                for (token, expected) in expected.iter().enumerate() {
                    assert!((weights[[at, head, token]] - expected).abs() < 1e-5);
                }
            }
        }
    }
}

#[test]
fn token_types_of_single_texts_may_be_left_out() {
    let texts = finished().texts(Split::Test);
    let batch = Batch::of_ids(&ids(&texts[..7]), 0, PaddingRule::Masked);
    let mut session = classifier(finished());
    let with = session.run(batch.inputs()).unwrap().float32(LOGITS).unwrap().to_owned();
    let inputs = batch.inputs().into_iter().filter(|(name, _)| *name != TOKEN_TYPE_IDS);
    let without = session.run(inputs.collect()).unwrap().float32(LOGITS).unwrap().to_owned();
    assert_eq!(with, without);
}

#[test]
fn the_exported_classifier_names_its_categories_and_its_tokenizer() {
    let model = finished().bytes("model/classifier.onnx");
    assert!(model == finished().bytes("model/onnx/model.onnx"), "both names are one file");
    let digest = sha256_of_bytes(&finished().bytes("model/vocab.txt"));
    let labels = serde_json::to_string(&finished().predictions().categories).unwrap();
    for (key, value) in [
        ("midashi.labels", labels.as_str()),
        ("midashi.text", r#""title""#),
        ("midashi.tokenizer", &format!(r#""vocab.txt":"{digest}""#)),
    ] {
        // A pair of strings in protobuf: the value follows its key, after a tag and a length.
        let at = model.windows(key.len()).position(|bytes| bytes == key.as_bytes()).expect(key);
        let rest = String::from_utf8_lossy(&model[at..model.len().min(at + 1000)]).into_owned();
        assert!(rest.contains(value), "{key}: no {value} in {rest}");
    }
}

#[test]
fn the_exported_classifier_gives_the_predictions() {
    assert_gives_the_predictions(finished());
}
