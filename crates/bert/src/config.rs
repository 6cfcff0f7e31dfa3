//! `config.json` of a checkpoint, in Hugging Face's keys.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The geometry of a BERT encoder (Devlin et al. 2019, section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BertConfig {
    /// `bert`; other architectures are refused by name.
    pub model_type: String,
    /// Number of ids, the rows of the word embeddings.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Number of Transformer layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Activation between the feed-forward layers.
    #[serde(default)]
    pub hidden_act: Activation,
    /// Longest input in tokens.
    pub max_position_embeddings: usize,
    /// Rows of the token type embeddings; only row 0 is used.
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    /// Added to the variance in layer normalisation.
    #[serde(default = "default_epsilon")]
    pub layer_norm_eps: f64,
    /// Standard deviation of weights that are made and not loaded.
    #[serde(default = "default_range")]
    pub initializer_range: f64,
    /// Id that fills up shorter texts in a batch.
    #[serde(default)]
    pub pad_token_id: i64,
    /// How positions are encoded; only `absolute` is known.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
    /// Keys that the encoder does not need, kept for those who read the written model.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// `hidden_act`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x·Φ(x)`
    #[default]
    Gelu,
    /// The tanh approximation of GELU.
    GeluNew,
    /// `max(x, 0)`
    Relu,
}

fn two() -> usize {
    2
}

fn default_epsilon() -> f64 {
    1e-12
}

fn default_range() -> f64 {
    0.02
}

fn absolute() -> String {
    "absolute".to_owned()
}

impl BertConfig {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// When the file is missing, or describes something that is not BERT.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).map_err(Error::io("read", path))?;
        let wrong = |message: String| Error::Config { path: path.to_owned(), message };
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        // Looked at first: another architecture lacks BERT's keys, and its name is the better message.
        match value.get("model_type").and_then(|name| name.as_str()) {
            Some("bert") => {}
            Some(other) => return Err(wrong(format!("model_type is {other:?}; expected \"bert\""))),
            None => return Err(wrong("there is no model_type; expected \"bert\"".to_owned())),
        }
        let config: Self = serde_json::from_value(value).map_err(|e| wrong(e.to_string()))?;
        config.check().map_err(wrong)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let positive = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{key} is 0; expected at least 1"));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        if usize::try_from(self.pad_token_id).is_ok_and(|id| id >= self.vocab_size) || self.pad_token_id < 0 {
            return Err(format!(
                "pad_token_id is {}; expected an id below {}",
                self.pad_token_id, self.vocab_size
            ));
        }
        if self.position_embedding_type != "absolute" {
            return Err(format!(
                "position_embedding_type is {:?}; only \"absolute\" is known",
                self.position_embedding_type
            ));
        }
        Ok(())
    }

    /// Width of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Names and shapes of all tensors the encoder uses, with Hugging Face's names and the prefix
    /// `bert.`, embeddings first, then layer by layer.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let hidden = self.hidden_size;
        let mut tensors = vec![
            ("bert.embeddings.word_embeddings.weight".to_owned(), vec![self.vocab_size, hidden]),
            (
                "bert.embeddings.position_embeddings.weight".to_owned(),
                vec![self.max_position_embeddings, hidden],
            ),
            ("bert.embeddings.token_type_embeddings.weight".to_owned(), vec![self.type_vocab_size, hidden]),
        ];
        let mut pair = |name: &str, weight: Vec<usize>, bias: usize| {
            tensors.push((format!("{name}.weight"), weight));
            tensors.push((format!("{name}.bias"), vec![bias]));
        };
        pair("bert.embeddings.LayerNorm", vec![hidden], hidden);
        let wide = self.intermediate_size;
        for layer in 0..self.num_hidden_layers {
            let layer = layer_name(layer);
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                pair(&format!("{layer}.attention.{part}"), vec![hidden, hidden], hidden);
            }
            pair(&format!("{layer}.attention.output.LayerNorm"), vec![hidden], hidden);
            pair(&format!("{layer}.intermediate.dense"), vec![wide, hidden], wide);
            pair(&format!("{layer}.output.dense"), vec![hidden, wide], hidden);
            pair(&format!("{layer}.output.LayerNorm"), vec![hidden], hidden);
        }
        tensors
    }
}

/// `bert.encoder.layer.7`
pub(crate) fn layer_name(layer: usize) -> String {
    format!("bert.encoder.layer.{layer}")
}
