//! `midashi-render --text`: what it says of test texts is what `evaluate` said of them, whatever the format, and
//! nothing in a text is more than text.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::path::Path;
use std::sync::OnceLock;

use midashi_artifacts::{
    AttentionRow, Explanation, Explanations, Prediction, Predictions, TokenizedCorpus, TokenizedText,
    read_attention,
};
use midashi_tests::{Outcome, Run, STAGES};
use serde_json::Value;

const SMALL: &str = "model.scratch.layers=2 model.scratch.hidden_size=32 model.scratch.attention_heads=2 \
    model.scratch.intermediate_size=48 model.scratch.vocabulary_size=2000 train.epochs=2 \
    evaluate.baseline=false evaluate.device=cpu corpus.text=title+body tokenize.max_length=48";
const HOSTILE: &str =
    "<script>alert(1)</script>\"'&右\u{202E}左\u{2069}👨\u{200D}👩\u{1B}[31m\u{9B}2J\u{7}制御";

fn small(artifacts: &Path) -> Run {
    Run::new("data/sample.toml", artifacts, "texts").set(SMALL)
}

/// A run that reads titles with bodies, before `render`.
fn finished() -> &'static Run {
    static RUN: OnceLock<(tempfile::TempDir, Run)> = OnceLock::new();
    let (_, run) = RUN.get_or_init(|| {
        let artifacts = tempfile::tempdir().unwrap();
        let run = small(artifacts.path());
        run.stages(&STAGES[..5]);
        (artifacts, run)
    });
    run
}

/// What is written on standard output.
fn written(run: &Run, arguments: &[&str]) -> String {
    let output = run.stage_with("render", arguments, "");
    let printed = Outcome::new(&output).text;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}:\n{printed}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("device cpu, 2 threads"), "{printed}");
    String::from_utf8(output.stdout).unwrap()
}

/// All that `evaluate` said of one text.
struct Evaluated {
    text: TokenizedText,
    prediction: Prediction,
    attention: AttentionRow,
    explanation: Explanation,
}

/// The texts of which it said most, and the categories.
fn evaluated(run: &Run) -> (Vec<Evaluated>, Vec<String>) {
    let tokens = TokenizedCorpus::read(&run.artifact("tokens.arrow")).unwrap();
    let predictions = Predictions::read(&run.artifact("predictions.parquet")).unwrap();
    let attention = read_attention(&run.artifact("attention.parquet")).unwrap();
    let explanations = Explanations::read(&run.artifact("explanations.parquet")).unwrap();
    let explained = explanations.rows.into_iter().filter(|row| row.integrated_gradients.is_some());
    let texts = explained.map(|explanation| Evaluated {
        text: tokens.texts.iter().find(|row| row.id == explanation.id).unwrap().clone(),
        prediction: predictions.rows.iter().find(|row| row.id == explanation.id).unwrap().clone(),
        attention: attention.iter().find(|row| row.id == explanation.id).unwrap().clone(),
        explanation,
    });
    (texts.collect(), tokens.categories)
}

/// One document for each of `texts`.
fn documents(run: &Run, texts: &[Evaluated], arguments: &[&str]) -> Vec<Value> {
    let texts = texts.iter().flat_map(|text| ["--text", &text.text.original]);
    let arguments: Vec<&str> = texts.chain(["--format", "json"]).chain(arguments.iter().copied()).collect();
    let lines = written(run, &arguments);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers<'a>(items: &'a Value, key: &'a str) -> impl Iterator<Item = f32> + 'a {
    items.as_array().unwrap().iter().map(move |item| item[key].as_f64().unwrap() as f32)
}

#[test]
fn the_answer_is_that_of_evaluate() {
    let (texts, categories) = evaluated(finished());
    assert_eq!(texts.len(), 4);
    for (document, evaluated) in documents(finished(), &texts, &[]).iter().zip(&texts) {
        let Evaluated { text, prediction, .. } = evaluated;
        assert_eq!(document["text"], text.original.as_str());
        assert_eq!(document["category"], categories[prediction.predicted.index()].as_str());
        let probabilities = document["probabilities"].as_object().unwrap();
        assert_eq!(probabilities.keys().collect::<Vec<_>>(), categories.iter().collect::<Vec<_>>());
        for (found, &expected) in probabilities.values().zip(&prediction.probabilities) {
            assert!((found.as_f64().unwrap() as f32 - expected).abs() < 1e-6, "{found} {expected}");
        }
        let tokens = document["tokens"].as_array().unwrap();
        assert_eq!(tokens.len(), text.tokens.len());
        for (at, token) in tokens.iter().enumerate() {
            assert_eq!(token["token"], text.tokens[at].as_str());
            assert_eq!(token["word"].as_i64(), text.word_ids[at].map(i64::from));
            let (start, end) = text.original_offsets[at];
            let characters = text.word_ids[at].map(|_| vec![start, end]);
            assert_eq!(token["characters"], serde_json::to_value(characters).unwrap());
        }
        // A pair of title and body that was too long for the model: what was read of it is in its words.
        assert_eq!(document["truncated"], text.tokens.len() == 48);
        for word in document["words"].as_array().unwrap() {
            let [start, end] = [0, 1].map(|at| word["characters"][at].as_u64().unwrap() as usize);
            let characters: String = text.original.chars().skip(start).take(end - start).collect();
            assert_eq!(word["text"], characters);
        }
    }
}

#[test]
fn weights_are_those_of_evaluate_by_every_method() {
    let (texts, _) = evaluated(finished());
    let attention = |text: &Evaluated, heads: std::ops::Range<usize>| -> Vec<f32> {
        let of_token = |token: usize| heads.clone().map(|head| text.attention.attention[head][token]).sum();
        (0..text.text.tokens.len()).map(of_token).collect()
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
    for (arguments, weights) in expected {
        for (document, text) in documents(finished(), &texts, arguments).iter().zip(&texts) {
            for (found, expected) in numbers(&document["tokens"], "weight").zip(weights(text)) {
                assert!((found - expected).abs() < 1e-5, "{arguments:?}: {found} {expected}");
            }
            let words: f32 = numbers(&document["words"], "weight").sum();
            let tokens = document["tokens"].as_array().unwrap().iter();
            let tokens: f32 = tokens
                .filter(|token| !token["word"].is_null())
                .map(|token| token["weight"].as_f64().unwrap() as f32)
                .sum();
            assert!((words - tokens).abs() < 1e-4, "{arguments:?}: {words} {tokens}");
        }
    }
}

#[test]
fn standard_input_has_a_text_a_line() {
    let run = finished();
    let arguments = ["--text", "春の旅行", "--text", "-", "--format", "json"];
    let output = run.stage_with("render", &arguments, "新しい料理\n本の話\n");
    let lines = String::from_utf8(output.stdout).unwrap();
    let texts: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["text"].clone()).collect();
    assert_eq!(texts, ["春の旅行", "新しい料理", "本の話"]);
    let alone = written(run, &["--text", "本の話", "--format", "json"]);
    assert_eq!(lines.lines().last(), alone.lines().next(), "a text does not depend on its neighbours");
}

#[test]
fn every_format_holds_a_hostile_text_as_text() {
    let run = finished();
    for by in ["attention", "gradient-x-input"] {
        let written = |format: &str| written(run, &["--text", HOSTILE, "--by", by, "--format", format]);
        for format in ["html", "svg"] {
            let page = written(format);
            let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
            let document = roxmltree::Document::parse_with_options(&page, options).unwrap();
            assert!(!document.descendants().any(|node| node.has_tag_name("script")), "{format}");
            assert!(
                document.descendants().any(|node| node.text().is_some_and(|text| text.contains("<U+202E>")))
            );
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
fn escape_sequences_are_for_terminals_and_for_whoever_asks() {
    let text = ["--text", "新しい料理"];
    let run = small(finished().folder().parent().unwrap()).environment("NO_COLOR", "");
    let asked = ["--text", "新しい料理", "--format", "ansi"];
    assert!(!written(&run, &text).contains('\u{1B}'), "a pipe is no terminal");
    assert!(written(&run, &asked).contains("\u{1B}[48;5;"));
    let without = run.environment("NO_COLOR", "1");
    assert!(!written(&without, &asked).contains('\u{1B}'));
    assert_eq!(written(&without, &asked), written(finished(), &text));
}

#[test]
fn a_text_leaves_the_run_as_it_is() {
    let run = finished();
    let record = || std::fs::read(run.artifact("run.json")).unwrap();
    let before = record();
    let file = run.artifact("text.svg");
    let printed =
        written(run, &["--text", "新しい料理", "--format", "svg", "--output", file.to_str().unwrap()]);
    assert_eq!(printed, "");
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        written(run, &["--text", "新しい料理", "--format", "svg"])
    );
    std::fs::remove_file(file).unwrap();
    assert!(!run.artifact("report.html").exists());
    assert_eq!(record(), before);
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let run = finished();
    let refused = |arguments: &[&str], input: &str, parts: &[&str]| {
        Outcome::new(&run.stage_with("render", arguments, input)).refuses(parts);
    };
    refused(&["--text", ""], "", &["--text is empty"]);
    refused(&["--text", " \u{3000}"], "", &["finds no tokens", "expected a text with words"]);
    refused(&["--text", "-"], "", &["standard input is empty"]);
    refused(&["--text", "-"], "本\n\n本\n", &["standard input: line 2 is empty"]);
    refused(&["--text", "本", "--head", "2"], "", &["--head is 2", "2 heads, expected 0 to 1"]);
    refused(&["--text", "本", "--layer", "7"], "", &["--layer is 7", "2 layers, expected 0 to 1"]);
    refused(
        &["--text", "本", "--by", "rollout", "--head", "0"],
        "",
        &["--head 0", "only attention has heads"],
    );
    for option in [["--format", "svg"], ["--by", "rollout"], ["--head", "0"], ["--output", "x"]] {
        refused(&option, "", &["required arguments were not provided"]);
    }
    let empty = tempfile::tempdir().unwrap();
    Outcome::new(&small(empty.path()).stage_with("render", &["--text", "本"], ""))
        .refuses(&["model is missing", "run `make train` first"]);
}
