//! `config.json` of a checkpoint, in Hugging Face's keys.

use serde::{Deserialize, Serialize};

/// Twenty times the deepest published encoder. A greater number is damage, and every layer costs memory
/// before its first tensor is found missing.
const MAX_LAYERS: usize = 1024;

/// The geometry of a BERT encoder (Devlin et al. 2019, section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// Always `bert`: the keys of other architectures are renamed when they are read.
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
    /// Rows of the token type embeddings: how many texts one input can tell apart.
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    /// Added to the variance in layer normalisation.
    #[serde(default = "default_epsilon")]
    pub layer_norm_eps: f64,
    /// Standard deviation of randomly initialised weights.
    #[serde(default = "default_range")]
    pub initializer_range: f64,
    /// Id that pads shorter texts in a batch.
    #[serde(default)]
    pub pad_token_id: i64,
    /// How positions are encoded; only `absolute` is supported.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
    /// Keys that the encoder does not need; they are written with the model for other readers.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// `hidden_act`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "String")]
pub enum Activation {
    /// `x·Φ(x)`
    #[default]
    Gelu,
    /// The tanh approximation of GELU.
    GeluNew,
    /// `max(x, 0)`
    Relu,
}

impl TryFrom<String> for Activation {
    type Error = String;

    /// transformers has several names for one formula (`ACT2FN` in its `activations.py`).
    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "gelu" | "gelu_python" => Ok(Self::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_accurate" | "gelu_pytorch_tanh" | "gelu_python_tanh" => {
                Ok(Self::GeluNew)
            }
            "relu" => Ok(Self::Relu),
            _ => Err(format!(
                "hidden_act is {name:?}; expected gelu, gelu_new or relu, or another of their names"
            )),
        }
    }
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

impl EncoderConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
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
        if self.num_hidden_layers > MAX_LAYERS {
            return Err(format!(
                "num_hidden_layers is {}; expected at most {MAX_LAYERS}",
                self.num_hidden_layers
            ));
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
                "position_embedding_type is {:?}; only \"absolute\" is supported",
                self.position_embedding_type
            ));
        }
        if self.other.get("is_decoder") == Some(&true.into()) {
            return Err("is_decoder is true; expected an encoder, which reads in both directions".to_owned());
        }
        Ok(())
    }

    /// Longest input in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.max_position_embeddings
    }

    /// Width of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Whether the tensor `name` is trainable when the last `layers` layers are; with `None` all layers and
    /// the embeddings are. The head, that is pooler and classifier, always is.
    pub fn is_trainable(&self, name: &str, layers: Option<usize>) -> bool {
        let (Some(layers), Some(name)) = (layers, name.strip_prefix("bert.")) else { return true };
        if name.starts_with("pooler.") {
            return true;
        }
        let layer = name.strip_prefix("encoder.layer.").and_then(|rest| rest.split('.').next()?.parse().ok());
        layer.is_some_and(|layer: usize| layer >= self.num_hidden_layers.saturating_sub(layers))
    }

    /// Names and shapes of the pooler's tensors, which a checkpoint may lack.
    pub fn pooler_tensors(&self) -> [(String, Vec<usize>); 2] {
        let hidden = self.hidden_size;
        [(format!("{POOLER}.weight"), vec![hidden, hidden]), (format!("{POOLER}.bias"), vec![hidden])]
    }

    /// Names and shapes of all tensors of the encoder, under Hugging Face's names with the prefix `bert.`:
    /// embeddings first, then layer by layer.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let hidden = self.hidden_size;
        let mut tensors = vec![
            (WORD_EMBEDDINGS.to_owned(), vec![self.vocab_size, hidden]),
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

/// The table of word embeddings, `[vocab_size, hidden_size]`.
pub const WORD_EMBEDDINGS: &str = "bert.embeddings.word_embeddings.weight";

/// The linear layer on `[CLS]` that was trained to predict the next sentence.
pub(crate) const POOLER: &str = "bert.pooler.dense";

/// `bert.encoder.layer.7`
pub(crate) fn layer_name(layer: usize) -> String {
    format!("bert.encoder.layer.{layer}")
}
