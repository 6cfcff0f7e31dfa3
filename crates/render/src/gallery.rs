//! The attention gallery: the tokens of each text with what `[CLS]` gives them in the last layer.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use midashi_pipeline::artifact::{Article, AttentionRow, Prediction, TokenizedText};
use serde::Serialize;

use crate::artifacts::Artifacts;

/// All shown texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gallery {
    /// Attention heads that are summed; the sum over all tokens of a text is this number, less what
    /// padding took where it was attended to.
    pub heads: usize,
    /// In the order of `attention.parquet`.
    pub texts: Vec<GalleryText>,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GalleryText {
    /// The headline as it was published.
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
    /// The text's words.
    pub words: Vec<Word>,
    /// Tokens that stand for nothing in the text.
    pub special: Vec<SpecialToken>,
    /// Share of all attention that special tokens take.
    pub special_share: f64,
}

/// One word, as pieces that stand together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Word {
    /// At least one.
    pub pieces: Vec<Piece>,
}

/// One token of the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Piece {
    /// What a reader sees.
    pub text: String,
    /// How the vocabulary spells it.
    pub token: String,
    /// Whether `text` only stands for a token that covers no text or has no shape.
    pub stand_in: bool,
    /// Attention of `[CLS]`, summed over the heads.
    pub weight: f64,
    /// Share of all the text's attention, special tokens included.
    pub share: f64,
    /// `weight` relative to the strongest piece of this text, in [0, 1].
    pub strength: f64,
}

/// A token such as `[CLS]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpecialToken {
    /// How the vocabulary spells it.
    pub token: String,
    /// Share of all the text's attention.
    pub share: f64,
}

impl Gallery {
    /// Joins attention, predictions, tokens and titles by the articles' ids.
    ///
    /// # Errors
    /// When the artifacts do not belong together.
    pub fn of(artifacts: &Artifacts) -> anyhow::Result<Self> {
        let Artifacts { attention, predictions, tokens, corpus, .. } = artifacts;
        let articles: HashMap<_, _> = corpus.articles.iter().map(|row| (row.id.as_str(), row)).collect();
        let tokenized: HashMap<_, _> = tokens.texts.iter().map(|row| (row.id.as_str(), row)).collect();
        let predicted: HashMap<_, _> = predictions.rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let text = |row: &AttentionRow| {
            let id = row.id.as_str();
            GalleryText::of(
                row,
                predicted.get(id).context("not in predictions.parquet")?,
                tokenized.get(id).context("not in tokens.arrow")?,
                articles.get(id).context("not in corpus.parquet")?,
                &predictions.categories,
            )
        };
        let texts = attention.iter().map(|row| {
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
        article: &Article,
        categories: &[String],
    ) -> anyhow::Result<Self> {
        let weights = summed_over_heads(row)?;
        ensure!(
            tokenized.tokens == row.tokens && row.word_ids.len() == row.tokens.len(),
            "its tokens are not those of tokens.arrow"
        );
        let name = |index: usize| {
            categories
                .get(index)
                .cloned()
                .with_context(|| format!("category {index} of {}", categories.len()))
        };
        let probability = |index: usize| {
            prediction.probabilities.get(index).copied().context("predictions.parquet lacks a probability")
        };
        let total: f64 = weights.iter().sum();
        let share = |at: usize| if total > 0.0 { weights[at] / total } else { 0.0 };
        let in_text = || (0..weights.len()).filter(|&at| row.word_ids[at].is_some());
        let strongest = in_text().map(|at| weights[at]).fold(0.0, f64::max);

        let mut words: Vec<Word> = Vec::new();
        let mut special = Vec::new();
        let mut word_before = None;
        for (at, token) in row.tokens.iter().enumerate() {
            let word = row.word_ids[at];
            let Some(_) = word else {
                special.push(SpecialToken { token: token.clone(), share: share(at) });
                word_before = None;
                continue;
            };
            let continues = word == word_before;
            let (text, stand_in) = shown(token, &surface(tokenized, at));
            let piece = Piece {
                text,
                token: token.clone(),
                stand_in,
                weight: weights[at],
                share: share(at),
                strength: if strongest > 0.0 { weights[at] / strongest } else { 0.0 },
            };
            match words.last_mut().filter(|_| continues) {
                Some(word) => word.pieces.push(piece),
                None => words.push(Word { pieces: vec![piece] }),
            }
            word_before = word;
        }
        Ok(Self {
            title: article.title.clone(),
            label: name(prediction.label.index())?,
            predicted: name(prediction.predicted.index())?,
            correct: prediction.label == prediction.predicted,
            probability: probability(prediction.predicted.index())?,
            label_probability: probability(prediction.label.index())?,
            words,
            special_share: special.iter().map(|token| token.share).sum(),
            special,
        })
    }
}

/// Attention of `[CLS]` per token; with 12 heads the sum of all is 12.
fn summed_over_heads(row: &AttentionRow) -> anyhow::Result<Vec<f64>> {
    let mut weights = vec![0.0; row.tokens.len()];
    for (head, attention) in row.attention.iter().enumerate() {
        ensure!(
            attention.len() == weights.len(),
            "head {head} has {} weights for {} tokens",
            attention.len(),
            weights.len()
        );
        for (weight, &more) in weights.iter_mut().zip(attention) {
            ensure!(more.is_finite() && more >= 0.0, "head {head} has the weight {more}; expected 0 to 1");
            *weight += f64::from(more);
        }
    }
    Ok(weights)
}

/// The part of the normalised text that token `at` stands for.
///
/// Text that several tokens claim goes to the last of them: the `▁` that Unigram puts before a
/// text claims the first character, which is the next token's.
fn surface(tokenized: &TokenizedText, at: usize) -> String {
    let (start, end) = tokenized.offsets.get(at).copied().unwrap_or_default();
    let next_is_in_text = tokenized.word_ids.get(at + 1).is_some_and(Option::is_some);
    let next = tokenized.offsets.get(at + 1).filter(|_| next_is_in_text);
    let end = next.map_or(end, |&(start, _)| end.min(start));
    tokenized.text.chars().skip(start as usize).take(end.saturating_sub(start) as usize).collect()
}

/// What a reader sees of a token, and whether that only stands for it: the text it covers, or its
/// spelling where it covers none, or the code points of what would be invisible.
fn shown(token: &str, surface: &str) -> (String, bool) {
    let surface = surface.trim();
    let text = if surface.is_empty() { token } else { surface };
    match code_points_if_invisible(text) {
        Some(codes) => (codes, true),
        None => (text.to_owned(), surface.is_empty()),
    }
}

fn code_points_if_invisible(text: &str) -> Option<String> {
    let codes = || text.chars().map(|c| format!("U+{:04X}", c as u32)).collect::<Vec<_>>().join(" ");
    text.chars().all(is_invisible).then(codes)
}

/// White space, controls, and the default-ignorable characters that occur in running text.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_pipeline::artifact::{CategoryId, Split};

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
            original: "モデル😀".into(),
            text: "モデル😀".into(),
            input_ids: vec![2, 5, 6, 1, 3],
            tokens: TOKENS.map(str::to_owned).to_vec(),
            word_ids: WORDS.to_vec(),
            offsets: vec![(0, 0), (0, 1), (1, 3), (3, 4), (4, 4)],
            original_offsets: vec![(0, 0), (0, 1), (1, 3), (3, 4), (4, 4)],
        }
    }

    fn text(row: &AttentionRow) -> anyhow::Result<GalleryText> {
        let prediction = Prediction {
            id: "x".into(),
            label: CategoryId(0),
            predicted: CategoryId(1),
            probabilities: vec![0.25, 0.75],
        };
        let article = Article {
            id: "x".into(),
            category: CategoryId(0),
            url: None,
            published_at: None,
            title: "モデル😀".into(),
            body: String::new(),
            split: Split::Test,
        };
        GalleryText::of(row, &prediction, &tokenized(), &article, &["a".into(), "b".into()])
    }

    #[test]
    fn heads_are_summed_and_scaled_to_the_strongest_token_of_the_text() {
        let text =
            text(&row(vec![vec![0.5, 0.125, 0.25, 0.0, 0.125], vec![0.5, 0.125, 0.25, 0.125, 0.0]])).unwrap();
        let pieces: Vec<&Piece> = text.words.iter().flat_map(|word| &word.pieces).collect();
        let values: Vec<_> = pieces.iter().map(|piece| (piece.weight, piece.share, piece.strength)).collect();
        assert_eq!(values, [(0.25, 0.125, 0.5), (0.5, 0.25, 1.0), (0.125, 0.0625, 0.25)]);
        let special: Vec<_> = text.special.iter().map(|s| (s.token.as_str(), s.share)).collect();
        assert_eq!(special, [("[CLS]", 0.5), ("[SEP]", 0.0625)]);
        assert_eq!(text.special_share, 0.5625);
        assert!(!text.correct);
        assert_eq!((text.probability, text.label_probability), (0.75, 0.25));
    }

    #[test]
    fn pieces_of_a_word_stand_together_as_the_text_has_them() {
        let text = text(&row(vec![vec![0.2; 5]])).unwrap();
        let words: Vec<Vec<_>> = text
            .words
            .iter()
            .map(|word| word.pieces.iter().map(|p| (p.text.as_str(), p.token.as_str())).collect())
            .collect();
        assert_eq!(words, [vec![("モ", "モ"), ("デル", "##デル")], vec![("😀", "[UNK]")]]);
    }

    #[test]
    fn text_that_two_tokens_claim_is_shown_once() {
        let mut tokenized = tokenized();
        // As the Unigram tokenizer of multilingual-e5-small has it: ▁ claims what モデル covers.
        tokenized.offsets = vec![(0, 0), (0, 1), (0, 3), (3, 4), (0, 0)];
        let surfaces: Vec<String> = (1..4).map(|at| surface(&tokenized, at)).collect();
        assert_eq!(surfaces, ["", "モデル", "😀"]);
    }

    #[test]
    fn a_text_without_any_attention_has_no_colour() {
        let text = text(&row(vec![vec![0.0; 5]])).unwrap();
        assert!(text.words.iter().flat_map(|word| &word.pieces).all(|piece| piece.strength == 0.0));
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
    fn a_token_shows_the_text_it_covers_and_its_spelling_where_it_covers_none() {
        assert_eq!(shown("##グ", "グ"), ("グ".into(), false));
        assert_eq!(shown("##", "##"), ("##".into(), false), "the text itself may say ##");
        assert_eq!(shown("▁iphone", " iPhone"), ("iPhone".into(), false));
        assert_eq!(shown("<unk>", "字"), ("字".into(), false));
        assert_eq!(shown("▁", " "), ("▁".into(), true));
        assert_eq!(shown("▁", ""), ("▁".into(), true));
        assert_eq!(shown("[UNK]", "\u{200D}\u{202E}"), ("U+200D U+202E".into(), true));
    }
}
