//! `POST /predict`: the requests and responses of text-embeddings-inference.

use midashi_classifier::Prediction;
use serde_json::{Value, json};

use crate::server::{Server, invocation, model, with_library};

const TITLES: [&str; 5] = [
    "逆転勝利の日本代表、監督が語る涙の理由",
    "週末に観たい映画の予告編が公開",
    "新しい料理の本",
    "A",
    "スマートフォンの新型が発売、価格は 2 万円台でカメラが進化した秋の注目モデルを試す",
];

/// What the library says of these texts.
fn classified(texts: &[&str]) -> (Vec<String>, Vec<Prediction>) {
    with_library(|classifier| (classifier.labels().to_vec(), classifier.classify(texts).unwrap()))
}

/// Asserts that an answer has all categories with these probabilities, sorted.
fn assert_scores(answer: &Value, labels: &[String], expected: &[f32]) {
    let scores = answer.as_array().unwrap();
    assert_eq!(scores.len(), labels.len());
    let score = |item: &Value| item["score"].as_f64().unwrap() as f32;
    assert!(scores.windows(2).all(|pair| score(&pair[0]) >= score(&pair[1])), "{answer}");
    for (label, expected) in labels.iter().zip(expected) {
        let found = scores.iter().find(|item| item["label"] == label.as_str()).unwrap();
        assert!((score(found) - expected).abs() < 1e-5, "{label}: {found} {expected}");
        assert_eq!(found.as_object().unwrap().len(), 2);
    }
}

#[test]
fn predictions_are_those_of_the_library_for_a_text_and_for_a_batch() {
    let server = Server::start(&[]);
    let (labels, expected) = classified(&TITLES);
    let batch: Vec<[&str; 1]> = TITLES.iter().map(|title| [*title]).collect();
    let answers = server.answered("/predict", &json!({"inputs": batch}));
    assert_eq!(answers.as_array().unwrap().len(), TITLES.len());
    for ((title, expected), of_batch) in TITLES.iter().zip(&expected).zip(answers.as_array().unwrap()) {
        assert_scores(of_batch, &labels, &expected.probabilities);
        let single = server.answered("/predict", &json!({"inputs": title}));
        assert_scores(&single, &labels, &expected.probabilities);
        assert_eq!(single[0]["label"], labels[expected.category.index()].as_str());
    }
    let sum: f64 = answers[0].as_array().unwrap().iter().map(|item| item["score"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
}

#[test]
fn a_text_is_cleaned_as_that_of_a_file() {
    let server = Server::start(&[]);
    let (given, clean) = ("\u{feff}\u{feff}新しい料理の本\r秋の\r\nモデル", "新しい料理の本\n秋の\nモデル");
    let (labels, expected) = classified(&[clean, given]);
    assert_ne!(expected[0].probabilities, expected[1].probabilities, "the marks are tokens of the model");
    let answer = server.answered("/predict", &json!({"inputs": given}));
    assert_scores(&answer, &labels, &expected[0].probabilities);
    let explained = server.answered("/explain", &json!({"inputs": given}));
    assert_eq!(explained["text"], clean);
    assert_eq!(explained, server.answered("/explain", &json!({"inputs": clean})));
}

#[test]
fn the_greatest_scores_are_those_of_all() {
    let server = Server::start(&[]);
    for address in ["/predict", "/explain"] {
        let scores = |question: Value| {
            let answer = server.answered(address, &question);
            let scores = if address == "/explain" { &answer["predictions"] } else { &answer };
            scores.as_array().unwrap().clone()
        };
        let all = scores(json!({"inputs": TITLES[0]}));
        assert_eq!(all.len(), 9);
        for top in [1, 2, 8] {
            assert_eq!(scores(json!({"inputs": TITLES[0], "top_k": top})), all[..top]);
        }
        for whole in [json!(9), json!(1000), json!(null)] {
            assert_eq!(scores(json!({"inputs": TITLES[0], "top_k": whole})), all);
        }
        let refused = server.post(address, &json!({"inputs": TITLES[0], "top_k": 0}));
        assert!(
            refused.status == 422 && refused.body.contains("nonzero"),
            "{} {}",
            refused.status,
            refused.body
        );
    }
}

#[test]
fn raw_scores_are_logits() {
    let server = Server::start(&[]);
    let scores = server.answered("/predict", &json!({"inputs": TITLES[0]}));
    let logits = server.answered("/predict", &json!({"inputs": TITLES[0], "raw_scores": true}));
    let number = |answer: &Value, at: usize| answer[at]["score"].as_f64().unwrap();
    for at in 1..9 {
        assert_eq!(scores[at]["label"], logits[at]["label"]);
        let ratio = (number(&logits, at) - number(&logits, 0)).exp();
        assert!((number(&scores, at) / number(&scores, 0) - ratio).abs() < 1e-5);
    }
    assert!(number(&logits, 0) > 1.0 && number(&logits, 8) < 0.0);
}

#[test]
fn a_request_has_the_forms_of_text_embeddings_inference() {
    let server = Server::start(&[]);
    let answered = |body: Value| server.answered("/predict", &body);
    let single = answered(json!({"inputs": "新しい料理の本"}));
    assert!(single[0]["label"].is_string());
    assert_eq!(answered(json!({"inputs": ["新しい料理の本"]})), single, "an array of one string is a text");
    let batch = answered(json!({"inputs": [["新しい料理の本"], ["新しい", "料理の本"]]}));
    assert_eq!(batch.as_array().unwrap().len(), 2);
    assert_eq!(batch[0][0]["label"], single[0]["label"]);
    let pair = answered(json!({"inputs": ["新しい", "料理の本"]}));
    assert_eq!(pair[0]["label"], batch[1][0]["label"], "an array of two strings is a pair");
    assert_ne!(pair[0]["score"], single[0]["score"]);
    // Hugging Face's InferenceClient sends parameters that are not for this server, to the address itself.
    let client = json!({"inputs": "新しい料理の本", "parameters": {"top_k": 3}});
    assert_eq!(server.answered("/", &client), single);
    let answer = server.post("/predict", &json!({"inputs": "新しい料理の本"}));
    assert_eq!(answer.header("x-compute-characters"), Some("7"));
    assert_eq!(answer.header("x-compute-tokens"), Some("9"));
    assert_eq!(answer.header("x-compute-type"), Some("cpu"));
    for name in ["x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"]
    {
        assert!(answer.header(name).unwrap().parse::<u64>().is_ok(), "{name}");
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_or_cut_at_the_asked_end() {
    let server = Server::start(&[]);
    let (first, last) = ("野球の試合".repeat(30), "映画の予告編".repeat(30));
    let text = format!("{first}{last}");
    let asked = |body: Value| server.post("/predict", &body);
    asked(json!({"inputs": text})).refuses(
        413,
        "Validation",
        &["`inputs` must have less than 64 tokens. Given: "],
    );
    asked(json!({"inputs": text, "truncate": null})).refuses(413, "Validation", &["less than 64 tokens"]);
    let answered = |body: Value| server.answered("/predict", &body);
    let cut = |text: &str, direction: &str| {
        answered(
            json!({"inputs": text, "truncate": true, "truncation_direction": direction, "raw_scores": true}),
        )
    };
    let right = answered(json!({"inputs": text, "truncate": true, "raw_scores": true}));
    assert_eq!(right, cut(&text, "Right"));
    assert_eq!(right, cut(&text, "right"));
    assert_eq!(right, cut(&first.repeat(2), "Right"), "the end is not read");
    assert_eq!(cut(&text, "Left"), cut(&format!("春の{last}"), "Left"), "the beginning is not read");
    assert_ne!(right, cut(&text, "Left"));
    let generous = Server::start(&["--auto-truncate"]);
    assert_eq!(generous.answered("/predict", &json!({"inputs": text, "raw_scores": true})), right);
    let strict = generous.post("/predict", &json!({"inputs": text, "truncate": false}));
    strict.refuses(413, "Validation", &["less than 64 tokens"]);
}

#[test]
fn predictions_in_8_bits_agree_nearly_always() {
    let server = Server::start(&["--precision", "int8"]);
    assert_eq!(server.get("/info").json()["model_dtype"], "int8");
    let (labels, expected) = classified(&TITLES);
    for (title, expected) in TITLES.iter().zip(expected) {
        let found = server.answered("/predict", &json!({"inputs": title}));
        assert_eq!(found[0]["label"], labels[expected.category.index()].as_str());
        let score = found[0]["score"].as_f64().unwrap() as f32;
        assert!((score - expected.probabilities[expected.category.index()]).abs() < 0.05, "{found}");
    }
}

#[test]
fn the_server_tells_what_it_serves() {
    let server = Server::start(&["--max-texts", "7", "--max-queue", "9", "--max-batch-tokens", "333"]);
    assert_eq!(server.get("/health").status, 200);
    let info = server.get("/info").json();
    assert_eq!(info["model_id"], model().to_str().unwrap());
    assert_eq!(info["model_dtype"], "float32");
    assert_eq!(info["model_type"]["classifier"]["id2label"]["7"], "sports-watch");
    assert_eq!(info["model_type"]["classifier"]["label2id"]["sports-watch"], 7);
    let numbers =
        ["max_input_length", "max_client_batch_size", "max_concurrent_requests", "max_batch_tokens"];
    assert_eq!(numbers.map(|name| info[name].as_u64().unwrap()), [64, 7, 9, 333]);
    assert_eq!((&info["auto_truncate"], &info["midashi"]["text"]), (&json!(false), &json!("title")));
    assert_eq!((&info["midashi"]["layers"], &info["midashi"]["heads"]), (&json!(1), &json!(2)));
    let described = server.get("/openapi.json");
    assert_eq!(described.header("content-type"), Some("application/json"));
    let schemas = &described.json()["components"]["schemas"];
    for (name, found) in
        [("Info", &info), ("Prediction", &server.answered("/predict", &json!({"inputs": "本"}))[0])]
    {
        let described: Vec<&String> = schemas[name]["properties"].as_object().unwrap().keys().collect();
        let mut found: Vec<&String> = found.as_object().unwrap().keys().collect();
        found.sort_unstable();
        let mut sorted = described.clone();
        sorted.sort_unstable();
        assert_eq!(found, sorted, "{name}");
    }
}

#[test]
fn metrics_count_requests_texts_and_tokens() {
    let server = Server::start(&[]);
    server.answered("/predict", &json!({"inputs": [["新しい料理の本"], ["新しい料理の本"]]}));
    server.post("/predict", &json!({"inputs": ""}));
    server.get("/snowman");
    let metrics = server.get("/metrics");
    let kind = metrics.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    for line in [
        "midashi_requests_total{path=\"/predict\",status=\"200\"} 1",
        "midashi_requests_total{path=\"/predict\",status=\"400\"} 1",
        "midashi_request_duration_seconds_count{path=\"/predict\"} 2",
        "midashi_queue_texts 0",
        "midashi_batch_texts_sum 2.0",
        "midashi_tokens_total 18",
        "midashi_padding_tokens_total 0",
        "# EOF",
    ] {
        assert!(metrics.body.lines().any(|other| other == line), "{line} is not in\n{}", metrics.body);
    }
    assert!(!metrics.body.contains("snowman"), "nobody adds labels");
}

#[test]
fn no_text_is_printed_unless_it_is_asked_for() {
    const SECRET: &str = "秘密の見出し\u{202E}\u{1B}[31m";
    for (options, lines, has_text) in
        [(&[][..], 0, false), (&["--log-requests"], 4, false), (&["--log-texts"], 4, true)]
    {
        let server = Server::start(options);
        server.answered("/predict", &json!({"inputs": SECRET}));
        server.answered("/explain", &json!({"inputs": SECRET}));
        server.post("/predict", &json!({"inputs": [SECRET, SECRET, SECRET]}));
        server.post("/predict", &json!(SECRET));
        server.signal("TERM");
        let (code, printed) = server.ended();
        assert_eq!(code, Some(0));
        assert_eq!(printed.lines().filter(|line| line.starts_with("POST /")).count(), lines, "{printed}");
        assert_eq!(printed.contains("秘密"), has_text, "{printed}");
        assert!(!printed.contains(['\u{202E}', '\u{1B}']), "{printed}");
    }
}

#[test]
fn a_model_or_an_option_that_cannot_be_served_is_refused() {
    let refused = |options: &[&str], parts: &[&str]| {
        invocation(options).fails_with(parts.iter().copied());
    };
    refused(&["--max-queue", "0"], &["--max-queue is 0", "at least 1"]);
    refused(&["--max-queue", "8"], &["--max-texts is 32", "--max-queue, which is 8"]);
    refused(&["--model", "nowhere"], &["nowhere"]);
    let server = Server::start(&[]);
    let port = server.port.to_string();
    refused(&["--port", &port], &["cannot listen on 127.0.0.1:", "choose another --host or --port"]);
}
