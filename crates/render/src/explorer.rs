//! What the explorer in the page works on: every test text with its prediction, cut into words and
//! pieces, and the weights that can colour it.
//!
//! It is data for a script, so it is written compactly: spellings of tokens stand once in a list,
//! and numbers of which there are many are base64 of little-endian arrays. Another way of saying
//! what mattered, such as another layer, is one more [`Source`].

use std::collections::HashMap;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use midashi_pipeline::artifact::{AttentionRow, Prediction, TokenizedText, Unit};
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::gallery::{self, Part, Piece};
use crate::printable::{lines, printable};

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

/// One way of saying how much each token mattered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Its name in `strings.json` begins with `source.`; views in links are known by this.
    pub name: &'static str,
    /// Rows of weights per text, which are summed or shown alone.
    pub heads: usize,
    /// Places of the texts that have weights, ascending.
    pub texts: Vec<usize>,
    /// The weight that 65535 stands for.
    pub scale: f32,
    /// uint16, for each of `texts` the shape `[heads, tokens]`.
    pub weights: String,
}

impl Explorer {
    /// Joins predictions, tokens and attention by the articles' ids.
    ///
    /// # Errors
    /// When the artifacts do not belong together.
    pub fn of(artifacts: &Artifacts) -> anyhow::Result<Self> {
        let Artifacts { attention, predictions, tokens, corpus, .. } = artifacts;
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
        let places = predictions.rows.iter().enumerate().map(|(at, row)| (row.id.as_str(), at)).collect();
        let source = Source::of_attention(attention, &places, &tokenized)?;
        Ok(Self {
            categories: predictions.categories.iter().map(|name| printable(name)).collect(),
            vocabulary: vocabulary.spellings,
            units: tokens.units(),
            texts,
            probabilities,
            sources: source.into_iter().collect(),
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

impl Source {
    /// What `[CLS]` attends to in the last layer; none without rows.
    fn of_attention(
        rows: &[AttentionRow],
        places: &HashMap<&str, usize>,
        tokenized: &HashMap<&str, &TokenizedText>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(heads) = rows.first().map(|row| row.attention.len()) else { return Ok(None) };
        let placed = rows.iter().map(|row| {
            let id = row.id.as_str();
            let place = || {
                let place = *places.get(id).context("not in predictions.parquet")?;
                gallery::check(row, tokenized.get(id).context("not in tokens.arrow")?)?;
                anyhow::ensure!(
                    row.attention.len() == heads,
                    "{} heads; expected {heads}, as in the first row",
                    row.attention.len()
                );
                Ok((place, row))
            };
            place().with_context(|| {
                format!("attention.parquet: row {id:?}; run `make evaluate` again to remake it")
            })
        });
        let mut placed = placed.collect::<anyhow::Result<Vec<(usize, &AttentionRow)>>>()?;
        placed.sort_unstable_by_key(|&(place, _)| place);
        let weights = || placed.iter().flat_map(|(_, row)| row.attention.iter().flatten().copied());
        let scale = weights().fold(0.0, f32::max);
        // 65536 steps: what is shown differs from what was computed by less than 1e-5.
        let steps = if scale > 0.0 { f32::from(u16::MAX) / scale } else { 0.0 };
        let weights = base64_of(weights().map(|weight| ((weight * steps).round() as u16).to_le_bytes()));
        let texts = placed.iter().map(|&(place, _)| place).collect();
        Ok(Some(Self { name: "cls_attention", heads, texts, scale, weights }))
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
        self.spellings.push(printable(token));
        self.places.insert(token.to_owned(), place);
        place
    }
}

fn base64_of<const N: usize>(numbers: impl Iterator<Item = [u8; N]>) -> String {
    BASE64_STANDARD.encode(numbers.flatten().collect::<Vec<u8>>())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_pipeline::artifact::{CategoryId, Split};
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

    #[test]
    fn weights_differ_by_less_than_a_hundred_thousandth_from_what_was_computed() {
        let tokenized = tokenized();
        let attention = vec![vec![0.9, 1e-5, 0.04, 0.03, 0.02, 0.0099, 9e-5], vec![1.0 / 7.0; 7]];
        let row = AttentionRow {
            id: "x".into(),
            tokens: tokenized.tokens.clone(),
            word_ids: tokenized.word_ids.clone(),
            attention: attention.clone(),
        };
        let source = |rows: &[AttentionRow]| {
            Source::of_attention(rows, &HashMap::from([("x", 3)]), &HashMap::from([("x", &tokenized)]))
        };
        let written = source(std::slice::from_ref(&row)).unwrap().unwrap();
        assert_eq!((written.heads, &written.texts[..], written.scale), (2, &[3][..], 0.9));
        let bytes = BASE64_STANDARD.decode(&written.weights).unwrap();
        let read = bytes.chunks(2).map(|two| f32::from(u16::from_le_bytes([two[0], two[1]])) / 65535.0 * 0.9);
        for (read, computed) in read.zip(attention.into_iter().flatten()) {
            assert!((read - computed).abs() < 1e-5, "{read} {computed}");
        }
        assert_eq!(bytes.len(), 2 * 2 * 7);
        assert_eq!(source(&[]).unwrap(), None);
        let fewer = AttentionRow { attention: row.attention[..1].to_vec(), ..row.clone() };
        let error = format!("{:#}", source(&[row, fewer]).unwrap_err());
        assert!(error.contains("1 heads; expected 2"), "{error}");
    }
}
