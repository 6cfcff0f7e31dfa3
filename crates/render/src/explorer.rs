//! The data of the explorer in the page: every test text with its prediction, cut into words and pieces, and the
//! weights that can colour it.
//!
//! The data is compact: each token's spelling is listed once, and long arrays of numbers are little-endian in base64.
//! Another explanation method is another [`Source`].

use std::collections::HashMap;

use anyhow::{Context, ensure};
use midashi_artifacts::{BaselineAnswer, CategoryId, Method, Prediction, TokenizedText, Unit};
use midashi_text::{Part, Piece, lines, parts, printable, spelled};
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::labels::{suggestions, thresholds};
use crate::probabilities::Probabilities;
use crate::sources::{Source, sources};

/// All test texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explorer {
    /// Category names; texts refer to them by index.
    pub categories: Vec<String>,
    /// Spellings of tokens; texts refer to them by index.
    pub vocabulary: Vec<String>,
    /// The units that are coloured initially.
    pub units: Unit,
    /// In the order of `predictions.parquet`.
    pub texts: Vec<Text>,
    /// The texts' probabilities, in the order of `texts`.
    #[serde(flatten)]
    pub probabilities: Probabilities,
    /// The weights that can colour the texts, the most faithful first; empty if none were kept.
    pub sources: Vec<Source>,
    /// The measurement of the sources; none if there was none.
    pub chance: Option<Chance>,
    /// Explains a text that follows the command, after a method.
    pub command: String,
}

/// The reference that a faithful method must beat.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Chance {
    /// The probability that is lost without randomly chosen units.
    pub lost: f64,
    /// Number of texts on which the sources were measured.
    pub texts: u64,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Text {
    /// The article's id.
    pub id: String,
    /// The article's headline if the model did not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The true category.
    pub label: usize,
    /// The most probable category.
    pub predicted: usize,
    /// The baseline's category and its probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<(usize, f32)>,
    /// The category that the label should probably be, if it is in doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggested: Option<usize>,
    /// The text that the model read, from its first character to its last.
    pub parts: Vec<TextPart>,
    /// All tokens, special ones included.
    pub tokens: Vec<usize>,
    /// Positions of special tokens in `tokens`; the others are in the order of the pieces.
    pub special: Vec<usize>,
}

/// A stretch of the text: in JSON a string, a list of pieces, or an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TextPart {
    /// Characters without a token.
    Uncoloured(String),
    /// One word.
    Word(Vec<TextPiece>),
    /// The characters at the end that the model did not read.
    Unread {
        /// Their number.
        unread: usize,
    },
}

/// The characters of one or several tokens: in JSON a string if it is one token.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TextPiece {
    /// One token.
    Plain(String),
    /// Several tokens, or invisible characters.
    Other {
        /// As the author wrote it.
        text: String,
        /// Shown instead of invisible characters.
        #[serde(skip_serializing_if = "Option::is_none")]
        shown: Option<String>,
        /// Number of tokens.
        tokens: usize,
    },
}

impl Explorer {
    /// Joins predictions, tokens and weights by the articles' ids. `command` explains a text that follows it.
    ///
    /// # Errors
    /// When the artifacts do not belong together.
    pub fn of(artifacts: &Artifacts, command: String) -> anyhow::Result<Self> {
        let Artifacts { predictions, tokens, corpus, metrics, baseline, .. } = artifacts;
        ensure!(
            baseline.as_ref().is_none_or(|answers| answers.len() == predictions.rows.len())
                && baseline.is_some() == metrics.baseline.is_some(),
            "predictions.parquet: the baseline's answers (column baseline) and metrics.json do not belong together; run \
             `make evaluate` again"
        );
        let suggestions = suggestions(predictions, &thresholds(predictions));
        let tokenized: HashMap<&str, &TokenizedText> =
            tokens.texts.iter().map(|text| (text.id.as_str(), text)).collect();
        let titles: HashMap<&str, &str> =
            corpus.articles.iter().map(|article| (article.id.as_str(), article.title.as_str())).collect();
        let mut vocabulary = Vocabulary::default();
        let texts = predictions.rows.iter().zip(suggestions).enumerate().map(|(at, (row, suggested))| {
            let id = row.id.as_str();
            let answer = baseline.as_ref().and_then(|answers| answers.get(at));
            let mut joined = || {
                let tokenized = tokenized.get(id).context("not in tokens.arrow")?;
                let title = titles.get(id).context("not in corpus.parquet")?;
                let text = Text::of(row, tokenized, title, &mut vocabulary)?;
                anyhow::Ok(Text { suggested: suggested.map(CategoryId::index), ..text.beside(answer) })
            };
            joined().with_context(|| {
                format!("predictions.parquet: row {id:?}; run `make evaluate` again to remake it")
            })
        });
        let texts = texts.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            categories: predictions.categories.iter().map(|name| printable(name)).collect(),
            vocabulary: vocabulary.spellings,
            units: tokens.units(),
            texts,
            probabilities: Probabilities::of(predictions),
            sources: sources(artifacts)?,
            chance: metrics.faithfulness.as_ref().and_then(|measured| {
                let lost = measured.of(Method::Random)?.masked.comprehensiveness.mean;
                Some(Chance { lost, texts: measured.texts })
            }),
            command,
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
        let parts = parts(&tokenized.encoding, &vec![0.0; tokenized.encoding.len()])?;
        let special =
            (0..tokenized.encoding.word_ids.len()).filter(|&at| tokenized.encoding.word_ids[at].is_none());
        Ok(Self {
            id: printable(&row.id),
            title: (title != tokenized.encoding.original).then(|| printable(title)),
            label: row.label.index(),
            predicted: row.predicted.index(),
            baseline: None,
            suggested: None,
            parts: parts.into_iter().map(TextPart::from).collect(),
            tokens: tokenized.encoding.tokens.iter().map(|token| vocabulary.place(token)).collect(),
            special: special.collect(),
        })
    }

    /// The same text with the baseline's answer.
    fn beside(self, answer: Option<&BaselineAnswer>) -> Self {
        Self { baseline: answer.map(|answer| (answer.baseline.index(), answer.baseline_probability)), ..self }
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
    use midashi_artifacts::{Encoding, Split};
    use serde_json::json;

    use super::*;

    /// モデル is two pieces of one word, ㍿ is two tokens of one character, and a space has no token.
    fn tokenized() -> TokenizedText {
        let tokens = ["[CLS]", "モ", "##デル", "株", "##式", "\u{200B}", "[SEP]"];
        TokenizedText {
            id: "x".into(),
            label: CategoryId(0),
            split: Split::Test,
            encoding: Encoding {
                original: "モデル ㍿\u{200B}\t".into(),
                input_ids: vec![0; 7],
                token_type_ids: vec![0; 7],
                tokens: tokens.map(str::to_owned).to_vec(),
                word_ids: vec![None, Some(0), Some(0), Some(1), Some(1), Some(2), None],
                offsets: vec![(0, 0); 7],
                original_offsets: vec![(0, 0), (0, 1), (1, 3), (4, 5), (4, 5), (5, 6), (0, 0)],
                ..Encoding::default()
            },
        }
    }

    #[test]
    fn a_text_has_words_as_lists_of_pieces_and_characters_between_them() {
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
        let answer = BaselineAnswer { baseline: CategoryId(0), baseline_probability: 0.5 };
        let beside = Text::of(&row, &tokenized(), "モデル", &mut vocabulary).unwrap().beside(Some(&answer));
        assert_eq!(serde_json::to_value(beside).unwrap()["baseline"], json!([0, 0.5]));
    }
}
