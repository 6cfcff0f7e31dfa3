//! The sizes that all encoders have.

use serde::{Deserialize, Serialize};

/// The most of each size: several times that of the largest published encoder. A greater number is damage. Every layer costs
/// memory before its first tensor is found missing, and products of sizes must not overflow.
const MAX_VOCABULARY: usize = 1 << 24;
const MAX_HIDDEN: usize = 1 << 16;
const MAX_LAYERS: usize = 1024;
const MAX_HEADS: usize = 1 << 12;
const MAX_INTERMEDIATE: usize = 1 << 18;
const MAX_POSITIONS: usize = 1 << 20;
const MAX_TOKEN_TYPES: usize = 1 << 16;

/// The sizes of an encoder, whatever its architecture, under BERT's names (Devlin et al. 2019, section 3).
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
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
    pub hidden_act: Activation,
    /// Longest input in tokens, special tokens included.
    pub max_tokens: usize,
    /// Rows of the token type embeddings: how many texts one input can tell apart. 0 without such embeddings.
    pub type_vocab_size: usize,
    /// Added to the variance in layer normalisation.
    pub layer_norm_eps: f64,
    /// Standard deviation of randomly initialised weights.
    pub initializer_range: f64,
    /// Id that pads shorter texts in a batch.
    pub pad_token_id: i64,
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
    /// The hyperbolic tangent.
    Tanh,
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
            "tanh" => Ok(Self::Tanh),
            _ => Err(format!(
                "hidden_act is {name:?}; expected gelu, gelu_new, relu or tanh, or another of their names"
            )),
        }
    }
}

impl Geometry {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (key, value, least, most) in [
            ("vocab_size", self.vocab_size, 1, MAX_VOCABULARY),
            ("hidden_size", self.hidden_size, 1, MAX_HIDDEN),
            ("num_hidden_layers", self.num_hidden_layers, 1, MAX_LAYERS),
            ("num_attention_heads", self.num_attention_heads, 1, MAX_HEADS),
            ("intermediate_size", self.intermediate_size, 1, MAX_INTERMEDIATE),
            ("max_position_embeddings", self.max_tokens, 1, MAX_POSITIONS),
            ("type_vocab_size", self.type_vocab_size, 0, MAX_TOKEN_TYPES),
        ] {
            if value < least {
                return Err(format!("{key} is {value}; expected at least {least}"));
            }
            if value > most {
                return Err(format!("{key} is {value}; expected at most {most}"));
            }
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
        Ok(())
    }

    /// Longest input in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Width of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}
