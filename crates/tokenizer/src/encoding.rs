//! An encoded text: the tokens that a model reads and where they come from.

/// Separates the two texts of a pair in [`Encoding::text`].
pub const PAIR_SEPARATOR: char = '\n';

/// A text or a pair of texts as a model reads it, special tokens included. All vectors have one element a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The text that `offsets` refer to: the normalised text in which words are found; with a `tokenizer.json`, the text as
    /// given. The texts of a pair are joined by [`PAIR_SEPARATOR`].
    pub text: String,
    /// Vocabulary ids.
    pub input_ids: Vec<u32>,
    /// 0 for the first text, and for the second text of a pair what the tokenizer assigns. `BertJapaneseTokenizer` assigns
    /// 1 to the second text and its final separator.
    pub token_type_ids: Vec<u32>,
    /// Tokens as the vocabulary spells them.
    pub tokens: Vec<String>,
    /// Index of each token's word, from 0; none for special tokens. The second text of a pair continues the count.
    pub word_ids: Vec<Option<u32>>,
    /// Start and end in `text`, in characters (Unicode scalar values). (0, 0) for special tokens that are not in the text.
    pub offsets: Vec<(u32, u32)>,
    /// Start and end in the text as given (a pair joined by [`PAIR_SEPARATOR`]), in characters. Normalisation may turn one
    /// character into several or several into one. A token then covers all characters of such a group of which it covers
    /// one: each part of 株式会社 covers ㍿.
    pub original_offsets: Vec<(u32, u32)>,
    /// Whether tokens were dropped, at the end of the text or of either text of a pair.
    pub truncated: bool,
    /// Whether the first text of a pair lost tokens. Nothing is left of the second text then.
    pub first_truncated: bool,
}
