//! The attention gallery, which a reader without JavaScript sees: texts as their authors wrote them,
//! coloured by what `[CLS]` gives their tokens in the last layer.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, bail, ensure};
use midashi_artifacts::{AttentionRow, Prediction, TokenizedText};
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::printable::is_invisible;

/// The shown texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gallery {
    /// Attention heads that are summed; the sum over all tokens of a text is this number, less what
    /// padding took where it was attended to.
    pub heads: usize,
    /// Some of `attention.parquet`, in its order.
    pub texts: Vec<GalleryText>,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GalleryText {
    /// The article's headline, whether it was read or not.
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
    /// The text that was read, as its author wrote it, cut where its words and tokens part.
    pub parts: Vec<Part>,
    /// Tokens that stand for nothing in the text.
    pub special: Vec<SpecialToken>,
    /// Share of all attention that special tokens take.
    pub special_share: f64,
}

/// A stretch of the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What no token was made of: a space, or what was truncated.
    Uncoloured(String),
    /// One word, as pieces that stand together; at least one.
    Word(Vec<Piece>),
    /// So many characters at the end of the text that was too long, instead of them.
    Unread(usize),
}

/// A page without a script has no filters: more texts than these nobody reads.
const MOST_TEXTS: usize = 100;

/// More characters than these are only counted where no token is left for them: a body may go on for pages.
const LONGEST_UNREAD: usize = 40;

/// The characters of one token, or of several that were made of the same characters: `㍿` becomes
/// `株式会社`, which may be four tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Piece {
    /// As the author wrote it; empty where a token was made of no text.
    pub text: String,
    /// What a reader sees in place of a `text` that has no shape.
    pub stand_in: Option<String>,
    /// How the vocabulary spells the tokens; at least one.
    pub tokens: Vec<String>,
    /// Attention of `[CLS]`, summed over the heads and `tokens`; or another weight, which may be negative.
    pub weight: f64,
    /// Share of all the text's attention, special tokens included; of weights with a sign, of their magnitudes.
    pub share: f64,
    /// `weight` relative to the strongest piece of this text, in [0, 1], or with a sign in [-1, 1].
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
        // At equal distances: of texts sorted by category, every category is among them in its share.
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
        let special = special(tokenized, &weights);
        Ok(Self {
            title: title.to_owned(),
            label: name(prediction.label.index())?,
            predicted: name(prediction.predicted.index())?,
            correct: prediction.label == prediction.predicted,
            probability: probability(prediction.predicted.index())?,
            label_probability: probability(prediction.label.index())?,
            parts: parts(tokenized, &weights)?,
            special_share: special.iter().map(|token| token.share).sum(),
            special,
        })
    }
}

/// That every head of `row` has a weight for every token of `tokenized`.
///
/// # Errors
/// When it has not.
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
        tokenized.tokens == row.tokens && tokenized.word_ids == row.word_ids,
        "its tokens are not those of tokens.arrow"
    );
    let lengths = [tokenized.tokens.len(), tokenized.word_ids.len(), tokenized.original_offsets.len()];
    ensure!(
        lengths == [count; 3],
        "tokens.arrow: [tokens, word_ids, original_offsets] are {lengths:?}; expected {count} of each; run \
         `make tokenize` again"
    );
    Ok(())
}

/// Attention of `[CLS]` per token; with 12 heads the sum of all is 12.
fn summed_over_heads(row: &AttentionRow) -> Vec<f64> {
    let mut weights = vec![0.0; row.tokens.len()];
    for head in &row.attention {
        weights.iter_mut().zip(head).for_each(|(weight, &more)| *weight += f64::from(more));
    }
    weights
}

/// The special tokens, with their shares of `weights`.
pub fn special(tokenized: &TokenizedText, weights: &[f64]) -> Vec<SpecialToken> {
    let total = magnitude(weights);
    let places = (0..weights.len()).filter(|&at| tokenized.word_ids[at].is_none());
    let token =
        |at: usize| SpecialToken { token: tokenized.tokens[at].clone(), share: relative(weights[at], total) };
    places.map(token).collect()
}

fn magnitude(weights: &[f64]) -> f64 {
    weights.iter().map(|weight| weight.abs()).sum()
}

fn relative(weight: f64, whole: f64) -> f64 {
    if whole > 0.0 { weight / whole } else { 0.0 }
}

/// Tokens whose characters of the original text overlap, so that they can only be coloured as one.
struct Span {
    /// In characters of the original text.
    range: Range<usize>,
    /// Places in the tokenised text; at least one.
    tokens: Vec<usize>,
}

/// The original text from its first character to its last, with the tokens that were made of it.
///
/// # Errors
/// When a token's characters are not in the text.
pub fn parts(tokenized: &TokenizedText, weights: &[f64]) -> anyhow::Result<Vec<Part>> {
    let original: Vec<char> = tokenized.original.chars().collect();
    let text = |range: Range<usize>| original[range].iter().collect::<String>();
    let spans = spans(tokenized, original.len())?;
    let total = magnitude(weights);
    let weight = |span: &Span| span.tokens.iter().map(|&at| weights[at]).sum::<f64>();
    let strongest = spans.iter().map(|span| weight(span).abs()).fold(0.0, f64::max);

    let mut parts = Vec::new();
    let mut end = 0;
    let mut word_before = None;
    for span in spans {
        if end < span.range.start {
            parts.push(Part::Uncoloured(text(end..span.range.start)));
        }
        end = span.range.end;
        let tokens: Vec<_> = span.tokens.iter().map(|&at| tokenized.tokens[at].clone()).collect();
        let weight = weight(&span);
        let text = text(span.range);
        let piece = Piece {
            stand_in: stand_in(&text, &tokens),
            text,
            tokens,
            weight,
            share: relative(weight, total),
            strength: relative(weight, strongest),
        };
        let word = |at: Option<&usize>| at.and_then(|&at| tokenized.word_ids[at]);
        let continues = word(span.tokens.first()) == word_before;
        match parts.last_mut() {
            Some(Part::Word(pieces)) if continues => pieces.push(piece),
            _ => parts.push(Part::Word(vec![piece])),
        }
        word_before = word(span.tokens.last());
    }
    match original.len() - end {
        0 => {}
        rest if rest > LONGEST_UNREAD => parts.push(Part::Unread(rest)),
        _ => parts.push(Part::Uncoloured(text(end..original.len()))),
    }
    Ok(parts)
}

/// In the order of the text, none overlapping another; special tokens are in none of them.
///
/// Besides characters that become several, `▁` makes tokens overlap: Unigram puts it before a text
/// and has it claim the first character, which is the next token's.
fn spans(tokenized: &TokenizedText, length: usize) -> anyhow::Result<Vec<Span>> {
    let mut spans: Vec<Span> = Vec::new();
    let tokens = tokenized.word_ids.iter().zip(&tokenized.original_offsets).enumerate();
    for (at, (_, &(start, end))) in tokens.filter(|(_, (word, _))| word.is_some()) {
        let (start, end) = (start as usize, end as usize);
        ensure!(
            start <= end && end <= length,
            "tokens.arrow: token {at} {:?} has the characters {start} to {end}; expected a range in a text \
             of {length}; run `make tokenize` again",
            tokenized.tokens[at]
        );
        match spans.last_mut().filter(|span| start < span.range.end) {
            Some(span) => {
                span.range.end = span.range.end.max(end);
                span.tokens.push(at);
            }
            None => spans.push(Span { range: start..end, tokens: vec![at] }),
        }
    }
    Ok(spans)
}

/// What a reader sees where `text` shows nothing: the spelling of `tokens` where there is no text,
/// the code points of characters without a shape. White space shows its colour, but for a line's end, which gets a
/// picture before it.
fn stand_in(text: &str, tokens: &[String]) -> Option<String> {
    let code_points = |text: &str| {
        let codes = text.chars().map(|c| format!("U+{:04X}", c as u32));
        codes.collect::<Vec<_>>().join(" ")
    };
    if text.is_empty() {
        let spelling = tokens.concat();
        let invisible = spelling.chars().all(is_invisible);
        return Some(if invisible { code_points(&spelling) } else { spelling });
    }
    if text.chars().all(|c| c == '\n') {
        return Some(format!("\u{240A}{text}"));
    }
    let blank = text.chars().all(char::is_whitespace);
    (!blank && text.chars().all(is_invisible)).then(|| code_points(text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::{CategoryId, Split};

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
            token_type_ids: vec![0; 5],
            tokens: TOKENS.map(str::to_owned).to_vec(),
            word_ids: WORDS.to_vec(),
            offsets: vec![(0, 0), (0, 1), (1, 3), (3, 4), (4, 4)],
            original_offsets: vec![(0, 0), (0, 1), (1, 3), (3, 4), (4, 4)],
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

    /// `original` as `[CLS]`, tokens with their word, start and end, `[SEP]`.
    fn of(original: &str, tokens: &[(&str, i32, u32, u32)]) -> TokenizedText {
        let special = |token: &str| (token.to_owned(), None, (0, 0));
        let in_text =
            tokens.iter().map(|&(token, word, start, end)| (token.into(), Some(word), (start, end)));
        let all: Vec<_> = [special("[CLS]")].into_iter().chain(in_text).chain([special("[SEP]")]).collect();
        TokenizedText {
            original: original.into(),
            tokens: all.iter().map(|(token, ..)| token.clone()).collect(),
            word_ids: all.iter().map(|&(_, word, _)| word).collect(),
            original_offsets: all.iter().map(|&(.., range)| range).collect(),
            ..tokenized()
        }
    }

    /// How the text is cut: a word as `piece·piece`, uncoloured text in brackets.
    fn cut(original: &str, tokens: &[(&str, i32, u32, u32)]) -> Vec<String> {
        let parts = parts(&of(original, tokens), &vec![0.2; tokens.len() + 2]).unwrap();
        let texts = parts.iter().map(|part| match part {
            Part::Uncoloured(text) => vec![text.as_str()],
            Part::Word(pieces) => pieces.iter().map(|piece| piece.text.as_str()).collect(),
            Part::Unread(_) => vec![],
        });
        let texts: Vec<_> = texts.collect();
        let unread: usize =
            parts.iter().map(|part| if let Part::Unread(rest) = part { *rest } else { 0 }).sum();
        let read = original.chars().count() - unread;
        assert_eq!(texts.concat().concat(), original.chars().take(read).collect::<String>());
        let shown = parts.iter().zip(texts).map(|(part, texts)| match part {
            Part::Uncoloured(text) => format!("({text})"),
            Part::Word(_) => texts.join("·"),
            Part::Unread(rest) => format!("…{rest}"),
        });
        shown.collect()
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
    fn pieces_of_a_word_stand_together() {
        let shown = cut("モデル 😀", &[("モ", 0, 0, 1), ("##デル", 0, 1, 3), ("[UNK]", 1, 4, 5)]);
        assert_eq!(shown, ["モ·デル", "( )", "😀"]);
    }

    #[test]
    fn tokens_of_the_same_characters_are_one_piece_with_the_sum_of_their_attention() {
        let tokenized =
            of("㍿見出し", &[("株", 0, 0, 1), ("##式", 0, 0, 1), ("会社", 1, 0, 1), ("見出し", 2, 1, 4)]);
        let parts = parts(&tokenized, &[0.5, 0.125, 0.25, 0.125, 0.25, 0.75]).unwrap();
        let pieces = pieces(&parts);
        assert_eq!(pieces[0].text, "㍿");
        assert_eq!(pieces[0].tokens, ["株", "##式", "会社"]);
        assert_eq!((pieces[0].weight, pieces[0].share, pieces[0].strength), (0.5, 0.25, 1.0));
        assert_eq!((pieces[1].text.as_str(), pieces[1].strength), ("見出し", 0.5));
        assert_eq!(parts.len(), 2, "they are two words");
    }

    #[test]
    fn a_token_that_begins_inside_the_one_before_is_one_piece_with_it() {
        // As the Unigram tokenizer of multilingual-e5-small has it: ▁ claims what モデル covers.
        assert_eq!(cut("モデル😀", &[("▁", 0, 0, 1), ("モデル", 0, 0, 3), ("😀", 0, 3, 4)]), ["モデル·😀"]);
        // ㌘ is グラム: its first character may end one token and its last begin the next.
        assert_eq!(cut("1㌘入", &[("1グ", 0, 0, 2), ("##ラ", 0, 1, 2), ("##ム入", 0, 1, 3)]), ["1㌘入"]);
        assert_eq!(cut("℃夏", &[("°", 0, 0, 1), ("C", 1, 0, 1), ("##夏", 1, 1, 2)]), ["℃·夏"]);
    }

    #[test]
    fn characters_that_normalisation_joins_stay_as_the_author_wrote_them() {
        assert_eq!(cut("ｶﾞｽ", &[("ガ", 0, 0, 2), ("##ス", 0, 2, 3)]), ["ｶﾞ·ｽ"]);
        assert_eq!(cut("か\u{3099}く", &[("が", 0, 0, 2), ("く", 1, 2, 3)]), ["か\u{3099}", "く"]);
    }

    #[test]
    fn text_of_no_token_stays_visible_without_colour() {
        assert_eq!(
            cut("\u{3000}夏\u{3000} 秋、冬 ", &[("夏", 0, 1, 2), ("秋", 1, 4, 5)]),
            ["(\u{3000})", "夏", "(\u{3000} )", "秋", "(、冬 )"],
            "spaces, and what was truncated"
        );
        assert_eq!(
            cut("モ\u{200B}デル", &[("モ", 0, 0, 1), ("##デル", 0, 2, 4)]),
            ["モ", "(\u{200B})", "デル"]
        );
        assert_eq!(cut(" ", &[]), ["( )"]);
        assert!(cut("", &[]).is_empty());
    }

    #[test]
    fn a_long_text_ends_where_the_model_stopped_reading() {
        let tokens = [("見出し", 0, 0, 3), ("本文", 1, 4, 6)];
        let body = |rest: usize| format!("見出し\n本文{}", "の".repeat(rest));
        assert_eq!(cut(&body(41), &tokens), ["見出し", "(\n)", "本文", "…41"]);
        assert_eq!(cut(&body(2), &tokens), ["見出し", "(\n)", "本文", "(のの)"]);
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
        tokenized.original_offsets.pop();
        let error = text_of(&row(vec![vec![0.2; 5]]), &tokenized).unwrap_err().to_string();
        assert!(error.contains("are [5, 5, 4]; expected 5 of each"), "{error}");
    }

    #[test]
    fn a_range_outside_the_text_is_refused() {
        for (start, end) in [(1, 3), (2, 1), (9, 9)] {
            let error = parts(&of("見出", &[("見", 0, start, end)]), &[0.2; 3]).unwrap_err().to_string();
            assert!(
                error.contains(&format!("token 1 \"見\" has the characters {start} to {end}")),
                "{error}"
            );
        }
    }

    #[test]
    fn only_what_has_no_shape_is_shown_by_another_text() {
        let shown = |text: &str, token: &str| stand_in(text, &[token.to_owned()]);
        assert_eq!(shown("グ", "##グ"), None);
        assert_eq!(shown(" iPhone", "▁iphone"), None);
        assert_eq!(shown("字", "<unk>"), None);
        assert_eq!(shown("\u{3000}", "▁"), None, "white space shows its colour");
        assert_eq!(shown("\n", "▁").as_deref(), Some("␊\n"));
        assert_eq!(shown("", "▁").as_deref(), Some("▁"));
        assert_eq!(shown("", "\u{FEFF}").as_deref(), Some("U+FEFF"));
        assert_eq!(shown("\u{200D}\u{202E}", "[UNK]").as_deref(), Some("U+200D U+202E"));
    }
}
