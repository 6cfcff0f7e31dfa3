//! Section `[tokenize]`: text to ids.

use serde::{Deserialize, Serialize};

/// How texts become input ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokenize {
    /// Longest input in tokens, `[CLS]` and `[SEP]` included.
    pub max_length: usize,
    /// Whether texts are already split into words, with spaces between them, as Juman++ or Sudachi do. Words are then
    /// those of the spaces; no program that finds words is needed.
    pub pretokenized: bool,
    /// What happens to a text that is longer.
    pub long_texts: LongTexts,
    /// Tokens that a window shares with the one before it, special tokens not counted: `stride` of transformers'
    /// tokenizers. Only with `long_texts = "windows"`.
    pub stride: usize,
}

/// What happens to a text that is longer than `tokenize.max_length`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LongTexts {
    /// Its end is not read.
    #[default]
    Truncate,
    /// It is read in windows of `max_length` tokens; its answer is the mean of the windows' logits, weighted by their
    /// numbers of tokens.
    Windows,
}

impl LongTexts {
    /// Whether the end of a long text is not read.
    pub fn is_truncate(&self) -> bool {
        *self == Self::Truncate
    }
}

impl Default for Tokenize {
    fn default() -> Self {
        Self { max_length: 512, pretokenized: false, long_texts: LongTexts::Truncate, stride: 0 }
    }
}
