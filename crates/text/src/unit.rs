//! The unit of an explanation: words, or tokens where the tokenizer has no words.

use serde::{Deserialize, Serialize};

use crate::Encoding;

/// Words of any language have fewer tokens than this on average.
const MAX_TOKENS_PER_WORD: usize = 4;

/// The parts of a text that are explained, masked or removed as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The tokenizer's words.
    Words,
    /// Tokens, because the tokenizer splits at spaces only.
    Tokens,
}

impl Unit {
    /// The unit for `texts`: words, unless they are too long to be Japanese words.
    ///
    /// A tokenizer without Japanese words, such as SentencePiece, takes the text between two spaces for one word. That
    /// may be a whole headline, so its tokens are then the smallest parts with a meaning.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a Encoding>) -> Self {
        let (mut words, mut tokens) = (0, 0);
        for text in texts {
            let mut word_ids: Vec<i32> = text.word_ids.iter().flatten().copied().collect();
            tokens += word_ids.len();
            word_ids.dedup();
            words += word_ids.len();
        }
        if tokens > MAX_TOKENS_PER_WORD * words { Self::Tokens } else { Self::Words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_units_unless_they_have_more_than_four_tokens_on_average() {
        let unit = |texts: &[&[Option<i32>]]| {
            let text =
                |word_ids: &&[Option<i32>]| Encoding { word_ids: word_ids.to_vec(), ..Encoding::default() };
            let texts: Vec<Encoding> = texts.iter().map(text).collect();
            Unit::of(&texts)
        };
        let long = [None, Some(0), Some(0), Some(0), Some(0), Some(0), Some(0), Some(0), None];
        assert_eq!(unit(&[&long]), Unit::Tokens, "7 tokens, 1 word");
        assert_eq!(unit(&[&long, &[None, Some(0), None]]), Unit::Words, "8 tokens, 2 words");
        assert_eq!(unit(&[&long, &[None, Some(0), Some(0), None]]), Unit::Tokens, "9 tokens, 2 words");
        assert_eq!(unit(&[&[None, None]]), Unit::Words, "an empty text");
        assert_eq!(unit(&[]), Unit::Words);
    }
}
