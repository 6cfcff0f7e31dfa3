//! What the explorer in the page works on: every test text with its prediction, cut into words and
//! pieces, and the weights that can colour it.
//!
//! It is data for a script, so it is written compactly: spellings of tokens stand once in a list,
//! and numbers of which there are many are base64 of little-endian arrays. Another way of saying
//! what mattered is one more [`Source`].

use std::collections::HashMap;

use anyhow::Context;
use midashi_artifacts::{Prediction, TokenizedText, Unit};
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::gallery::{self, Part, Piece};
use crate::printable::{lines, printable, spelled};
use crate::sources::{Source, base64_of, sources};

/// All test texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explorer {
    /// Category names; texts have places in this list.
    pub categories: Vec<String>,
    /// Spellings of tokens; texts have places in this list.
    pub vocabulary: Vec<String>,
    /// What weights are told of, unless a reader asks for the other.
    pub units: Unit,
    /// In the order of `predictions.parquet`.
    pub texts: Vec<Text>,
    /// float32, shape `[texts, categories]`.
    pub probabilities: String,
    /// What can colour the texts; none where no attention was kept.
    pub sources: Vec<Source>,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Text {
    /// The article's id.
    pub id: String,
    /// The article's headline where it is not what was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The true category.
    pub label: usize,
    /// The most probable category.
    pub predicted: usize,
    /// The text that was read, from its first character to its last.
    pub parts: Vec<TextPart>,
    /// All tokens, special ones included.
    pub tokens: Vec<usize>,
    /// Places of special tokens among `tokens`; the others stand there in the order of the pieces.
    pub special: Vec<usize>,
}

/// A stretch of the text: in JSON a string, a list of pieces, or an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TextPart {
    /// What no token was made of.
    Uncoloured(String),
    /// One word.
    Word(Vec<TextPiece>),
    /// So many characters at the end that the model did not read.
    Unread {
        /// How many.
        unread: usize,
    },
}

/// Characters that were made into tokens together: in JSON a string where they became one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TextPiece {
    /// One token.
    Plain(String),
    /// Several, or characters that show nothing.
    Other {
        /// As the author wrote it.
        text: String,
        /// What a reader sees in its place.
        #[serde(skip_serializing_if = "Option::is_none")]
        shown: Option<String>,
        /// How many tokens.
        tokens: usize,
    },
}

impl Explorer {
    /// Joins predictions, tokens and weights by the articles' ids.
    ///
    /// # Errors
    /// When the artifacts do not belong together.
    pub fn of(artifacts: &Artifacts) -> anyhow::Result<Self> {
        let Artifacts { predictions, tokens, corpus, .. } = artifacts;
        let tokenized: HashMap<&str, &TokenizedText> =
            tokens.texts.iter().map(|text| (text.id.as_str(), text)).collect();
        let titles: HashMap<&str, &str> =
            corpus.articles.iter().map(|article| (article.id.as_str(), article.title.as_str())).collect();
        let mut vocabulary = Vocabulary::default();
        let texts = predictions.rows.iter().map(|row| {
            let id = row.id.as_str();
            let mut joined = || {
                let tokenized = tokenized.get(id).context("not in tokens.arrow")?;
                let title = titles.get(id).context("not in corpus.parquet")?;
                Text::of(row, tokenized, title, &mut vocabulary)
            };
            joined().with_context(|| {
                format!("predictions.parquet: row {id:?}; run `make evaluate` again to remake it")
            })
        });
        let texts = texts.collect::<anyhow::Result<Vec<_>>>()?;
        let probabilities = predictions.rows.iter().flat_map(|row| &row.probabilities);
        let probabilities = base64_of(probabilities.map(|probability| probability.to_le_bytes()));
        Ok(Self {
            categories: predictions.categories.iter().map(|name| printable(name)).collect(),
            vocabulary: vocabulary.spellings,
            units: tokens.units(),
            texts,
            probabilities,
            sources: sources(artifacts)?,
        })
    }
}

impl Text {
    fn of(
        row: &Prediction,
        tokenized: &TokenizedText,
        title: &str,
        vocabulary: &mut Vocabulary,
    ) -> anyhow::Result<Self> {
        let parts = gallery::parts(tokenized, &vec![0.0; tokenized.tokens.len()])?;
        let special = (0..tokenized.word_ids.len()).filter(|&at| tokenized.word_ids[at].is_none());
        Ok(Self {
            id: printable(&row.id),
            title: (title != tokenized.original).then(|| printable(title)),
            label: row.label.index(),
            predicted: row.predicted.index(),
            parts: parts.into_iter().map(TextPart::from).collect(),
            tokens: tokenized.tokens.iter().map(|token| vocabulary.place(token)).collect(),
            special: special.collect(),
        })
    }
}

impl From<Part> for TextPart {
    fn from(part: Part) -> Self {
        match part {
            Part::Uncoloured(text) => Self::Uncoloured(lines(&text)),
            Part::Word(pieces) => Self::Word(pieces.into_iter().map(TextPiece::from).collect()),
            Part::Unread(unread) => Self::Unread { unread },
        }
    }
}

impl From<Piece> for TextPiece {
    fn from(piece: Piece) -> Self {
        let text = lines(&piece.text);
        match (piece.stand_in, piece.tokens.len()) {
            (None, 1) => Self::Plain(text),
            (shown, tokens) => Self::Other { text, shown: shown.map(|shown| lines(&shown)), tokens },
        }
    }
}

/// Spellings in the order of their first use.
#[derive(Default)]
struct Vocabulary {
    spellings: Vec<String>,
    places: HashMap<String, usize>,
}

impl Vocabulary {
    fn place(&mut self, token: &str) -> usize {
        if let Some(&place) = self.places.get(token) {
            return place;
        }
        let place = self.spellings.len();
        self.spellings.push(spelled(token));
        self.places.insert(token.to_owned(), place);
        place
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::{CategoryId, Split};
    use serde_json::json;

    use super::*;

    /// モデル is two pieces of one word, ㍿ two tokens of one character; a space has none.
    fn tokenized() -> TokenizedText {
        let tokens = ["[CLS]", "モ", "##デル", "株", "##式", "\u{200B}", "[SEP]"];
        TokenizedText {
            id: "x".into(),
            label: CategoryId(0),
            split: Split::Test,
            original: "モデル ㍿\u{200B}\t".into(),
            text: String::new(),
            input_ids: vec![0; 7],
            token_type_ids: vec![0; 7],
            tokens: tokens.map(str::to_owned).to_vec(),
            word_ids: vec![None, Some(0), Some(0), Some(1), Some(1), Some(2), None],
            offsets: vec![(0, 0); 7],
            original_offsets: vec![(0, 0), (0, 1), (1, 3), (4, 5), (4, 5), (5, 6), (0, 0)],
        }
    }

    #[test]
    fn a_text_is_its_words_as_lists_of_pieces_and_what_is_between() {
        let row = Prediction {
            id: "x".into(),
            label: CategoryId(0),
            predicted: CategoryId(1),
            probabilities: vec![0.25, 0.75],
        };
        let mut vocabulary = Vocabulary::default();
        vocabulary.place("[SEP]");
        let text = Text::of(&row, &tokenized(), "モデル", &mut vocabulary).unwrap();
        let expected = json!({
            "id": "x", "title": "モデル", "label": 0, "predicted": 1,
            "parts": [["モ", "デル"], " ", [{"text": "㍿", "tokens": 2}],
                [{"text": "\u{200B}", "shown": "U+200B", "tokens": 1}], "␉"],
            "tokens": [1, 2, 3, 4, 5, 6, 0], "special": [0, 6],
        });
        assert_eq!(serde_json::to_value(text).unwrap(), expected);
        assert_eq!(vocabulary.spellings[..3], ["[SEP]", "[CLS]", "モ"]);
    }
}
