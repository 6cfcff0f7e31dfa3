//! `model/`: the files of a fine-tuned model, read and written in one place.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use midashi_bert::{BertConfig, Checkpoint, Graph, Start, Storage, Weights, classifier, little_endian};
use midashi_config::Compat;
use midashi_stage::atomic;
use midashi_tokenizer::{Dictionaries, Tokenizer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, Result, TrunkRecord};

/// Category names, in the order of the logits.
const LABELS: &str = "labels.json";
/// How the model was trained ([`Training`]).
const TRAINING: &str = "midashi.json";

/// `midashi.json`: the part of the training that a classification depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Training {
    /// The frozen layers; none where all layers were trained.
    pub trunk: Option<TrunkRecord>,
    /// Written only when an option is on.
    #[serde(default, skip_serializing_if = "Compat::is_off")]
    pub compat: Compat,
}

/// An existing `model/`, of which only the small files have been read.
pub struct ModelFolder {
    path: PathBuf,
    labels: Vec<String>,
    training: Training,
    checkpoint: Checkpoint,
}

/// The contents of a new `model/`.
pub struct NewModel<'a> {
    /// The encoder's geometry.
    pub config: &'a BertConfig,
    /// Category names, in the order of the logits.
    pub labels: &'a [String],
    /// All weights, the classifier's included.
    pub weights: &'a Weights,
    /// The graph that computed loss and gradients.
    pub training_graph: &'a Graph,
    /// Whether a parameter was trained; trainable parameters are inputs of `training.onnx`.
    pub is_trainable: &'a dyn Fn(&str) -> bool,
    /// The run's `tokenizer/`, whose files are copied.
    pub tokenizer: &'a Path,
    /// The record for `midashi.json`.
    pub training: Training,
}

impl ModelFolder {
    /// Reads the small files of the folder `path`.
    ///
    /// # Errors
    /// When the folder is missing or a file in it is missing or damaged.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(
                midashi_stage::Error::MissingArtifact { path: path.to_owned(), stage: "train" }.into()
            );
        }
        Ok(Self {
            path: path.to_owned(),
            labels: read_json(&path.join(LABELS))?,
            training: read_json(&path.join(TRAINING))?,
            checkpoint: Checkpoint::open(path)?,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Category names, in the order of the logits.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The encoder's geometry.
    pub fn config(&self) -> &BertConfig {
        self.checkpoint.config()
    }

    /// How the model was trained.
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// Reads all weights.
    ///
    /// # Errors
    /// When a weight is missing or damaged.
    pub fn weights(&self) -> Result<Weights> {
        Ok(self.checkpoint.encoder_and_classifier(self.labels.len())?)
    }

    /// Loads the tokenizer; a MeCab dictionary is looked for in `dictionaries`.
    ///
    /// # Errors
    /// When its files are damaged or its dictionary is not installed.
    pub fn tokenizer(&self, dictionaries: &Dictionaries) -> Result<Tokenizer> {
        Ok(Tokenizer::load(&self.path, dictionaries, None)?)
    }
}

impl NewModel<'_> {
    /// Writes the folder `path`, which appears complete or not at all: `model.safetensors`, `config.json`, the
    /// tokenizer's files, `labels.json`, `midashi.json`, `classifier.onnx` and `training.onnx`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        atomic::write_folder(path, |folder| {
            self.weights.write(&folder.join("model.safetensors"))?;
            write_json(&folder.join("config.json"), &self.config_json()?)?;
            write_json(&folder.join(LABELS), &json!(self.labels))?;
            write_json(&folder.join(TRAINING), &to_json(&self.training)?)?;
            let whole = classifier(self.config, self.labels.len(), Start::InputIds)?;
            write_file(&folder.join("classifier.onnx"), &self.embedded(&whole, "classifier", |_| false))?;
            let training = self.embedded(self.training_graph, "training", self.is_trainable);
            write_file(&folder.join("training.onnx"), &training)?;
            copy_files(self.tokenizer, folder)
        })
    }

    /// The graph with its weights in the file, except those that are fed as inputs.
    fn embedded(&self, graph: &Graph, name: &str, is_input: impl Fn(&str) -> bool) -> Vec<u8> {
        graph.to_model(name, |parameter| match self.weights.get(parameter) {
            Some(tensor) if !is_input(parameter) => {
                Storage::Embedded(Bytes::from(little_endian(&tensor.view())))
            }
            _ => Storage::Input,
        })
    }

    /// Hugging Face's keys, with the categories as `id2label` and `label2id`.
    fn config_json(&self) -> Result<Value> {
        let mut value = to_json(self.config)?;
        let numbered = || self.labels.iter().enumerate();
        value["architectures"] = json!(["BertModel"]);
        // The weights are float32 whatever the checkpoint held. transformers 5 reads `dtype`, older versions
        // `torch_dtype`.
        value["dtype"] = json!("float32");
        value["torch_dtype"] = json!("float32");
        value["id2label"] = numbered().map(|(id, label)| (id.to_string(), json!(label))).collect();
        value["label2id"] = numbered().map(|(id, label)| (label.clone(), json!(id))).collect();
        Ok(value)
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).map_err(midashi_stage::Error::io("read", path))?;
    serde_json::from_slice(&text).map_err(|error| Error::bad_model(path, error))
}

fn to_json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::bad_model(Path::new("model"), error))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    write_file(path, format!("{value:#}\n").as_bytes())
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(fs::write(path, bytes).map_err(midashi_stage::Error::io("write", path))?)
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    let list = midashi_stage::Error::io;
    for entry in fs::read_dir(from).map_err(list("list", from))? {
        let path = entry.map_err(list("list", from))?.path();
        if let Some(name) = path.file_name() {
            fs::copy(&path, to.join(name)).map_err(list("copy", &path))?;
        }
    }
    Ok(())
}
