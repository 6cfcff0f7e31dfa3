//! An encoded text, and what its truncation dropped.

use midashi_text::Encoding;

/// An encoded text or pair of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The text as the model reads it.
    pub encoding: Encoding,
    /// Whether tokens were dropped, at the end of the text or of either text of a pair.
    pub truncated: bool,
    /// Whether the first text of a pair lost tokens. Nothing is left of the second text then.
    pub first_truncated: bool,
}
