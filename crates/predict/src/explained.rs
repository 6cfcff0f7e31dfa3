//! A text with its prediction and the weights of its words, as every format shows it.

use anyhow::Result;
use midashi_classifier::{Encoded, Explanation};
use midashi_text::{Encoding, Part, Piece, SpecialToken, Unit, parts, shaped, special_tokens};
use serde::Serialize;

use crate::method::Method;

/// One text, its prediction, and the weights of its words and tokens.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// As the model reads it.
    #[serde(skip)]
    pub text: Encoding,
    /// Whether the end of the text was truncated.
    pub truncated: bool,
    /// The windows in which the text was read.
    #[serde(skip)]
    pub windows: usize,
    /// In the model's order.
    #[serde(skip)]
    pub probabilities: Vec<Probability>,
    /// The most probable categories; the first is the prediction.
    pub best: Vec<Probability>,
    /// Weight of each token, special tokens included.
    #[serde(skip)]
    pub weights: Vec<f64>,
    /// The unit that is coloured.
    pub unit: Unit,
    /// The text from its first character to its last.
    pub stretches: Vec<Stretch>,
    /// Tokens without a source in the text.
    pub special: Vec<SpecialToken>,
}

/// A category's probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probability {
    /// The category's name.
    pub category: String,
    /// In [0, 1].
    pub probability: f32,
}

/// A stretch of the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stretch {
    /// Characters without a token.
    Uncoloured(String),
    /// A word or a piece.
    Coloured(Coloured),
    /// The number of truncated characters at the end of a long text.
    Unread(usize),
}

/// A word or a piece, with its weight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coloured {
    /// As its author wrote it; empty for a token without a source.
    #[serde(skip)]
    pub text: String,
    /// The text for display: invisible characters by their code points, an empty text by the tokens' spelling.
    pub shown: String,
    /// First character of the original text and the one after the last.
    pub characters: (usize, usize),
    /// Sum of its tokens' weights.
    pub weight: f64,
    /// Share of the absolute weights of all tokens, special tokens included.
    pub share: f64,
    /// `weight` relative to the strongest of this text, in [-1, 1]; negative only for methods with a sign.
    pub strength: f64,
}

impl Explained {
    /// How many of the most probable categories are shown.
    const BEST: usize = 3;

    /// Joins an explanation with the names of the model's `categories`.
    ///
    /// # Errors
    /// When a token's characters are not in the text.
    pub fn new(explanation: Explanation, categories: &[String]) -> Result<Self> {
        let Explanation { text: Encoded { encoding: text, truncated, .. }, prediction, weights, windows } =
            explanation;
        let probabilities: Vec<Probability> = (categories.iter().cloned().zip(prediction.probabilities))
            .map(|(category, probability)| Probability { category, probability })
            .collect();
        let mut best = probabilities.clone();
        // A stable sort: of equal ones the first is the answer.
        best.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        best.truncate(Self::BEST);
        let unit = Unit::of([&text]);
        Ok(Self {
            stretches: stretches(parts(&text, &weights)?, unit),
            special: special_tokens(&text, &weights),
            text,
            truncated,
            windows,
            probabilities,
            best,
            weights,
            unit,
        })
    }

    /// A text without words, which has no category.
    pub fn wordless(text: String) -> Self {
        Self {
            stretches: vec![Stretch::Uncoloured(text.clone())],
            text: Encoding { original: text.clone(), text, ..Encoding::default() },
            truncated: false,
            windows: 1,
            probabilities: Vec::new(),
            best: Vec::new(),
            weights: Vec::new(),
            unit: Unit::Words,
            special: Vec::new(),
        }
    }

    /// The coloured stretches, in the order of the text.
    pub fn coloured(&self) -> impl Iterator<Item = &Coloured> {
        self.stretches.iter().filter_map(|stretch| match stretch {
            Stretch::Coloured(coloured) => Some(coloured),
            Stretch::Uncoloured(_) | Stretch::Unread(_) => None,
        })
    }

    /// The most probable category; none for a text without words.
    pub fn category(&self) -> Option<&str> {
        self.best.first().map(|best| &*best.category)
    }

    /// Notes for the reader: the method, the share of special tokens, and whether the text was truncated.
    pub fn notes(&self, method: Method) -> Vec<String> {
        let Some(category) = self.category() else {
            return vec!["the text has no words, so it has no category".to_owned()];
        };
        let special =
            self.special.iter().map(|token| format!("{} {}", shaped(&token.token), percent(token.share)));
        let mut notes = vec![method.describe(&shaped(category))];
        if !self.special.is_empty() {
            notes.push(format!("special tokens: {}", special.collect::<Vec<_>>().join(", ")));
        }
        if self.truncated {
            notes.push(format!(
                "the text is longer than {} tokens; its end was not read",
                self.text.tokens.len()
            ));
        }
        if self.windows > 1 {
            notes.push(format!(
                "the text was read in {} windows; probabilities and weights are those of their mean",
                self.windows
            ));
        }
        notes
    }
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// Words as one stretch each, or each piece, with the characters between them.
fn stretches(parts: Vec<Part>, unit: Unit) -> Vec<Stretch> {
    let mut at = 0;
    let mut stretches = Vec::new();
    for part in parts {
        match part {
            Part::Uncoloured(text) => {
                at += text.chars().count();
                stretches.push(Stretch::Uncoloured(text));
            }
            Part::Word(pieces) => {
                let one_by_one = if unit == Unit::Words { pieces.len() } else { 1 };
                for pieces in pieces.chunks(one_by_one.max(1)) {
                    let coloured = Coloured::of(pieces, at);
                    at = coloured.characters.1;
                    stretches.push(Stretch::Coloured(coloured));
                }
            }
            Part::Unread(characters) => stretches.push(Stretch::Unread(characters)),
        }
    }
    scale(&mut stretches);
    stretches
}

/// Strengths relative to the strongest.
fn scale(stretches: &mut [Stretch]) {
    let mut coloured: Vec<&mut Coloured> = stretches
        .iter_mut()
        .filter_map(|stretch| match stretch {
            Stretch::Coloured(coloured) => Some(coloured),
            Stretch::Uncoloured(_) | Stretch::Unread(_) => None,
        })
        .collect();
    let strongest = coloured.iter().map(|coloured| coloured.weight.abs()).fold(0.0, f64::max);
    for coloured in coloured.iter_mut().filter(|_| strongest > 0.0) {
        coloured.strength = coloured.weight / strongest;
    }
}

impl Coloured {
    /// `pieces` that follow one another from the character `start` on.
    fn of(pieces: &[Piece], start: usize) -> Self {
        let text: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
        let spelling = || pieces.iter().flat_map(|piece| &piece.tokens).cloned().collect::<String>();
        Self {
            characters: (start, start + text.chars().count()),
            shown: if text.is_empty() { shaped(&spelling()) } else { shaped(&text) },
            text,
            weight: pieces.iter().map(|piece| piece.weight).sum(),
            share: pieces.iter().map(|piece| piece.share).sum(),
            strength: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{ATTENTION, explained, signed, words};

    /// Words with their characters, and weight, share and strength.
    fn told(explained: &Explained) -> Vec<(&str, (usize, usize), [f64; 3])> {
        let numbers = |word: &Coloured| [word.weight, word.share, word.strength];
        explained.coloured().map(|word| (word.shown.as_str(), word.characters, numbers(word))).collect()
    }

    #[test]
    fn a_words_weight_is_the_sum_of_its_pieces() {
        let explained = words();
        // 0.25 + 0.375 + 0.75 are 1.375.
        assert_eq!(
            told(&explained),
            [("モデル", (0, 3), [0.375, 0.375 / 1.375, 0.5]), ("夏", (4, 5), [0.75, 0.75 / 1.375, 1.0])]
        );
        assert_eq!(explained.stretches[1], Stretch::Uncoloured(" ".into()));
        assert_eq!(explained.unit, Unit::Words);
    }

    #[test]
    fn a_tokenizer_without_words_shows_pieces() {
        let piece = |at: u32| ("p", 0, at, at + 1, f64::from(at));
        let explained = explained("あいうえお", &[0, 1, 2, 3, 4].map(piece));
        assert_eq!(explained.unit, Unit::Tokens);
        let shown: Vec<_> = told(&explained).iter().map(|word| (word.0, word.1, word.2[2])).collect();
        assert_eq!(shown[..2], [("あ", (0, 1), 0.0), ("い", (1, 2), 0.25)]);
        assert_eq!(shown[4], ("お", (4, 5), 1.0));
    }

    #[test]
    fn shares_of_signed_weights_are_of_their_magnitudes() {
        let explained = signed();
        let found: Vec<_> = told(&explained).iter().map(|word| (word.2[1], word.2[2])).collect();
        assert_eq!(found, [(1.0 / 1.75, 1.0), (-0.5 / 1.75, -0.5)]);
        assert_eq!(explained.special[0].share, 0.25 / 1.75);
    }

    #[test]
    fn the_most_probable_categories_come_first_and_equal_ones_in_their_order() {
        let best: Vec<_> = words().best.into_iter().map(|best| best.category).collect();
        assert_eq!(best, ["<b>", "a", "c\u{202E}"]);
    }

    #[test]
    fn what_was_not_read_is_said() {
        let mut explained = words();
        assert_eq!(
            explained.notes(ATTENTION),
            ["attention of [CLS], last layer (1), 4 heads summed", "special tokens: [CLS] 18.2%, [SEP] 0.0%"]
        );
        explained.truncated = true;
        assert_eq!(explained.notes(ATTENTION)[2], "the text is longer than 5 tokens; its end was not read");
    }
}
