//! What `run.json` says of the run: its settings in a few lines, and each stage's cost.
//!
//! Settings and details are JSON as each stage writes them, so values are named by JSON pointers,
//! and what is not there is left out.

use midashi_artifacts::{Corpus, Split, TokenizedCorpus};
use midashi_stage::{FileDigest, RunRecord, StageRecord};
use serde::Serialize;
use serde_json::Value;

/// Everything needed to repeat the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Articles in the corpus.
    pub articles: usize,
    /// Their categories.
    pub categories: usize,
    /// How many articles each split that has any has, by its name.
    pub splits: Vec<(&'static str, usize)>,
    /// What was chosen, and what it was done with; `name` is a key of `strings.json` after `fact.`.
    pub facts: Vec<Fact>,
    /// As TOML, the keys that differ from their defaults.
    pub configuration: String,
    /// Each stage's cost and records.
    pub stages: Vec<StageSummary>,
}

/// A name and a value.
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
    /// What it read, with SHA-256.
    pub inputs: Vec<FileDigest>,
    /// What it wrote, with SHA-256.
    pub outputs: Vec<FileDigest>,
    /// Settings and details, nested keys joined by dots.
    pub notes: Vec<Fact>,
}

/// The pipeline's stages before this one, whose own entry is still to be written.
const STAGES: [&str; 5] = ["fetch", "ingest", "tokenize", "train", "evaluate"];

impl Summary {
    /// `configuration` as TOML.
    pub fn of(record: &RunRecord, corpus: &Corpus, tokens: &TokenizedCorpus, configuration: &str) -> Self {
        let count = |split| corpus.articles.iter().filter(|article| article.split == split).count();
        let splits = Split::ALL.map(|split| (split.name(), count(split)));
        Self {
            articles: corpus.articles.len(),
            categories: corpus.categories.len(),
            splits: splits.into_iter().filter(|&(_, articles)| articles > 0).collect(),
            facts: facts(record, tokens),
            configuration: configuration.to_owned(),
            stages: stages(record),
        }
    }
}

/// The run in a few lines.
fn facts(record: &RunRecord, tokens: &TokenizedCorpus) -> Vec<Fact> {
    let fact = |name: &str, value: String| Some(Fact { name: name.to_owned(), value });
    let at = |name: &str, part: &Value, pointer: &str| {
        fact(name, display(part.pointer(pointer).filter(|value| says_something(value))?))
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
        setting("dictionary", "tokenize", "/dictionary"),
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
