//! The run: its settings, its configuration, and the time and memory of each stage.
//!
//! Settings and details in `run.json` are JSON that each stage defines, so values are found by JSON pointers, and
//! missing values are left out.

use midashi_artifacts::{Split, TokenizedCorpus};
use midashi_stage::{FileDigest, RunRecord, StageRecord};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;
use serde_json::Value as Json;

use crate::artifacts::Artifacts;
use midashi_page::{Strings, grouped};

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact {
    /// The name.
    pub name: String,
    /// The value as text.
    pub value: String,
}

/// The record of one stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageSummary {
    /// The stage's name.
    pub stage: String,
    /// Wall time in seconds.
    pub wall_seconds: f64,
    /// Peak resident memory of the process in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Midashi's version.
    pub version: String,
    /// Input files with their SHA-256.
    pub inputs: Vec<FileDigest>,
    /// Output files with their SHA-256.
    pub outputs: Vec<FileDigest>,
    /// Settings and details, nested keys joined by dots.
    pub notes: Vec<Fact>,
}

/// The stages before this one, whose own entry is not yet written.
const STAGES: [&str; 5] = ["fetch", "ingest", "tokenize", "train", "evaluate"];

/// Everything that is needed to repeat the run.
pub fn section(artifacts: &Artifacts, _: &Strings) -> anyhow::Result<Option<Value>> {
    let Artifacts { record, corpus, tokens, configuration, .. } = artifacts;
    let count = |split| corpus.articles.iter().filter(|article| article.split == split).count();
    let splits = Split::ALL.map(|split| (split.name(), count(split))).into_iter();
    Ok(Some(context! {
        articles => corpus.articles.len(),
        categories => corpus.categories.len(),
        splits => Serde(splits.filter(|&(_, articles)| articles > 0).collect::<Vec<_>>()),
        facts => Serde(facts(record, tokens)),
        configuration,
        stages => Serde(stages(record)),
    }))
}

/// The most important settings; the string `fact.<name>` is the label.
fn facts(record: &RunRecord, tokens: &TokenizedCorpus) -> Vec<Fact> {
    let fact = |name: &str, value: String| Some(Fact { name: name.to_owned(), value });
    let at = |name: &str, part: &Json, pointer: &str| {
        fact(name, display(part.pointer(pointer).filter(|value| has_content(value))?))
    };
    let setting = |name, stage, pointer| at(name, &record.stage(stage)?.settings, pointer);
    let detail = |name, stage, pointer| at(name, &record.stage(stage)?.details, pointer);
    [
        setting("corpus", "fetch", "/corpus_source"),
        setting("split_seed", "ingest", "/split/seed"),
        setting("text", "tokenize", "/text"),
        setting("checkpoint", "fetch", "/checkpoint_source"),
        detail("revision", "fetch", "/revision"),
        fact("tokenizer", tokens.tokenizer.clone()),
        trimmed(record).and_then(|trimmed| fact("trimmed", trimmed)),
        setting("dictionary", "tokenize", "/dictionary"),
        setting("head", "train", "/train/head"),
        setting("trainable_layers", "train", "/train/trainable_layers"),
        setting("epochs", "train", "/train/epochs"),
        setting("batch_size", "train", "/train/batch_size"),
        setting("learning_rates", "train", "/train/learning_rate"),
        setting("seed", "train", "/train/seed"),
        setting("article", "train", "/compat/article"),
        setting("device", "train", "/engine/device"),
        setting("threads", "train", "/engine/threads"),
        setting("onnxruntime", "train", "/engine/onnxruntime"),
        record.stage("train").and_then(|train| fact("midashi", train.version)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How much smaller a trimmed vocabulary made the encoder: pieces, and the size of the weights in float32.
fn trimmed(record: &RunRecord) -> Option<String> {
    const MEGABYTE: f64 = 1e6;
    let details = record.stage("tokenize")?.details;
    let number = |key: &str| details.pointer(&format!("/trimmed/{key}"))?.as_u64();
    let size = |key: &str| Some(number(key)? as f64 * size_of::<f32>() as f64 / MEGABYTE);
    Some(format!(
        "{} → {} ({:.0} → {:.0} MB)",
        grouped(number("pieces_before")?),
        grouped(number("pieces")?),
        size("parameters_before")?,
        size("parameters")?
    ))
}

/// Each stage that has an entry in `run.json`, in the order of the pipeline.
pub fn stages(record: &RunRecord) -> Vec<StageSummary> {
    let summary = |stage: &str, record: StageRecord| {
        let mut notes = Vec::new();
        flatten("", &record.settings, &mut notes);
        flatten("", &record.details, &mut notes);
        StageSummary {
            stage: stage.to_owned(),
            wall_seconds: record.wall_seconds,
            peak_memory_bytes: record.peak_memory_bytes,
            version: record.version,
            inputs: record.inputs,
            outputs: record.outputs,
            notes,
        }
    };
    STAGES.iter().filter_map(|stage| Some(summary(stage, record.stage(stage)?))).collect()
}

fn has_content(value: &Json) -> bool {
    !value.is_null() && value.as_str() != Some("")
}

fn display(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => match number.as_f64() {
            Some(small) if small != 0.0 && small.abs() < 1e-3 => format!("{small:e}"),
            _ => number.to_string(),
        },
        Json::Array(items) => items.iter().map(display).collect::<Vec<_>>().join(", "),
        Json::Object(entries) => entries
            .iter()
            .map(|(key, value)| format!("{key} {}", display(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}

fn flatten(prefix: &str, value: &Json, notes: &mut Vec<Fact>) {
    match value {
        Json::Object(entries) => {
            for (key, value) in entries {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, value, notes);
            }
        }
        Json::Array(items) if items.iter().any(Json::is_object) => {
            for (number, item) in (1..).zip(items) {
                flatten(&format!("{prefix}.{number}"), item, notes);
            }
        }
        value if has_content(value) => notes.push(Fact { name: prefix.to_owned(), value: display(value) }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_readable() {
        assert_eq!(display(&json!({"encoder": 5e-5, "classifier": 0.001})), "encoder 5e-5, classifier 0.001");
        assert_eq!(display(&json!("all")), "all");
        assert_eq!(display(&json!([1, 2])), "1, 2");
    }

    #[test]
    fn a_trimmed_vocabulary_says_what_it_saved() {
        let tokenize = |details: Json| {
            let mut record = RunRecord::default();
            let stage = StageRecord {
                version: String::new(),
                settings: json!({}),
                inputs: vec![],
                outputs: vec![],
                wall_seconds: 1.0,
                peak_memory_bytes: None,
                details,
            };
            record.insert("tokenize", serde_json::to_value(stage).unwrap());
            trimmed(&record)
        };
        let details = json!({"trimmed": {
            "pieces_before": 250_037, "pieces": 104_500, "parameters_before": 117_000_000, "parameters": 61_000_000
        }});
        assert_eq!(tokenize(details).unwrap(), "250,037 → 104,500 (468 → 244 MB)");
        assert_eq!(tokenize(json!({})), None);
    }

    #[test]
    fn notes_have_dotted_names() {
        let mut notes = Vec::new();
        flatten(
            "",
            &json!({"split": {"test": 0.2, "seed": null}, "epochs": [{"loss": 3}], "rows": [1, 2]}),
            &mut notes,
        );
        let notes: Vec<_> = notes.iter().map(|note| (note.name.as_str(), note.value.as_str())).collect();
        assert_eq!(notes, [("split.test", "0.2"), ("epochs.1.loss", "3"), ("rows", "1, 2")]);
    }
}
