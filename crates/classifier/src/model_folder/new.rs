//! A new `model/`.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use midashi_config::TextChoice;
use midashi_encoder::{EncoderConfig, Graph, Head, Storage, Weights, exported_classifier, little_endian};
use midashi_stage::atomic;

use midashi_tokenizer::write_for_transformers;

use super::config_json::ConfigJson;
use super::files::{LABELS, TRAINING, write_file, write_json};
use super::metadata::metadata;
use super::training::{Training, encoder_head};
use crate::Result;

/// The contents of a new `model/`.
pub struct NewModel<'a> {
    /// The encoder's geometry.
    pub config: &'a EncoderConfig,
    /// Category names, in the order of the logits.
    pub labels: &'a [String],
    /// All weights, the head's included.
    pub weights: &'a Weights,
    /// Dropout before the classifier, with which the model was trained.
    pub classifier_dropout: f64,
    /// The graph that computed loss and gradients.
    pub training_graph: &'a Graph,
    /// Whether a parameter was trained; trainable parameters are inputs of `training.onnx`.
    pub is_trainable: &'a dyn Fn(&str) -> bool,
    /// The run's `tokenizer/`, whose files are written as transformers writes them.
    pub tokenizer: &'a Path,
    /// The model card, `README.md`.
    pub card: &'a str,
    /// The record for `midashi.json`.
    pub training: Training,
}

impl NewModel<'_> {
    /// Writes the folder `path`, which appears complete or not at all: `model.safetensors` and `config.json` as
    /// transformers' class for sequence classification of the architecture reads them, the tokenizer's files as `AutoTokenizer` does,
    /// `labels.json`, `midashi.json`, `README.md`, `classifier.onnx` (also as `onnx/model.onnx`) and `training.onnx`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        atomic::write_folder(path, |folder| {
            let head = self.head().to_native(self.config, self.weights)?;
            self.weights.write_model(self.config, &head, &folder.join("model.safetensors"))?;
            let config = ConfigJson::new(self.config, self.head(), self.labels, self.classifier_dropout);
            write_json(&folder.join("config.json"), &config)?;
            write_json(&folder.join(LABELS), &self.labels)?;
            write_json(&folder.join(TRAINING), &self.training)?;
            write_file(&folder.join("README.md"), self.card.as_bytes())?;
            let (length, padding) = (self.training.max_length, self.config.pad_token_id);
            write_for_transformers(self.tokenizer, folder, length, padding)?;
            self.write_classifier(folder)?;
            let training = self.embedded(self.training_graph, "training", self.is_trainable, &[]);
            write_file(&folder.join("training.onnx"), &training)
        })
    }

    fn head(&self) -> Head {
        encoder_head(self.training.head, self.training.pooling, self.labels.len())
    }

    /// Writes `classifier.onnx`, and the same file as `onnx/model.onnx`, where optimum and transformers.js look for it.
    fn write_classifier(&self, folder: &Path) -> Result<()> {
        let pairs = self.training.text == TextChoice::TitleAndBody;
        let graph = exported_classifier(self.config, self.head(), pairs)?;
        let metadata = metadata(folder, self.labels, &self.training)?;
        let (path, again) = (folder.join("classifier.onnx"), folder.join("onnx/model.onnx"));
        write_file(&path, &self.embedded(&graph, "classifier", |_| false, &metadata))?;
        let failed = midashi_stage::Error::io;
        fs::create_dir(folder.join("onnx")).map_err(failed("create", &again))?;
        // Some file systems have no hard links.
        fs::hard_link(&path, &again)
            .or_else(|_| fs::copy(&path, &again).map(drop))
            .map_err(failed("write", &again))?;
        Ok(())
    }

    /// The graph with its weights in the file, except those that are fed as inputs.
    fn embedded(
        &self,
        graph: &Graph,
        name: &str,
        is_input: impl Fn(&str) -> bool,
        metadata: &[(&str, String)],
    ) -> Vec<u8> {
        let storage = |parameter: &str| match self.weights.get(parameter) {
            Some(tensor) if !is_input(parameter) => {
                Storage::Embedded(Bytes::from(little_endian(&tensor.view())))
            }
            _ => Storage::Input,
        };
        graph.to_model_with(name, storage, metadata)
    }
}
