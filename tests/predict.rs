//! `midashi-predict`: predictions and weights are those of `evaluate`, in every format, and hostile texts stay text.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::ops::Range;
use std::path::Path;

use midashi_artifacts::{AttentionRow, Explanation, Prediction, TokenizedText};
use midashi_tests::{Invocation, Run, STAGES, Shared, folder};
use serde_json::Value;

const HOSTILE: &str =
    "<script>alert(1)</script>\"'&右\u{202E}左\u{2069}👨\u{200D}👩\u{1B}[31m\u{9B}2J\u{7}制御";

fn small(artifacts: impl AsRef<Path>) -> Run {
    Run::sample(artifacts, "texts")
        .small_model()
        .set("evaluate.baseline=false evaluate.device=cpu corpus.text=title+body tokenize.max_length=48")
}

/// A run that reads titles with bodies, before `render`.
fn evaluated_run() -> &'static Run {
    static RUN: Shared<Run> = Shared::new();
    RUN.get(|artifacts| {
        let run = small(artifacts);
        run.stages(&STAGES[..5]);
        run
    })
}

/// The program that shows `texts`; `-` are the lines of standard input.
fn show<'a>(run: &Run, texts: impl IntoIterator<Item = &'a str>) -> Invocation {
    run.stage("predict").arguments(texts)
}

/// Its standard output.
fn written<'a>(run: &Run, texts: impl IntoIterator<Item = &'a str>, options: &[&str]) -> String {
    let outcome = show(run, texts).arguments(options).succeeds();
    assert!(outcome.stderr.contains("device cpu, 2 threads"), "{}", outcome.printed());
    outcome.stdout
}

/// Its documents, one for each text.
fn documents<'a>(run: &Run, texts: impl IntoIterator<Item = &'a str>, options: &[&str]) -> Vec<Value> {
    let lines = written(run, texts, &[&["--format", "json"], options].concat());
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A test text in all artifacts of `evaluate`.
struct Evaluated {
    text: TokenizedText,
    prediction: Prediction,
    attention: AttentionRow,
    explanation: Explanation,
}

/// The texts that are explained by integrated gradients, and the document of each.
fn evaluated(options: &[&str]) -> Vec<(Evaluated, Value)> {
    let run = evaluated_run();
    let (tokens, predictions, attention) = (run.tokens(), run.predictions(), run.attention());
    let explained = run.explanations().rows.into_iter().filter(|row| row.integrated_gradients.is_some());
    let texts: Vec<Evaluated> = explained
        .map(|explanation| Evaluated {
            text: tokens.texts.iter().find(|row| row.id == explanation.id).unwrap().clone(),
            prediction: predictions.rows.iter().find(|row| row.id == explanation.id).unwrap().clone(),
            attention: attention.iter().find(|row| row.id == explanation.id).unwrap().clone(),
            explanation,
        })
        .collect();
    assert_eq!(texts.len(), 4);
    let documents = documents(run, texts.iter().map(|text| &*text.text.encoding.original), options);
    assert_eq!(documents.len(), 4);
    texts.into_iter().zip(documents).collect()
}

fn numbers<'a>(items: &'a Value, key: &'a str) -> impl Iterator<Item = f32> + 'a {
    items.as_array().unwrap().iter().map(move |item| item[key].as_f64().unwrap() as f32)
}

#[test]
fn the_prediction_is_that_of_evaluate() {
    let categories = evaluated_run().tokens().categories;
    for (Evaluated { text, prediction, .. }, document) in evaluated(&[]) {
        assert_eq!(document["text"], text.encoding.original.as_str());
        assert_eq!(document["category"], categories[prediction.predicted.index()].as_str());
        let probabilities = document["probabilities"].as_object().unwrap();
        assert_eq!(probabilities.keys().collect::<Vec<_>>(), categories.iter().collect::<Vec<_>>());
        for (found, &expected) in probabilities.values().zip(&prediction.probabilities) {
            assert!((found.as_f64().unwrap() as f32 - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}

#[test]
fn tokens_are_those_of_tokenize_with_their_places_in_the_text() {
    for (Evaluated { text, .. }, document) in evaluated(&[]) {
        let tokens = document["tokens"].as_array().unwrap();
        assert_eq!(tokens.len(), text.encoding.tokens.len());
        for (at, token) in tokens.iter().enumerate() {
            assert_eq!(token["token"], text.encoding.tokens[at].as_str());
            assert_eq!(token["word"].as_i64(), text.encoding.word_ids[at].map(i64::from));
            let (start, end) = text.encoding.original_offsets[at];
            let characters = text.encoding.word_ids[at].map(|_| vec![start, end]);
            assert_eq!(token["characters"], serde_json::to_value(characters).unwrap());
        }
        // A pair of title and body that is too long for the model: what was read of it is in its words.
        assert_eq!(document["truncated"], text.encoding.tokens.len() == 48);
        for word in document["words"].as_array().unwrap() {
            let [start, end] = [0, 1].map(|at| word["characters"][at].as_u64().unwrap() as usize);
            let characters: String = text.encoding.original.chars().skip(start).take(end - start).collect();
            assert_eq!(word["text"], characters);
        }
    }
}

#[test]
fn weights_are_those_of_evaluate_by_every_method() {
    let attention = |text: &Evaluated, heads: Range<usize>| -> Vec<f32> {
        let of_token = |token: usize| heads.clone().map(|head| text.attention.attention[head][token]).sum();
        (0..text.text.encoding.tokens.len()).map(of_token).collect()
    };
    type Weights<'a> = &'a dyn Fn(&Evaluated) -> Vec<f32>;
    let expected: [(&[&str], Weights<'_>); 6] = [
        (&[], &|text| attention(text, 0..2)),
        (&["--head", "1"], &|text| attention(text, 1..2)),
        (&["--layer", "0"], &|text| {
            text.explanation.layer_attention[0].iter().map(|mean| 2.0 * mean).collect()
        }),
        (&["--by", "rollout"], &|text| text.explanation.rollout.clone()),
        (&["--by", "gradient-x-input"], &|text| text.explanation.gradient_x_input.clone()),
        (&["--by", "integrated-gradients"], &|text| text.explanation.integrated_gradients.clone().unwrap()),
    ];
    for (options, weights) in expected {
        for (text, document) in evaluated(options) {
            for (found, expected) in numbers(&document["tokens"], "weight").zip(weights(&text)) {
                assert!((found - expected).abs() < 1e-5, "{options:?}: {found} {expected}");
            }
            let words: f32 = numbers(&document["words"], "weight").sum();
            let tokens = document["tokens"].as_array().unwrap().iter();
            let tokens: f32 = tokens
                .filter(|token| !token["word"].is_null())
                .map(|token| token["weight"].as_f64().unwrap() as f32)
                .sum();
            assert!((words - tokens).abs() < 1e-4, "{options:?}: {words} {tokens}");
        }
    }
}

#[test]
fn standard_input_has_a_text_a_line() {
    let run = evaluated_run();
    let invocation = show(run, ["春の旅行", "-"]).arguments(["--format", "json"]);
    let lines = invocation.input("新しい料理\n本の話\n").succeeds().stdout;
    let texts: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["text"].clone()).collect();
    assert_eq!(texts, ["春の旅行", "新しい料理", "本の話"]);
    let without_argument =
        show(run, []).arguments(["--format", "json"]).input("新しい料理\n本の話\n").succeeds();
    assert!(lines.ends_with(&without_argument.stdout), "standard input is the default");
    let alone = written(run, ["本の話"], &["--format", "json"]);
    assert_eq!(lines.lines().last(), alone.lines().next(), "a text does not depend on its neighbours");
}

#[test]
fn every_format_holds_a_hostile_text_as_text() {
    for by in ["attention", "gradient-x-input"] {
        let written = |format| written(evaluated_run(), [HOSTILE], &["--by", by, "--format", format]);
        for format in ["html", "svg"] {
            let page = written(format);
            let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
            let document = roxmltree::Document::parse_with_options(&page, options).unwrap();
            assert!(!document.descendants().any(|node| node.has_tag_name("script")), "{format}");
            let shown =
                |node: roxmltree::Node<'_, '_>| node.text().is_some_and(|text| text.contains("<U+202E>"));
            assert!(document.descendants().any(shown), "{format}");
        }
        assert!(written("html").contains("default-src 'none'; style-src 'sha256-"));
        let json: Value = serde_json::from_str(&written("json")).unwrap();
        assert_eq!(json["text"], HOSTILE);
        for page in ["html", "svg", "json", "ansi"].map(written) {
            for raw in ["\u{202E}", "\u{2069}", "\u{200D}", "\u{1B}[31m", "\u{9B}", "\u{7}"] {
                assert!(!page.contains(raw), "{raw:?} is in\n{page}");
            }
        }
    }
}

#[test]
fn escape_sequences_are_for_terminals_and_on_request() {
    let run = evaluated_run().clone().environment("NO_COLOR", "");
    let ansi = ["--format", "ansi"];
    assert!(!written(&run, ["新しい料理"], &[]).contains('\u{1B}'), "a pipe is no terminal");
    assert!(written(&run, ["新しい料理"], &ansi).contains("\u{1B}[48;5;"));
    let without = run.environment("NO_COLOR", "1");
    assert!(!written(&without, ["新しい料理"], &ansi).contains('\u{1B}'));
    assert_eq!(written(&without, ["新しい料理"], &ansi), written(evaluated_run(), ["新しい料理"], &[]));
}

#[test]
fn a_file_takes_what_standard_output_would() {
    let (run, folder) = (evaluated_run(), folder());
    let file = folder.path().join("text.svg");
    let to_file = ["--format", "svg", "--output", file.to_str().unwrap()];
    assert_eq!(written(run, ["新しい料理"], &to_file), "");
    let expected = written(run, ["新しい料理"], &["--format", "svg"]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), expected);
}

#[test]
fn the_run_stays_as_it_is() {
    let run = evaluated_run();
    let before = run.bytes("run.json");
    written(run, ["新しい料理"], &["--format", "svg"]);
    assert!(!run.artifact("report.html").exists());
    assert_eq!(run.bytes("run.json"), before);
}

#[test]
fn a_text_without_words_is_shown_without_a_category() {
    let run = evaluated_run();
    let shown = documents(run, ["本", "", " \u{3000}", "本"], &[]);
    let categories: Vec<bool> = shown.iter().map(|document| document["category"].is_null()).collect();
    assert_eq!(categories, [false, true, true, false]);
    assert_eq!(
        (&shown[2]["text"], &shown[2]["words"]),
        (&Value::from(" \u{3000}"), &Value::Array(Vec::new()))
    );
    assert_eq!(shown[0], shown[3]);
    let lines = show(run, []).input("本\n\n本\n").succeeds().stdout;
    assert_eq!(lines.matches("has no words").count(), 1, "{lines}");
    for format in ["html", "svg"] {
        let page = written(run, ["", "本"], &["--format", format]);
        assert_eq!(page.matches("has no words").count(), if format == "svg" { 2 } else { 1 }, "{page}");
    }
    show(run, []).input("").succeeds().says("0 texts");
}

#[test]
fn the_former_name_of_explain_still_works() {
    let explained = |option| documents(evaluated_run(), ["本の話"], &[option, "rollout"]);
    assert_eq!(explained("--by"), explained("--explain"));
}

#[test]
fn options_of_tables_are_refused_where_texts_are_shown() {
    let shown = |options: &[&str]| show(evaluated_run(), ["本"]).arguments(options);
    shown(&["--threshold", "0.5"]).fails_with(["--threshold is for tables", "--format csv"]);
    shown(&["--top", "2"]).fails_with(["--top is for tables"]);
    shown(&["--shard", "1/2"]).fails_with(["--shard is for tables"]);
    shown(&["--precision", "int8"]).fails_with(["--precision int8", "float32 model"]);
}

#[test]
fn an_option_that_does_not_fit_is_refused() {
    let shown = |options: &[&str]| show(evaluated_run(), ["本"]).arguments(options);
    shown(&["--head", "2"]).fails_with(["--head is 2", "2 heads, expected 0 to 1"]);
    shown(&["--layer", "7"]).fails_with(["--layer is 7", "2 layers, expected 0 to 1"]);
    shown(&["--by", "rollout", "--head", "0"]).fails_with(["--head 0", "only attention has heads"]);
}

#[test]
fn a_run_without_a_model_is_refused() {
    show(&small(folder()), ["本"]).fails_with(["model is missing", "run `make train` first"]);
}
