//! The tokenizer's output for one text.

/// Separates the two texts of a pair in [`Encoding::text`] and [`Encoding::original`].
pub const PAIR_SEPARATOR: char = '\n';

/// One text, or a pair of texts, as a model reads it, special tokens included. The vectors have one item per token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The text as its author wrote it, which `original_offsets` refer to; the texts of a pair are joined by
    /// [`PAIR_SEPARATOR`].
    pub original: String,
    /// The text that `offsets` refer to: normalised, or as given where the tokenizer is a `tokenizer.json`. The texts
    /// of a pair are joined likewise.
    pub text: String,
    /// Ids in the model's vocabulary.
    pub input_ids: Vec<i32>,
    /// Which text of a pair a token belongs to: 0 for the first, and for the second the tokenizer's own value (1 in
    /// `BertJapaneseTokenizer`, its last separator included).
    pub token_type_ids: Vec<i32>,
    /// The tokens as the vocabulary spells them.
    pub tokens: Vec<String>,
    /// The word that a token belongs to, counted from 0 through both texts of a pair; none for special tokens.
    pub word_ids: Vec<Option<i32>>,
    /// Start and end of the token in `text`, in characters (Unicode scalar values); (0, 0) for special tokens that
    /// the tokenizer added.
    pub offsets: Vec<(u32, u32)>,
    /// Start and end of the token's source in `original`, likewise. Characters that normalisation merges or splits
    /// belong to each of their tokens as a whole: ㍿ is the source of every token of 株式会社.
    pub original_offsets: Vec<(u32, u32)>,
}

impl Encoding {
    /// The share of the text's characters that lie in tokens with this id, in [0, 1]; 0 for a text without characters.
    pub fn share_of(&self, id: i32) -> f64 {
        let width = |(start, end): &(u32, u32)| f64::from(end.saturating_sub(*start));
        let tokens = || self.input_ids.iter().zip(&self.offsets);
        let all: f64 = tokens().map(|(_, offsets)| width(offsets)).sum();
        let of_id: f64 = tokens().filter(|(found, _)| **found == id).map(|(_, offsets)| width(offsets)).sum();
        if all > 0.0 { of_id / all } else { 0.0 }
    }

    /// Number of tokens, special tokens included.
    pub fn len(&self) -> usize {
        self.input_ids.len()
    }

    /// Whether there are no tokens at all, not even special ones.
    pub fn is_empty(&self) -> bool {
        self.input_ids.is_empty()
    }

    /// Whether a token belongs to a word, so that the text is more than special tokens.
    pub fn has_words(&self) -> bool {
        self.word_ids.iter().any(Option::is_some)
    }

    /// The encoding with only the tokens at these `places`. The texts stay.
    #[must_use]
    pub fn only(&self, places: &[usize]) -> Self {
        fn chosen<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
            places.iter().filter_map(|&at| all.get(at).cloned()).collect()
        }
        Self {
            original: self.original.clone(),
            text: self.text.clone(),
            input_ids: chosen(&self.input_ids, places),
            token_type_ids: chosen(&self.token_type_ids, places),
            tokens: chosen(&self.tokens, places),
            word_ids: chosen(&self.word_ids, places),
            offsets: chosen(&self.offsets, places),
            original_offsets: chosen(&self.original_offsets, places),
        }
    }

    /// `input_ids` with every token that is not special replaced by `token_id`, such as the mask token: the baseline
    /// of integrated gradients.
    pub fn masked_input_ids(&self, token_id: i32) -> Vec<i32> {
        let tokens = self.input_ids.iter().zip(&self.word_ids);
        tokens.map(|(&id, word)| if word.is_some() { token_id } else { id }).collect()
    }
}
