//! How long the texts are, in tokens.

use midashi_artifacts::TokenizedText;
use midashi_stage::RunRecord;
use serde::Serialize;

/// Lengths of all texts in tokens, special tokens included.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// Number of texts.
    pub texts: usize,
    /// Mean length.
    pub mean: f64,
    /// Half of the texts are no longer.
    pub median: usize,
    /// 95 % of the texts are no longer.
    pub percentile_95: usize,
    /// The longest.
    pub longest: usize,
    /// More tokens are cut off (`tokenize.max_length`); none where the run's record does not say.
    pub max_length: Option<usize>,
    /// Whether the longest text comes near it: drawn far away it would leave the bars no room.
    pub limit_in_sight: bool,
    /// Texts that lost tokens by it.
    pub truncated: Option<usize>,
    /// Side by side, from the shortest to the longest.
    pub bins: Vec<Bin>,
}

/// Texts of `first..=last` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// Least length.
    pub first: usize,
    /// Greatest length.
    pub last: usize,
    /// How many texts.
    pub texts: usize,
}

impl Lengths {
    /// More bars than this do not get clearer.
    const MOST_BINS: usize = 40;

    /// Of `texts`, with what `record` says of their limit.
    pub fn of(texts: &[TokenizedText], record: &RunRecord) -> Self {
        let details = record.stage("tokenize").map(|stage| stage.details);
        let detail = |at: &str| details.as_ref()?.pointer(at)?.as_u64().map(|number| number as usize);
        let (max_length, truncated) = (detail("/max_length"), detail("/counts/truncated"));
        let mut lengths: Vec<usize> = texts.iter().map(|text| text.input_ids.len()).collect();
        lengths.sort_unstable();
        let (Some(&shortest), Some(&longest)) = (lengths.first(), lengths.last()) else {
            return Self {
                texts: 0,
                mean: 0.0,
                median: 0,
                percentile_95: 0,
                longest: 0,
                max_length,
                limit_in_sight: false,
                truncated,
                bins: vec![],
            };
        };
        // Nearest rank: the least length that `percent` of the texts do not exceed.
        let percentile = |percent: usize| lengths[(lengths.len() * percent).div_ceil(100) - 1];
        let width = bin_width(longest - shortest + 1, Self::MOST_BINS);
        let bins = (shortest / width..=longest / width).map(|bin| {
            let (first, last) = (bin * width, (bin + 1) * width - 1);
            let up_to = |length: usize| lengths.partition_point(|&other| other <= length);
            let below = lengths.partition_point(|&other| other < first);
            Bin { first, last, texts: up_to(last) - below }
        });
        Self {
            texts: lengths.len(),
            mean: lengths.iter().sum::<usize>() as f64 / lengths.len() as f64,
            median: percentile(50),
            percentile_95: percentile(95),
            longest,
            max_length,
            limit_in_sight: max_length.is_some_and(|limit| 4 * longest >= 3 * limit),
            truncated,
            bins: bins.collect(),
        }
    }
}

/// The least of 1, 2, 5, 10, 20, 50, … that divides `range` into at most `most` bins.
fn bin_width(range: usize, most: usize) -> usize {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_usize.pow(power)));
    steps.into_iter().find(|width| range.div_ceil(*width) <= most).unwrap_or(range)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::{CategoryId, Split};
    use serde_json::json;

    use super::*;

    fn text(length: usize) -> TokenizedText {
        TokenizedText {
            id: String::new(),
            label: CategoryId(0),
            split: Split::Train,
            original: String::new(),
            text: String::new(),
            input_ids: vec![0; length],
            token_type_ids: vec![],
            tokens: vec![],
            word_ids: vec![],
            offsets: vec![],
            original_offsets: vec![],
        }
    }

    #[test]
    fn bins_hold_every_text_once() {
        let texts: Vec<_> = (3..=120).chain([500]).map(text).collect();
        let lengths = Lengths::of(&texts, &RunRecord::default());
        assert_eq!(lengths.bins.iter().map(|bin| bin.texts).sum::<usize>(), texts.len());
        assert_eq!(lengths.bins[0], Bin { first: 0, last: 19, texts: 17 });
        assert_eq!(lengths.bins.last(), Some(&Bin { first: 500, last: 519, texts: 1 }));
        assert_eq!((lengths.median, lengths.percentile_95, lengths.longest), (62, 116, 500));
        assert_eq!(Lengths::of(&[], &RunRecord::default()).bins, []);
    }

    #[test]
    fn the_limit_is_what_the_run_recorded() {
        let stage = json!({"version": "", "settings": {}, "inputs": [], "outputs": [], "wall_seconds": 0.0,
            "peak_memory_bytes": null, "details": {"max_length": 64, "counts": {"truncated": 3}}});
        let record: RunRecord = serde_json::from_value(json!({"stages": {"tokenize": stage}})).unwrap();
        let of_longest = |longest| Lengths::of(&[text(longest)], &record);
        assert_eq!((of_longest(64).max_length, of_longest(64).truncated), (Some(64), Some(3)));
        assert!(of_longest(48).limit_in_sight && !of_longest(47).limit_in_sight);
        let unknown = Lengths::of(&[text(64)], &RunRecord::default());
        assert_eq!((unknown.max_length, unknown.truncated), (None, None));
    }
}
