//! The attention gallery, for readers without JavaScript: texts as their authors wrote them, coloured by the attention
//! of `[CLS]` in the last layer.

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use midashi_artifacts::{AttentionRow, Prediction, TokenizedText};
use midashi_text::{Part, SpecialToken, parts, special_tokens};
use serde::Serialize;

use crate::artifacts::Artifacts;

/// The shown texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gallery {
    /// Number of attention heads that are summed. The weights of a text sum to this number, less the attention to
    /// padding.
    pub heads: usize,
    /// Texts of `attention.parquet`, in its order.
    pub texts: Vec<GalleryText>,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GalleryText {
    /// The article's headline, even if the model reads the body.
    pub title: String,
    /// The true category.
    pub label: String,
    /// The most probable category.
    pub predicted: String,
    /// Whether they are the same.
    pub correct: bool,
    /// Probability of `predicted`.
    pub probability: f32,
    /// Probability of `label`.
    pub label_probability: f32,
    /// The text that the model read, as its author wrote it, cut at words and tokens.
    pub parts: Vec<Part>,
    /// Tokens without a source in the text.
    pub special: Vec<SpecialToken>,
    /// Share of the attention that goes to special tokens.
    pub special_share: f64,
}

/// Most texts of the gallery: without a script it has no filters.
const MOST_TEXTS: usize = 100;

impl Gallery {
    /// Joins attention, predictions and tokens by the articles' ids.
    ///
    /// # Errors
    /// When the artifacts do not belong together.
    pub fn of(artifacts: &Artifacts) -> anyhow::Result<Self> {
        let Artifacts { attention, predictions, tokens, corpus, .. } = artifacts;
        let titles: HashMap<_, _> =
            corpus.articles.iter().map(|article| (article.id.as_str(), article.title.as_str())).collect();
        let tokenized: HashMap<_, _> = tokens.texts.iter().map(|row| (row.id.as_str(), row)).collect();
        let predicted: HashMap<_, _> = predictions.rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let text = |row: &AttentionRow| {
            let id = row.id.as_str();
            GalleryText::of(
                row,
                predicted.get(id).context("not in predictions.parquet")?,
                tokenized.get(id).context("not in tokens.arrow")?,
                titles.get(id).context("not in corpus.parquet")?,
                &predictions.categories,
            )
        };
        // Evenly spaced, so that every category is represented: the texts are sorted by category.
        let count = attention.len().min(MOST_TEXTS);
        let rows = (0..count).map(|at| &attention[at * attention.len() / count]);
        let texts = rows.map(|row| {
            text(row).with_context(|| {
                format!("attention.parquet: row {:?}; run `make evaluate` again to remake it", row.id)
            })
        });
        Ok(Self {
            heads: attention.first().map_or(0, |row| row.attention.len()),
            texts: texts.collect::<Result<_, _>>()?,
        })
    }
}

impl GalleryText {
    fn of(
        row: &AttentionRow,
        prediction: &Prediction,
        tokenized: &TokenizedText,
        title: &str,
        categories: &[String],
    ) -> anyhow::Result<Self> {
        check(row, tokenized)?;
        let weights = summed_over_heads(row);
        let name = |index: usize| {
            categories
                .get(index)
                .cloned()
                .with_context(|| format!("category {index} of {}", categories.len()))
        };
        let probability = |index: usize| {
            prediction.probabilities.get(index).copied().context("predictions.parquet lacks a probability")
        };
        let special = special_tokens(&tokenized.encoding, &weights);
        Ok(Self {
            title: title.to_owned(),
            label: name(prediction.label.index())?,
            predicted: name(prediction.predicted.index())?,
            correct: prediction.label == prediction.predicted,
            probability: probability(prediction.predicted.index())?,
            label_probability: probability(prediction.label.index())?,
            parts: parts(&tokenized.encoding, &weights)?,
            special_share: special.iter().map(|token| token.share).sum(),
            special,
        })
    }
}

/// Checks that every head of `row` has a weight for every token of `tokenized`.
///
/// # Errors
/// When one has not.
pub fn check(row: &AttentionRow, tokenized: &TokenizedText) -> anyhow::Result<()> {
    let count = row.tokens.len();
    for (head, attention) in row.attention.iter().enumerate() {
        ensure!(attention.len() == count, "head {head} has {} weights for {count} tokens", attention.len());
        let strange = attention.iter().find(|weight| !weight.is_finite() || **weight < 0.0);
        if let Some(weight) = strange {
            bail!("head {head} has the weight {weight}; expected 0 to 1");
        }
    }
    ensure!(
        tokenized.encoding.tokens == row.tokens && tokenized.encoding.word_ids == row.word_ids,
        "its tokens are not those of tokens.arrow"
    );
    let lengths = [
        tokenized.encoding.tokens.len(),
        tokenized.encoding.word_ids.len(),
        tokenized.encoding.original_offsets.len(),
    ];
    ensure!(
        lengths == [count; 3],
        "tokens.arrow: [tokens, word_ids, original_offsets] are {lengths:?}; expected {count} of each; run \
         `make tokenize` again"
    );
    Ok(())
}

/// Attention of `[CLS]` per token, summed over the heads: with 12 heads it sums to 12.
fn summed_over_heads(row: &AttentionRow) -> Vec<f64> {
    let mut weights = vec![0.0; row.tokens.len()];
    for head in &row.attention {
        weights.iter_mut().zip(head).for_each(|(weight, &more)| *weight += f64::from(more));
    }
    weights
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::{CategoryId, Encoding, Split};

    use midashi_text::Piece;

    use super::*;

    const TOKENS: [&str; 5] = ["[CLS]", "モ", "##デル", "[UNK]", "[SEP]"];
    const WORDS: [Option<i32>; 5] = [None, Some(0), Some(0), Some(1), None];

    fn row(attention: Vec<Vec<f32>>) -> AttentionRow {
        AttentionRow {
            id: "x".into(),
            tokens: TOKENS.map(str::to_owned).to_vec(),
            word_ids: WORDS.to_vec(),
            attention,
        }
    }

    fn tokenized() -> TokenizedText {
        TokenizedText {
            id: "x".into(),
            label: CategoryId(0),
            split: Split::Test,
            encoding: Encoding {
                original: "モデル😀".into(),
                text: "モデル😀".into(),
                input_ids: vec![2, 5, 6, 1, 3],
                token_type_ids: vec![0; 5],
                tokens: TOKENS.map(str::to_owned).to_vec(),
                word_ids: WORDS.to_vec(),
                offsets: vec![(0, 0), (0, 1), (1, 3), (3, 4), (4, 4)],
                original_offsets: vec![(0, 0), (0, 1), (1, 3), (3, 4), (4, 4)],
            },
        }
    }

    fn text(row: &AttentionRow) -> anyhow::Result<GalleryText> {
        text_of(row, &tokenized())
    }

    fn text_of(row: &AttentionRow, tokenized: &TokenizedText) -> anyhow::Result<GalleryText> {
        let prediction = Prediction {
            id: "x".into(),
            label: CategoryId(0),
            predicted: CategoryId(1),
            probabilities: vec![0.25, 0.75],
        };
        GalleryText::of(row, &prediction, tokenized, "モデル", &["a".into(), "b".into()])
    }

    fn pieces(parts: &[Part]) -> Vec<&Piece> {
        let words = parts.iter().filter_map(|part| match part {
            Part::Word(pieces) => Some(pieces),
            Part::Uncoloured(_) | Part::Unread(_) => None,
        });
        words.flatten().collect()
    }

    #[test]
    fn heads_are_summed_and_scaled_to_the_strongest_token_of_the_text() {
        let text =
            text(&row(vec![vec![0.5, 0.125, 0.25, 0.0, 0.125], vec![0.5, 0.125, 0.25, 0.125, 0.0]])).unwrap();
        let pieces = pieces(&text.parts);
        let values: Vec<_> = pieces.iter().map(|piece| (piece.weight, piece.share, piece.strength)).collect();
        assert_eq!(values, [(0.25, 0.125, 0.5), (0.5, 0.25, 1.0), (0.125, 0.0625, 0.25)]);
        let special: Vec<_> = text.special.iter().map(|s| (s.token.as_str(), s.share)).collect();
        assert_eq!(special, [("[CLS]", 0.5), ("[SEP]", 0.0625)]);
        assert_eq!(text.special_share, 0.5625);
        assert!(!text.correct);
        assert_eq!((text.probability, text.label_probability), (0.75, 0.25));
    }

    #[test]
    fn a_text_without_any_attention_has_no_colour() {
        let text = text(&row(vec![vec![0.0; 5]])).unwrap();
        assert!(pieces(&text.parts).iter().all(|piece| piece.strength == 0.0));
    }

    #[test]
    fn attention_that_does_not_fit_its_tokens_is_refused() {
        assert!(text(&row(vec![vec![0.2; 4]])).unwrap_err().to_string().contains("4 weights for 5 tokens"));
        assert!(text(&row(vec![vec![f32::NAN; 5]])).unwrap_err().to_string().contains("NaN"));
        let mut other = row(vec![vec![0.2; 5]]);
        other.tokens[1] = "other".into();
        assert!(text(&other).unwrap_err().to_string().contains("tokens.arrow"));
    }

    #[test]
    fn tokens_without_a_range_are_refused() {
        let mut tokenized = tokenized();
        tokenized.encoding.original_offsets.pop();
        let error = text_of(&row(vec![vec![0.2; 5]]), &tokenized).unwrap_err().to_string();
        assert!(error.contains("are [5, 5, 4]; expected 5 of each"), "{error}");
    }
}
