//! `POST /explain`: words with weights, and words that are switched off.

use midashi_classifier::Method;
use serde_json::{Value, json};

use crate::server::{Server, with_library};

const TITLE: &str = "新しい料理の本 ♪";

fn numbers(items: &Value, key: &str) -> Vec<f32> {
    items.as_array().unwrap().iter().map(|item| item[key].as_f64().unwrap() as f32).collect()
}

#[test]
fn weights_are_those_of_the_library_by_every_method() {
    let server = Server::start(&[]);
    for (question, method) in [
        (json!({}), Method::ATTENTION),
        (json!({"layer": 0, "head": 1}), Method::Attention { layer: Some(0), head: Some(1) }),
        (json!({"method": "rollout"}), Method::Rollout),
        (json!({"method": "gradient_x_input"}), Method::GradientXInput),
        (json!({"method": "integrated_gradients"}), Method::IntegratedGradients),
    ] {
        let mut question = question;
        question["inputs"] = json!(TITLE);
        let answer = server.answered("/explain", &question);
        let (expected, labels) = with_library(|classifier| {
            (classifier.explain(&[TITLE], method).unwrap().remove(0), classifier.labels().to_vec())
        });
        assert_eq!(answer["label"], labels[expected.prediction.category.index()].as_str());
        assert_eq!(answer["signed"], method.is_signed());
        assert_eq!(answer["tokens"], expected.weights.len());
        let total: f64 = expected.weights.iter().map(|weight| weight.abs()).sum();
        let words = answer["words"].as_array().unwrap();
        let ids = &expected.text.encoding.word_ids;
        for (number, word) in words.iter().enumerate() {
            let of_word = ids.iter().zip(&expected.weights).filter(|(id, _)| **id == Some(number as i32));
            let weight: f64 = of_word.map(|(_, weight)| weight).sum();
            let found = word["weight"].as_f64().unwrap();
            assert!((found - weight).abs() < 1e-4, "{question}: {word} {weight}");
            assert!((word["share"].as_f64().unwrap() - weight / total).abs() < 1e-4, "{word}");
        }
        let strongest = numbers(&answer["words"], "strength").into_iter().map(f32::abs).fold(0.0, f32::max);
        assert!((strongest - 1.0).abs() < 1e-6);
    }
}

#[test]
fn words_have_their_places_in_the_text() {
    let server = Server::start(&[]);
    let answer = server.answered("/explain", &json!({"inputs": TITLE}));
    assert_eq!((&answer["text"], &answer["unit"]), (&json!(TITLE), &json!("words")));
    let characters: Vec<char> = TITLE.chars().collect();
    let words = answer["words"].as_array().unwrap();
    for word in words {
        let [start, end] = [0, 1].map(|at| word["characters"][at].as_u64().unwrap() as usize);
        assert_eq!(word["text"], characters[start..end].iter().collect::<String>());
        assert_eq!(word["off"], false);
    }
    let texts: Vec<&str> = words.iter().map(|word| word["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["新しい", "料理", "の", "本", "♪"]);
    let special: Vec<&Value> =
        answer["special"].as_array().unwrap().iter().map(|token| &token["token"]).collect();
    assert_eq!(special, ["[CLS]", "[SEP]"]);
    assert_eq!((&answer["layer"], &answer["head"]), (&json!(0), &json!(null)));
}

#[test]
fn a_word_that_is_off_is_hidden_from_the_model() {
    let server = Server::start(&[]);
    let whole = server.answered("/explain", &json!({"inputs": TITLE}));
    let masked = server.answered("/explain", &json!({"inputs": TITLE, "off": [1]}));
    assert_eq!(masked["tokens"], whole["tokens"]);
    assert_ne!(masked["predictions"], whole["predictions"]);
    assert_eq!(masked["words"][1]["off"], true);
    assert_eq!(masked["words"][1]["weight"], Value::Null);
    assert_eq!(masked["words"][1]["text"], "料理", "it is still there to be switched on");
    // The tokenizer takes [MASK] in a text for the token; the word 料理 has two.
    let spelled = server.answered("/predict", &json!({"inputs": "新しい[MASK][MASK]の本 ♪"}));
    let close = |one: &Value, other: &Value| {
        one.as_array().unwrap().iter().zip(other.as_array().unwrap()).all(|(one, other)| {
            let score = |item: &Value| item["score"].as_f64().unwrap();
            one["label"] == other["label"] && (score(one) - score(other)).abs() < 1e-5
        })
    };
    assert!(close(&masked["predictions"], &spelled), "{masked} {spelled}");
    let removed = server.answered("/explain", &json!({"inputs": TITLE, "off": [1, 4], "switch": "delete"}));
    let shorter = server.answered("/predict", &json!({"inputs": "新しいの本"}));
    assert!(close(&removed["predictions"], &shorter), "{removed} {shorter}");
    assert_eq!(removed["tokens"].as_u64().unwrap() + 3, whole["tokens"].as_u64().unwrap());
    for method in ["rollout", "gradient_x_input", "integrated_gradients"] {
        let all = json!({"inputs": TITLE, "off": [0, 1, 2, 3, 4], "switch": "delete", "method": method});
        let nothing = server.answered("/explain", &all);
        assert_eq!(nothing["tokens"], 2, "only special tokens are left");
    }
}

#[test]
fn a_batch_is_explained_text_by_text() {
    let server = Server::start(&[]);
    let batch =
        server.answered("/explain", &json!({"inputs": [["新しい料理の本"], ["週末に観たい", "映画"]]}));
    let single = server.answered("/explain", &json!({"inputs": "新しい料理の本"}));
    assert_eq!(batch[0], single);
    assert_eq!(batch[1]["text"], "週末に観たい\n映画");
    assert_eq!(batch.as_array().unwrap().len(), 2);
}

#[test]
fn a_question_that_makes_no_sense_is_refused_with_what_does() {
    let server = Server::start(&[]);
    let refused = |extra: Value, parts: &[&str]| {
        let mut question = json!({"inputs": TITLE});
        question.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        server.post("/explain", &question).refuses(422, "Validation", parts);
    };
    refused(json!({"method": "lime"}), &["unknown variant `lime`", "attention", "integrated_gradients"]);
    refused(json!({"metod": "rollout"}), &["unknown field `metod`", "`method`"]);
    refused(json!({"layer": 1}), &["`layer` is 1", "the model has 1 layers", "expected 0 to 0"]);
    refused(json!({"head": 2}), &["`head` is 2", "2 heads", "expected 0 to 1"]);
    refused(json!({"head": 0, "method": "rollout"}), &["`head` 0", "only attention has heads"]);
    refused(json!({"off": [5]}), &["`off` holds 5", "5 words", "expected 0 to 4"]);
    refused(json!({"inputs": [[TITLE]], "off": [0]}), &["`off` with a batch"]);
    refused(json!({"switch": "burn"}), &["unknown variant `burn`", "mask", "delete"]);
}
