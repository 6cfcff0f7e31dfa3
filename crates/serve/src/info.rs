//! What the server says of itself, with the fields of text-embeddings-inference.

use std::collections::BTreeMap;
use std::path::Path;

use midashi_classifier::{ModelFolder, Reading};
use midashi_config::{LongTexts, TextChoice};
use midashi_runtime::Engine;
use serde::Serialize;

use crate::limits::Limits;
use crate::precision::Precision;

/// The answer of `GET /info`.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// The model's folder, as it was given.
    pub model_id: String,
    /// Always null: a folder has no revision.
    pub model_sha: Option<String>,
    /// The precision of predictions: `float32` or `int8`.
    pub model_dtype: String,
    /// The categories.
    pub model_type: ModelType,
    /// Most texts that wait.
    pub max_concurrent_requests: usize,
    /// Longest text in tokens, or longest window.
    pub max_input_length: usize,
    /// Most tokens of a batch.
    pub max_batch_tokens: usize,
    /// Always null: only tokens limit a batch.
    pub max_batch_requests: Option<usize>,
    /// Most texts of a request.
    pub max_client_batch_size: usize,
    /// Whether texts are truncated unless a request says otherwise.
    pub auto_truncate: bool,
    /// Threads that tokenise.
    pub tokenization_workers: usize,
    /// Midashi's version.
    pub version: &'static str,
    /// Always null.
    pub sha: Option<String>,
    /// Always null.
    pub docker_label: Option<String>,
    /// What text-embeddings-inference has no field for.
    pub midashi: Details,
}

/// The model's kind, which is always a classifier.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelType {
    /// Categories by their numbers, and numbers by their categories.
    Classifier {
        /// By number.
        id2label: BTreeMap<String, String>,
        /// By category.
        label2id: BTreeMap<String, usize>,
    },
}

/// What text-embeddings-inference has no field for.
#[derive(Clone, Debug, Serialize)]
pub struct Details {
    /// Device and threads.
    pub engine: String,
    /// The device: `cpu` or `cuda`.
    pub device: String,
    /// The tokenizer.
    pub tokenizer: String,
    /// The part of an article that the model was trained on; with `title+body`, a text's first line is the title.
    pub text: TextChoice,
    /// How texts of more than `max_input_length` tokens are read: `truncate`, if a request or the server asks for it, or
    /// `windows`, always.
    pub long_texts: LongTexts,
    /// Tokens that windows share.
    pub stride: usize,
    /// The model's layers.
    pub layers: usize,
    /// The attention heads of a layer.
    pub heads: usize,
    /// Whether words can be masked: whether the tokenizer has a mask or an unknown token.
    pub masks: bool,
    /// Longest text in characters.
    pub max_characters: usize,
}

impl Info {
    /// What is known of `model`, of which `folder` is the path as it was given.
    pub fn new(
        folder: &Path,
        model: &ModelFolder,
        reading: &Reading,
        engine: &Engine,
        precision: Precision,
        limits: &Limits,
    ) -> Self {
        let numbered = || model.labels().iter().enumerate();
        Self {
            model_id: folder.display().to_string(),
            model_sha: None,
            model_dtype: precision.to_string(),
            model_type: ModelType::Classifier {
                id2label: numbered().map(|(id, label)| (id.to_string(), label.clone())).collect(),
                label2id: numbered().map(|(id, label)| (label.clone(), id)).collect(),
            },
            max_concurrent_requests: limits.max_queue,
            max_input_length: reading.max_length(),
            max_batch_tokens: limits.max_batch_tokens,
            max_batch_requests: None,
            max_client_batch_size: limits.max_texts,
            auto_truncate: limits.auto_truncate,
            tokenization_workers: std::thread::available_parallelism().map_or(1, |count| count.get()),
            version: env!("CARGO_PKG_VERSION"),
            sha: None,
            docker_label: None,
            midashi: Details {
                engine: engine.to_string(),
                device: engine.device().to_string(),
                tokenizer: reading.describe(),
                text: reading.text(),
                long_texts: reading.length().windowing().map_or(LongTexts::Truncate, |_| LongTexts::Windows),
                stride: reading.length().windowing().map_or(0, |windowing| windowing.stride),
                layers: model.config().num_hidden_layers,
                heads: model.config().num_attention_heads,
                masks: reading.mask_id().is_some(),
                max_characters: limits.max_characters,
            },
        }
    }
}
