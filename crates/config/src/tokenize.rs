//! Section `[tokenize]`: text to ids.

use serde::{Deserialize, Serialize};

/// How texts become input ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokenize {
    /// Longest input in tokens, `[CLS]` and `[SEP]` included.
    pub max_length: usize,
}

impl Default for Tokenize {
    fn default() -> Self {
        Self { max_length: 512 }
    }
}
