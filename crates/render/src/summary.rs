//! What `run.json` says of the run: its settings in a few lines, and each stage's cost.
//!
//! Settings and details are JSON as each stage writes them, so values are named by JSON pointers,
//! and what is not there is left out.

use midashi_pipeline::artifact::{Corpus, Split, TokenizedCorpus};
use midashi_pipeline::{RunRecord, StageRecord};
use serde::Serialize;
use serde_json::Value;

/// One line of the run's summary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// For people.
    pub value: String,
}

/// What one stage took, and all that it wrote down.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageSummary {
    /// The stage's name.
    pub stage: String,
    /// Time from start to end, in seconds.
    pub wall_seconds: f64,
    /// Largest resident memory of its process, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Midashi's version.
    pub version: String,
    /// Settings and details, nested keys joined by dots.
    pub notes: Vec<Fact>,
}

/// The pipeline's stages before this one, whose own entry is still to be written.
const STAGES: [&str; 5] = ["fetch", "ingest", "tokenize", "train", "evaluate"];

/// The run in a few lines.
pub fn facts(record: &RunRecord, corpus: &Corpus, tokens: &TokenizedCorpus) -> Vec<Fact> {
    let fact = |name: &str, value: String| Some(Fact { name: name.to_owned(), value });
    let at = |name: &str, part: &Value, pointer: &str| {
        fact(name, display(part.pointer(pointer).filter(|value| says_something(value))?))
    };
    let setting = |name, stage, pointer| at(name, &record.stage(stage)?.settings, pointer);
    let detail = |name, stage, pointer| at(name, &record.stage(stage)?.details, pointer);
    [
        setting("Corpus", "fetch", "/corpus_source"),
        fact("Articles", articles(corpus)),
        setting("Text", "tokenize", "/text"),
        setting("Checkpoint", "fetch", "/checkpoint_source"),
        detail("Checkpoint revision", "fetch", "/revision"),
        fact("Tokenizer", tokens.tokenizer.clone()),
        setting("Dictionary", "tokenize", "/dictionary"),
        setting("Trainable layers", "train", "/train/trainable_layers"),
        setting("Epochs", "train", "/train/epochs"),
        setting("Batch size", "train", "/train/batch_size"),
        setting("Learning rates", "train", "/train/learning_rate"),
        setting("Seed", "train", "/train/seed"),
        setting("The article’s choices", "train", "/compat/article"),
        setting("Device", "train", "/engine/device"),
        setting("ONNX Runtime", "train", "/engine/onnxruntime"),
    ]
    .into_iter()
    .flatten()
    .collect()
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
            notes,
        }
    };
    STAGES.iter().filter_map(|stage| Some(summary(stage, record.stage(stage)?))).collect()
}

fn articles(corpus: &Corpus) -> String {
    let count = |split| corpus.articles.iter().filter(|article| article.split == split).count();
    let splits: Vec<String> = Split::ALL
        .into_iter()
        .map(|split| (split, count(split)))
        .filter(|&(_, count)| count > 0)
        .map(|(split, count)| format!("{count} {}", split.name()))
        .collect();
    format!("{} in {} categories: {}", corpus.articles.len(), corpus.categories.len(), splits.join(", "))
}

fn says_something(value: &Value) -> bool {
    !value.is_null() && value.as_str() != Some("")
}

fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(small) if small != 0.0 && small.abs() < 1e-3 => format!("{small:e}"),
            _ => number.to_string(),
        },
        Value::Array(items) => items.iter().map(display).collect::<Vec<_>>().join(", "),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| format!("{key} {}", display(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}

fn flatten(prefix: &str, value: &Value, notes: &mut Vec<Fact>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, value, notes);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (number, item) in (1..).zip(items) {
                flatten(&format!("{prefix}.{number}"), item, notes);
            }
        }
        value if says_something(value) => notes.push(Fact { name: prefix.to_owned(), value: display(value) }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_for_people() {
        assert_eq!(display(&json!({"encoder": 5e-5, "classifier": 0.001})), "encoder 5e-5, classifier 0.001");
        assert_eq!(display(&json!("all")), "all");
        assert_eq!(display(&json!([1, 2])), "1, 2");
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
