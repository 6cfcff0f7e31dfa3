//! Long texts for models that read them in windows: encoded as a whole, so that [`Windowing::windows`] can cut them.

use midashi_text::Windowing;

use crate::encoding::Encoded;
use crate::error::{Error, Result};
use crate::tokenizer::{Encoder, Tokenizer};

/// Longer than any text, and far from overflow.
const UNLIMITED: usize = 1 << 30;

/// How long the encoding of a text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// At most so many tokens, special tokens included; a longer text loses its end.
    AtMost(usize),
    /// As long as the text, which is read in windows.
    Windows(Windowing),
}

impl Length {
    /// Longest input of the model in tokens.
    pub fn max_length(self) -> usize {
        match self {
            Self::AtMost(max_length) => max_length,
            Self::Windows(windowing) => windowing.max_length,
        }
    }

    /// How long texts are cut into windows; none if they lose their end.
    pub fn windowing(self) -> Option<Windowing> {
        match self {
            Self::AtMost(_) => None,
            Self::Windows(windowing) => Some(windowing),
        }
    }
}

impl Tokenizer {
    /// Checks that windows of single texts, or of `pairs`, have more room than the tokens that they share.
    ///
    /// # Errors
    /// When they have not.
    pub fn check_windowing(&self, windowing: Windowing, pairs: bool) -> Result<()> {
        let Windowing { max_length, stride } = windowing;
        let (of_text, of_pair) = self.special_tokens();
        let special = if pairs { of_pair } else { of_text };
        if stride + special < max_length {
            return Ok(());
        }
        Err(Error::Stride { stride, max_length, special })
    }
}

impl Encoder<'_> {
    /// Encodes a text, or with `second` a pair.
    ///
    /// For windows the encoding has all tokens. Only a pair whose first text leaves no room for a token of the second loses
    /// its end, as in [`encode_pair`](Encoder::encode_pair).
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    pub fn encode_to(&mut self, first: &str, second: Option<&str>, length: Length) -> Result<Encoded> {
        let mut encode = |second: Option<&str>, max_length: usize| match second {
            None => self.encode(first, max_length),
            Some(second) => self.encode_pair(first, second, max_length),
        };
        let Length::Windows(Windowing { max_length, .. }) = length else {
            return encode(second, length.max_length());
        };
        let whole = encode(second, UNLIMITED)?;
        if second.is_none() || whole.encoding.len() <= max_length {
            return Ok(whole);
        }
        let is_full = encode(Some(""), max_length)?.encoding.len() == max_length;
        if is_full { encode(second, max_length) } else { Ok(whole) }
    }
}
