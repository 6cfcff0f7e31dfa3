//! Output on the terminal and details for `run.json`.

use midashi_artifacts::{Article, Corpus, WindowRows, Windowing};
use midashi_config::TextChoice;
use midashi_tokenizer::Tokenizer;
use serde::Serialize;
use serde_json::{Value, json};

use crate::encode::EncodedTexts;
use crate::plan::Plan;
use crate::trim::Trimmed;

/// Lengths in tokens, special tokens included, and losses.
#[derive(Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Number of texts.
    pub texts: usize,
    /// Number of tokens of all texts.
    pub tokens: usize,
    /// Median length.
    pub percentile_50: usize,
    /// 90th percentile of the lengths.
    pub percentile_90: usize,
    /// 99th percentile of the lengths.
    pub percentile_99: usize,
    /// Length of the longest text.
    pub longest: usize,
    /// Number of texts that lost their end.
    pub truncated: usize,
    /// Number of texts among them that lost their body and the end of their title.
    pub truncated_titles: usize,
    /// Number of windows of all texts, if long texts are read in windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<usize>,
    /// Number of texts of several windows, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_several_windows: Option<usize>,
    /// Number of articles without the body that was to be read.
    pub without_body: usize,
    /// Number of pieces of words: tokens that are not special.
    pub pieces: usize,
    /// Number of pieces that are the unknown token.
    pub unknown: usize,
}

impl Statistics {
    /// Computes the statistics.
    pub fn of(
        encoded: &EncodedTexts,
        corpus: &Corpus,
        tokenizer: &Tokenizer,
        choice: TextChoice,
        windowing: Option<Windowing>,
    ) -> Self {
        let lacks_body = |article: &&Article| choice.has_body() && article.body.is_empty();
        let without_body = corpus.articles.iter().filter(lacks_body).count();
        let rows =
            windowing.map(|_| WindowRows::of(encoded.texts.iter().map(|text| &text.encoding), windowing));
        let several = |rows: &WindowRows| (0..rows.texts()).filter(|&text| rows.rows(text).len() > 1).count();
        Self {
            without_body,
            windows: rows.as_ref().map(WindowRows::len),
            in_several_windows: rows.as_ref().map(several),
            ..Self::count(encoded, tokenizer.unknown_id())
        }
    }

    fn count(encoded: &EncodedTexts, unknown_id: Option<i32>) -> Self {
        let texts = &encoded.texts;
        let mut lengths: Vec<usize> = texts.iter().map(|text| text.encoding.input_ids.len()).collect();
        lengths.sort_unstable();
        let tokens =
            || texts.iter().flat_map(|text| text.encoding.input_ids.iter().zip(&text.encoding.word_ids));
        let pieces = || tokens().filter(|(_, word)| word.is_some()).map(|(&id, _)| id);
        Self {
            texts: texts.len(),
            tokens: lengths.iter().sum(),
            percentile_50: percentile(&lengths, 50),
            percentile_90: percentile(&lengths, 90),
            percentile_99: percentile(&lengths, 99),
            longest: lengths.last().copied().unwrap_or(0),
            truncated: encoded.truncated,
            truncated_titles: encoded.truncated_titles,
            windows: None,
            in_several_windows: None,
            without_body: 0,
            pieces: pieces().count(),
            unknown: pieces().filter(|&id| Some(id) == unknown_id).count(),
        }
    }

    fn mean(&self) -> f64 {
        ratio(self.tokens, self.texts)
    }

    fn unknown_share(&self) -> f64 {
        ratio(self.unknown, self.pieces)
    }
}

/// The percentile by the nearest-rank method: the smallest length that at least `percent` % of the lengths do not exceed.
fn percentile(sorted: &[usize], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Prints the tokenizer and the statistics.
pub fn print(tokenizer: &Tokenizer, plan: &Plan, trimmed: Option<&Trimmed>, statistics: &Statistics) {
    midashi_stage::outln!("  {}", tokenizer.describe());
    if let Some(trimmed) = trimmed {
        let (before, after) = trimmed.megabytes();
        midashi_stage::outln!(
            "  vocabulary trimmed: {} of {} pieces, {} of them in the corpus; encoder of {:.1} instead of {:.1} million \
             parameters, {after:.0} MB instead of {before:.0}",
            trimmed.pieces,
            trimmed.pieces_before,
            trimmed.used_pieces,
            trimmed.parameters as f64 * 1e-6,
            trimmed.parameters_before as f64 * 1e-6,
        );
    }
    if let Some(folder) = &plan.dictionary_folder {
        midashi_stage::outln!("  MeCab dictionary in {}", folder.display());
    }
    let Statistics { texts, percentile_50, percentile_90, percentile_99, longest, .. } = statistics;
    midashi_stage::outln!(
        "  {texts} texts; tokens: mean {:.1}, median {percentile_50}, 90 % up to {percentile_90}, \
         99 % up to {percentile_99}, longest {longest}",
        statistics.mean()
    );
    let max_length = plan.settings.max_length;
    match (statistics.windows, statistics.in_several_windows) {
        (Some(windows), Some(several)) => midashi_stage::outln!(
            "  read in windows of at most {max_length} tokens that share {}: {windows} windows, {several} texts have \
             several",
            plan.settings.stride
        ),
        _ => midashi_stage::outln!("  truncated at {max_length} tokens: {} texts", statistics.truncated),
    }
    if let (single, 0) = tokenizer.special_tokens()
        && plan.settings.text == TextChoice::TitleAndBody
    {
        midashi_stage::outln!(
            "  tokenizer.json adds no special tokens to a pair (but {single} to a single text), as in transformers: the \
             classifier reads the first piece of the title; to change that, add a template for pairs to post_processor"
        );
    }
    if statistics.truncated_titles > 0 {
        midashi_stage::outln!(
            "  among them with a title that is too long by itself: {} texts",
            statistics.truncated_titles
        );
    }
    if statistics.without_body > 0 {
        midashi_stage::outln!("  articles without a body, read as empty texts: {}", statistics.without_body);
    }
    midashi_stage::outln!(
        "  unknown to the vocabulary: {} of {} pieces ({:.2} %)",
        statistics.unknown,
        statistics.pieces,
        100.0 * statistics.unknown_share()
    );
}

/// The details for `run.json`.
pub fn details(
    tokenizer: &Tokenizer,
    plan: &Plan,
    trimmed: Option<&Trimmed>,
    statistics: &Statistics,
) -> Value {
    let mut details = json!({
        "tokenizer": tokenizer.describe(),
        "vocabulary_size": tokenizer.vocabulary_size(),
        "max_length": plan.settings.max_length,
        "mean_tokens": statistics.mean(),
        "unknown_share": statistics.unknown_share(),
        "counts": statistics,
    });
    if let (Some(trimmed), Some(details)) = (trimmed, details.as_object_mut()) {
        details.insert("trimmed".to_owned(), json!(trimmed));
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;
    use midashi_artifacts::{CategoryId, Encoding, Split, TokenizedText};

    /// A text of `[CLS]`, the pieces and `[SEP]`.
    fn text(pieces: &[i32]) -> TokenizedText {
        let words = pieces.iter().enumerate().map(|(at, _)| Some(at as i32));
        let input_ids: Vec<i32> = std::iter::once(2).chain(pieces.iter().copied()).chain([3]).collect();
        TokenizedText {
            id: String::new(),
            label: CategoryId(0),
            split: Split::Train,
            encoding: Encoding {
                tokens: vec![String::new(); input_ids.len()],
                offsets: vec![(0, 0); input_ids.len()],
                original_offsets: vec![(0, 0); input_ids.len()],
                word_ids: std::iter::once(None).chain(words).chain([None]).collect(),
                token_type_ids: vec![0; input_ids.len()],
                input_ids,
                ..Encoding::default()
            },
        }
    }

    #[test]
    fn special_tokens_count_as_tokens_and_not_as_pieces() {
        let texts = vec![text(&[7, 1, 8]), text(&[1])];
        let encoded = EncodedTexts { texts, truncated: 1, truncated_titles: 0 };
        let statistics = Statistics::count(&encoded, Some(1));
        let expected = Statistics {
            texts: 2,
            tokens: 8,
            percentile_50: 3,
            percentile_90: 5,
            percentile_99: 5,
            longest: 5,
            truncated: 1,
            truncated_titles: 0,
            windows: None,
            in_several_windows: None,
            without_body: 0,
            pieces: 4,
            unknown: 2,
        };
        assert_eq!(statistics, expected);
        assert_eq!((statistics.mean(), statistics.unknown_share()), (4.0, 0.5));
        assert_eq!(Statistics::count(&encoded, None).unknown, 0);
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let lengths: Vec<usize> = (1..=200).collect();
        assert_eq!([50, 90, 99].map(|percent| percentile(&lengths, percent)), [100, 180, 198]);
        assert_eq!(percentile(&[7], 99), 7);
        assert_eq!(percentile(&[], 50), 0);
    }
}
