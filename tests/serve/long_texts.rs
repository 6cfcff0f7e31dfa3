//! A model that reads long texts in windows.

use std::fs;
use std::path::PathBuf;

use midashi_classifier::{Classifier, Dictionaries, Method, ModelFolder, Options};
use midashi_runtime::{DeviceChoice, Engine};
use midashi_tests::{folder, root};
use serde_json::{Value, json};

use crate::server::{Server, model};

const LONG: &str = "逆転勝利の日本代表、監督が語る涙の理由。週末に観たい映画の予告編が公開。スマートフォンの新型が発売、価格は \
    2 万円台でカメラが進化した秋の注目モデルを試す。新しい料理の本。";

/// The bundled model as if it had been trained on windows of 16 tokens that share 4.
fn model_of_windows(folder: &tempfile::TempDir) -> PathBuf {
    let copy = folder.path().join("model");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(model()).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let record = json!({"trunk": null, "max_length": 16, "long_texts": "windows", "stride": 4});
    fs::write(copy.join("midashi.json"), record.to_string()).unwrap();
    copy
}

#[test]
fn a_long_text_has_the_answers_of_the_library_and_is_never_too_long() {
    let folder = folder();
    let path = model_of_windows(&folder);
    let cache = root().join("cache");
    let engine = Engine::open(&cache.join("onnxruntime"), DeviceChoice::Cpu, 2).unwrap();
    let options = Options { dictionaries: Dictionaries::below(&cache), ..Options::default() };
    let mut classifier =
        Classifier::with_options(ModelFolder::open(&path).unwrap(), &engine, options).unwrap();
    let labels = classifier.labels().to_vec();
    let found = classifier.explain(&[LONG], Method::GradientXInput).unwrap().remove(0);
    assert!(found.windows > 2 && !found.text.truncated);

    let server = Server::start(&["--model", path.to_str().unwrap()]);
    let scores = |answer: &Value, expected: &[f32]| {
        for (label, expected) in labels.iter().zip(expected) {
            let items = answer.as_array().unwrap();
            let item = items.iter().find(|item| item["label"] == label.as_str()).unwrap();
            let score = item["score"].as_f64().unwrap() as f32;
            assert!((score - expected).abs() < 1e-5, "{label}: {score} {expected}");
        }
    };
    for truncate in [json!(null), json!(false), json!(true)] {
        let answer = server.answered("/predict", &json!({"inputs": LONG, "truncate": truncate}));
        scores(&answer, &found.prediction.probabilities);
    }
    let batch = json!({"inputs": [["新しい料理の本"], [LONG]], "raw_scores": true});
    scores(&server.answered("/predict", &batch)[1], &found.prediction.logits);

    let explained = server.answered("/explain", &json!({"inputs": LONG, "method": "gradient_x_input"}));
    assert_eq!((&explained["windows"], &explained["truncated"]), (&json!(found.windows), &json!(false)));
    let weights: f64 =
        explained["words"].as_array().unwrap().iter().map(|word| word["weight"].as_f64().unwrap()).sum();
    let words = found.text.encoding.word_ids.iter().zip(&found.weights);
    let expected: f64 = words.filter(|(word, _)| word.is_some()).map(|(_, weight)| weight).sum();
    assert!((weights - expected).abs() < 1e-5, "{weights} {expected}");

    let info = server.get("/info").json();
    let about = &info["midashi"];
    assert_eq!((&about["long_texts"], &about["stride"]), (&json!("windows"), &json!(4)));
}

#[test]
fn a_text_of_more_windows_than_may_wait_is_refused() {
    let folder = folder();
    let path = model_of_windows(&folder);
    let options = ["--model", path.to_str().unwrap(), "--max-queue", "4", "--max-texts", "4"];
    let server = Server::start(&options);
    let answer = server.post("/predict", &json!({"inputs": LONG.repeat(4)}));
    assert_eq!(answer.status, 413, "{}", answer.body);
    assert!(
        answer.body.contains("at most 4 may wait") && answer.body.contains("--max-queue"),
        "{}",
        answer.body
    );
}
