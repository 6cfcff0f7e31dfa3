//! `model/`: everything that other tools need to use the fine-tuned model.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use midashi_bert::{Graph, Start, Storage, Weights, little_endian};
use midashi_config::Compat;
use midashi_stage::{RunFolder, atomic};
use midashi_trunk::TrunkRecord;
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::Model;
use crate::texts::Texts;

/// `midashi.json`: what `evaluate` has to know of the training.
#[derive(Serialize)]
struct Origin<'a> {
    trunk: Option<&'a TrunkRecord>,
    #[serde(skip_serializing_if = "Compat::is_off")]
    compat: Compat,
}

/// Writes `model.safetensors`, `config.json`, the tokenizer's files, `labels.json`,
/// `classifier.onnx`, `training.onnx` and `midashi.json`.
pub fn write(
    folder: &RunFolder,
    model: &Model,
    weights: &Weights,
    texts: &Texts<'_>,
    compat: Compat,
) -> Result<()> {
    let origin = Origin { trunk: texts.trunk.as_ref().map(|(record, _)| record), compat };
    let origin = serde_json::to_value(origin).context("cannot write midashi.json")?;
    atomic::write_folder(&folder.model(), |path| {
        weights.write(&path.join("model.safetensors"))?;
        write_json(&path.join("config.json"), &config_json(model)?)?;
        write_json(&path.join("labels.json"), &json!(model.labels))?;
        write_json(&path.join("midashi.json"), &origin)?;
        let whole = model.classifier(Start::InputIds)?;
        fs::write(path.join("classifier.onnx"), with_weights(&whole, "classifier", weights, |_| false))
            .context("cannot write classifier.onnx")?;
        let tail = model.training()?;
        let learns = |name: &str| model.learns(name);
        fs::write(path.join("training.onnx"), with_weights(&tail, "training", weights, learns))
            .context("cannot write training.onnx")?;
        copy_files(&folder.tokenizer(), path)
    })
}

/// The model with its weights in the file, but for those that are `fed` as inputs.
fn with_weights(graph: &Graph, name: &str, weights: &Weights, fed: impl Fn(&str) -> bool) -> Vec<u8> {
    graph.to_model(name, |parameter| match weights.get(parameter) {
        Some(tensor) if !fed(parameter) => Storage::Embedded(Bytes::from(little_endian(&tensor.view()))),
        _ => Storage::Input,
    })
}

/// Hugging Face's keys, with the categories as `id2label` and `label2id`.
fn config_json(model: &Model) -> Result<Value> {
    let mut value = serde_json::to_value(&model.config).context("cannot write config.json")?;
    let numbered = || model.labels.iter().enumerate();
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
