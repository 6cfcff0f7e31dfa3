//! `tokenize.long_texts = "windows"`: a text of several windows has one answer everywhere.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::collections::BTreeMap;
use std::fs;

use midashi_artifacts::{Predictions, Split, TokenizedCorpus};
use midashi_tests::{Run, STAGES, Shared, folder};
use serde_json::{Value, json};

/// Windows of 16 tokens, 14 of them of the text, of which each shares 4 with the one before.
const WINDOWS: &str = "tokenize.long_texts=windows tokenize.stride=4";
const SHORT: &str = "tokenize.max_length=16";

/// A run of the sample corpus's bodies, which takes some seconds.
fn bodies(artifacts: impl AsRef<std::path::Path>, name: &str) -> Run {
    Run::sample(artifacts, name)
        .small_model()
        .plain_recipe()
        .set("corpus.text=body corpus.split.validation=0.1 train.epochs=1")
        .set("evaluate.explain.texts=8 evaluate.explain.faithfulness_texts=3 evaluate.explain.matrices=2")
}

/// A finished run whose bodies are read in windows; every layer is trained.
fn in_windows() -> &'static Run {
    static RUN: Shared<Run> = Shared::new();
    RUN.get(|artifacts| {
        let run = bodies(artifacts, "windows").set(SHORT).set(WINDOWS);
        run.stages(&STAGES).says("read in windows of at most 16 tokens that share 4");
        run
    })
}

/// The windows of each text of a split.
fn windows_of(corpus: &TokenizedCorpus, split: Split) -> BTreeMap<String, usize> {
    let rows = corpus.rows();
    let texts = corpus.texts.iter().enumerate().filter(|(_, text)| text.split == split);
    texts.map(|(at, text)| (text.id.clone(), rows.rows(at).len())).collect()
}

/// Asserts that `midashi-predict` gives the run's predictions, to a table and to single texts, explained or not.
fn assert_predicted(run: &Run, most: f64) {
    let (corpus, Predictions { categories, rows }) = (run.tokens(), run.predictions());
    let originals: BTreeMap<&str, &str> =
        corpus.texts.iter().map(|text| (text.id.as_str(), text.encoding.original.as_str())).collect();
    let artifacts = folder();
    let table = artifacts.path().join("texts.jsonl");
    let lines = rows.iter().map(|row| json!({ "text": originals[row.id.as_str()] }).to_string() + "\n");
    fs::write(&table, lines.collect::<String>()).unwrap();
    let close = |found: &Value, at: usize| {
        for (category, expected) in categories.iter().zip(&rows[at].probabilities) {
            let found = found["probabilities"][category].as_f64().unwrap();
            assert!((found - f64::from(*expected)).abs() < most, "{}: {found} {expected}", rows[at].id);
        }
    };
    let model = run.artifact("model");
    let predict = || run.stage("predict").arguments(["--model", model.to_str().unwrap()]);
    for explain in [&[][..], &["--explain", "gradient-x-input"]] {
        let options = ["--input", table.to_str().unwrap(), "--format", "jsonl", "--all"];
        let found = predict().arguments(options).arguments(explain).succeeds().stdout;
        let found: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(found.len(), rows.len());
        found.iter().enumerate().for_each(|(at, row)| close(row, at));
    }
    for at in [0, rows.len() / 2] {
        let text = originals[rows[at].id.as_str()].trim_end();
        let found = predict().arguments(["--format", "json", "--", text]).succeeds().stdout;
        let found: Value = serde_json::from_str(&found).unwrap();
        close(&found, at);
        assert_eq!(found["truncated"], false);
    }
}

#[test]
fn a_text_of_several_windows_is_one_row_of_every_artifact() {
    let run = in_windows();
    let corpus = run.tokens();
    let windows = windows_of(&corpus, Split::Test);
    assert!(windows.values().filter(|&&count| count > 1).count() > windows.len() / 2, "{windows:?}");
    let predictions = run.predictions();
    let ids: Vec<&str> = predictions.rows.iter().map(|row| row.id.as_str()).collect();
    let expected: Vec<String> = run.texts(Split::Test).into_iter().map(|text| text.id).collect();
    assert_eq!(ids, expected);
    assert_eq!(run.metrics().test_rows as usize, expected.len());
    let tokens: BTreeMap<&str, usize> =
        corpus.texts.iter().map(|text| (text.id.as_str(), text.encoding.len())).collect();
    for row in run.attention() {
        for head in &row.attention {
            assert_eq!(head.len(), tokens[row.id.as_str()]);
            assert!((head.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{}", row.id);
        }
    }
    let explanations = run.explanations().rows;
    assert!(explanations.iter().any(|row| windows[&row.id] > 1 && row.integrated_gradients.is_some()));
    for row in &explanations {
        assert_eq!(row.rollout.len(), tokens[row.id.as_str()]);
        assert!((row.rollout.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{}", row.id);
        assert!(row.layer_attention.iter().all(|layer| (layer.iter().sum::<f32>() - 1.0).abs() < 1e-5));
        assert!(row.attentions.is_none() || windows[&row.id] == 1, "{}", row.id);
    }
    assert!(run.metrics().faithfulness.is_some_and(|measured| measured.texts == 3));
}

#[test]
fn every_window_is_a_training_row_and_validation_counts_texts() {
    let run = in_windows();
    let corpus = run.tokens();
    let (training, validation) = (windows_of(&corpus, Split::Train), windows_of(&corpus, Split::Validation));
    let steps = run.training();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.split == Split::Train) {
        assert_eq!(step.batch.len() as i64, step.texts);
        for &text in &step.batch {
            *seen.entry(corpus.texts[text as usize].id.clone()).or_default() += 1;
        }
    }
    assert_eq!(seen, training);
    let validated = steps.iter().find(|step| step.split == Split::Validation).unwrap();
    assert_eq!(validated.texts as usize, validation.len());
}

#[test]
fn predictions_of_windows_are_those_of_the_evaluation() {
    assert_predicted(in_windows(), 1e-5);
}

#[test]
fn features_of_frozen_layers_are_those_of_windows() {
    let artifacts = folder();
    let run = bodies(&artifacts, "frozen")
        .checkpoint(&in_windows().artifact("model"))
        .set("train.trainable_layers=1")
        .set(SHORT)
        .set(WINDOWS);
    run.stages(&STAGES[..5]);
    assert_predicted(&run, 1e-5);
    let record: Value = serde_json::from_str(&run.text("model/midashi.json")).unwrap();
    assert_eq!((&record["long_texts"], &record["stride"]), (&json!("windows"), &json!(4)));
    // Without the cached features the same predictions are computed.
    let before = run.predictions();
    fs::remove_file(run.artifact("features.arrow")).unwrap();
    fs::remove_file(run.artifact("predictions.parquet")).unwrap();
    run.stages(&["evaluate"]).says("are gone");
    for (row, expected) in run.predictions().rows.iter().zip(&before.rows) {
        let pairs = row.probabilities.iter().zip(&expected.probabilities);
        assert!(pairs.into_iter().all(|(found, expected)| (found - expected).abs() < 1e-5), "{}", row.id);
    }
}

#[test]
fn titles_are_in_every_window_of_their_bodies() {
    let artifacts = folder();
    let run = bodies(&artifacts, "pairs").set("corpus.text=title+body tokenize.max_length=40").set(WINDOWS);
    run.stages(&STAGES[..5]);
    let corpus = run.tokens();
    let rows = corpus.rows();
    let (at, text) =
        corpus.texts.iter().enumerate().find(|(at, _)| rows.rows(*at).len() > 1).expect("a pair of windows");
    let title = text.encoding.token_type_ids.iter().filter(|&&kind| kind == 0).count();
    for window in rows.windows(at) {
        let ids = window.select(&text.encoding.input_ids);
        assert_eq!(ids[..title], text.encoding.input_ids[..title]);
        assert_eq!(ids.last(), text.encoding.input_ids.last());
    }
    assert_predicted(&run, 1e-5);
}

#[test]
fn texts_that_fit_one_window_have_the_same_results_as_without() {
    let artifacts = folder();
    let runs = ["", WINDOWS].map(|set| {
        let run = bodies(&artifacts, if set.is_empty() { "truncated" } else { "whole" }).set(set);
        run.stages(&STAGES[..5]);
        run
    });
    let [truncated, whole] = &runs;
    assert_eq!(truncated.tokens().texts, whole.tokens().texts);
    assert!(truncated.bytes("model/model.safetensors") == whole.bytes("model/model.safetensors"));
    assert_eq!(truncated.predictions(), whole.predictions());
    assert_eq!(truncated.attention(), whole.attention());
    assert_eq!(truncated.explanations(), whole.explanations());
    assert_eq!(truncated.training(), whole.training());
    assert_eq!(truncated.text("metrics.json"), whole.text("metrics.json"));
    // Nothing about windows is written where texts are truncated.
    for name in ["tokens.arrow", "model/midashi.json", "model/classifier.onnx", "run.json"] {
        let mentions =
            |run: &Run, word: &str| run.bytes(name).windows(word.len()).any(|bytes| bytes == word.as_bytes());
        assert!(!mentions(truncated, "long_texts") && mentions(whole, "long_texts"), "{name}");
    }
}

#[test]
fn a_text_of_a_hundred_thousand_characters_keeps_its_place_in_a_table() {
    let run = in_windows();
    let artifacts = folder();
    let table = artifacts.path().join("texts.jsonl");
    let long = "新しい職場に移れば、婚活は後回しになる。".repeat(5000);
    let texts = ["短い話。", &long, "", "別の短い話。"];
    let lines: Vec<String> =
        texts.iter().enumerate().map(|(at, text)| json!({"id": at, "text": text}).to_string()).collect();
    fs::write(&table, lines.join("\n")).unwrap();
    let model = run.artifact("model");
    let predict = |arguments: &[&str]| {
        let options = ["--model", model.to_str().unwrap(), "--format", "jsonl"];
        let found = run.stage("predict").arguments(options).arguments(arguments).succeeds().stdout;
        found.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let found = predict(&["--input", table.to_str().unwrap()]);
    assert_eq!(found.iter().map(|row| row["id"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(found[2]["predicted"].is_null() && found[1]["predicted"].is_string());
    for at in [0, 3] {
        let alone = predict(&["--", texts[at]]);
        let probability = |row: &Value| row["probability"].as_f64().unwrap();
        assert!((probability(&alone[0]) - probability(&found[at])).abs() < 1e-5);
    }
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    let artifacts = folder();
    let run = bodies(&artifacts, "refused");
    run.stages(&["fetch", "ingest"]);
    let tokenize = |set: &str| run.clone().set(set).stage("tokenize").ends();
    tokenize("tokenize.stride=4").refuses(["tokenize.stride is 4", "tokenize.long_texts = \"windows\""]);
    tokenize("tokenize.long_texts=windows compat.article=true")
        .refuses(["tokenize.long_texts is \"windows\" and compat.article is true"]);
    tokenize("tokenize.long_texts=windows tokenize.max_length=16 tokenize.stride=16")
        .refuses(["tokenize.stride is 16, tokenize.max_length 16"]);
    tokenize("tokenize.long_texts=windows tokenize.max_length=16 tokenize.stride=14")
        .refuses(["the stride is 14", "have room for 14"]);
    tokenize("tokenize.long_texts=pages").refuses(["tokenize.long_texts"]);
}
