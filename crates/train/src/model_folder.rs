//! `model/`: everything that other tools need to use the fine-tuned model.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use midashi_bert::{BertConfig, Graph, Start, Storage, Weights, classifier, little_endian, training};
use midashi_pipeline::artifact::{Features, FeaturesKey, TokenizedCorpus};
use midashi_pipeline::{RunFolder, atomic};
use serde_json::{Value, json};

use crate::setup::Setup;

/// Writes `model.safetensors`, `config.json`, the tokenizer's files, `labels.json`,
/// `classifier.onnx`, `training.onnx` and `midashi.json`.
pub fn write(
    folder: &RunFolder,
    setup: &Setup,
    weights: &Weights,
    config: &BertConfig,
    start: Start,
    corpus: &TokenizedCorpus,
    features: Option<&(FeaturesKey, Features)>,
) -> Result<()> {
    let labels = &corpus.categories;
    atomic::write_folder(&folder.model(), |model| {
        weights.write(&model.join("model.safetensors"))?;
        write_json(&model.join("config.json"), &config_json(config, labels)?)?;
        write_json(&model.join("labels.json"), &json!(labels))?;
        write_json(&model.join("midashi.json"), &json!({ "features": features.map(|(key, _)| key) }))?;
        let whole = classifier(config, labels.len(), Start::InputIds)?;
        fs::write(model.join("classifier.onnx"), with_weights(&whole, "classifier", weights, |_| false))
            .context("cannot write classifier.onnx")?;
        let learns = |name: &str| setup.learns(config, name);
        let tail = training(config, labels.len(), start, learns)?;
        fs::write(model.join("training.onnx"), with_weights(&tail, "training", weights, learns))
            .context("cannot write training.onnx")?;
        copy_files(&folder.tokenizer(), model)
    })
}

/// The model with its weights in the file, but for those that are `fed` as inputs.
fn with_weights(graph: &Graph, name: &str, weights: &Weights, fed: impl Fn(&str) -> bool) -> Vec<u8> {
    graph.to_model(name, |parameter| match weights.get(parameter) {
        Some(tensor) if !fed(parameter) => Storage::Embedded(Bytes::from(little_endian(tensor))),
        _ => Storage::Input,
    })
}

/// Hugging Face's keys, with the categories as `id2label` and `label2id`.
fn config_json(config: &BertConfig, labels: &[String]) -> Result<Value> {
    let mut value = serde_json::to_value(config).context("cannot write config.json")?;
    let numbered = || labels.iter().enumerate();
    value["architectures"] = json!(["BertModel"]);
    // Whatever the checkpoint held, this model holds float32 (transformers 5 reads `dtype`, older
    // versions `torch_dtype`).
    value["dtype"] = json!("float32");
    value["torch_dtype"] = json!("float32");
    value["id2label"] = numbered().map(|(id, label)| (id.to_string(), json!(label))).collect();
    value["label2id"] = numbered().map(|(id, label)| (label.clone(), json!(id))).collect();
    Ok(value)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text =
        serde_json::to_string_pretty(value).with_context(|| format!("cannot write {}", path.display()))?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let path = entry.with_context(|| format!("cannot list {}", from.display()))?.path();
        if let Some(name) = path.file_name() {
            fs::copy(&path, to.join(name)).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
