//! Section `[model]`: the pretrained checkpoint, or the size of a model without one.

use serde::{Deserialize, Serialize};

use crate::source::Source;

/// The checkpoint that is fine-tuned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Hub id (`owner/name`), path of a folder, URL of a folder, `"bundled:multilingual-e5-small"` (which `make setup` brings), or
    /// `"scratch"`.
    pub checkpoint: Source,
    /// Branch, tag or commit of a hub checkpoint.
    pub revision: String,
    /// Whether the vocabulary is trimmed to the pieces of the corpus, of Japanese, ASCII and punctuation. It makes a
    /// multilingual model smaller and changes no text in these scripts.
    pub trim_vocabulary: bool,
    /// MeCab dictionary for a tokenizer whose own settings name none.
    pub dictionary: String,
    /// Size of a model that is trained from scratch.
    pub scratch: Scratch,
}

/// The size of a model that is trained from scratch, with `model.checkpoint = "scratch"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scratch {
    /// Number of Transformer layers.
    pub layers: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Number of attention heads; must divide `hidden_size`.
    pub attention_heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Longest input in tokens.
    pub max_positions: usize,
    /// Size of the WordPiece vocabulary learned from the training split; smaller if the texts have fewer
    /// pieces.
    pub vocabulary_size: usize,
}

impl Scratch {
    /// Number of parameters of the encoder: embeddings with their normalisation, and per layer four square matrices, two of
    /// the feed-forward part, their biases and two normalisations.
    pub(crate) fn parameters(&self) -> u64 {
        const TOKEN_TYPES: u64 = 2;
        let [layers, hidden, intermediate, positions, vocabulary] =
            [self.layers, self.hidden_size, self.intermediate_size, self.max_positions, self.vocabulary_size]
                .map(|size| size as u64);
        let embeddings = (vocabulary + positions + TOKEN_TYPES + 2) * hidden;
        let layer =
            4 * (hidden + 1) * hidden + 2 * hidden * intermediate + intermediate + hidden + 4 * hidden;
        embeddings + layers * layer
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            checkpoint: Source::default(),
            revision: "main".into(),
            trim_vocabulary: false,
            dictionary: "ipadic".into(),
            scratch: Scratch::default(),
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            layers: 2,
            hidden_size: 128,
            attention_heads: 4,
            intermediate_size: 512,
            max_positions: 128,
            vocabulary_size: 2000,
        }
    }
}
