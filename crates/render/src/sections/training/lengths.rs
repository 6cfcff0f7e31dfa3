//! The texts' lengths in tokens.

use midashi_artifacts::TokenizedText;
use midashi_stage::RunRecord;
use plotters::prelude::*;
use serde::Serialize;

use crate::chart::{NUMBERS, OTHER, SIZE, STRONG, dashed, described, draw};
use midashi_page::Strings;

/// Lengths of all texts in tokens, special tokens included.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// Number of texts.
    pub texts: usize,
    /// Mean length.
    pub mean: f64,
    /// Median length.
    pub median: usize,
    /// 95th percentile.
    pub percentile_95: usize,
    /// Greatest length.
    pub longest: usize,
    /// The limit `tokenize.max_length`; none if the run's record lacks it.
    pub max_length: Option<usize>,
    /// Whether the longest text comes near the limit. A distant limit is not drawn: it would leave no room for the bars.
    pub limit_in_sight: bool,
    /// Number of truncated texts.
    pub truncated: Option<usize>,
    /// Adjacent bins of equal width, in ascending order.
    pub bins: Vec<Bin>,
}

/// Texts of `first..=last` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// Least length.
    pub first: usize,
    /// Greatest length.
    pub last: usize,
    /// Number of texts.
    pub texts: usize,
}

impl Lengths {
    /// More bars would not be clearer.
    const MOST_BINS: usize = 40;

    /// The lengths of `texts`, with the limit from `record`.
    pub fn of(texts: &[TokenizedText], record: &RunRecord) -> Self {
        let details = record.stage("tokenize").map(|stage| stage.details);
        let detail = |at: &str| details.as_ref()?.pointer(at)?.as_u64().map(|number| number as usize);
        let (max_length, truncated) = (detail("/max_length"), detail("/counts/truncated"));
        let mut lengths: Vec<usize> = texts.iter().map(|text| text.encoding.input_ids.len()).collect();
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

/// The smallest of 1, 2, 5, 10, 20, 50, … that divides `range` into at most `most` bins.
fn bin_width(range: usize, most: usize) -> usize {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_usize.pow(power)));
    steps.into_iter().find(|width| range.div_ceil(*width) <= most).unwrap_or(range)
}

/// Histogram of the lengths, with the limit where it is near; none without texts.
///
/// # Errors
/// When drawing fails.
pub fn chart(lengths: &Lengths, strings: &Strings) -> anyhow::Result<Option<String>> {
    let (Some(first), Some(last)) = (lengths.bins.first(), lengths.bins.last()) else {
        return Ok(None);
    };
    let top = lengths.bins.iter().map(|bin| bin.texts).max().unwrap_or(0) as f64 * 1.05;
    // A bar begins half a token before its first length and ends half a token after its last.
    let (left, end) = (first.first as f64 - 0.5, last.last as f64 + 0.5);
    let limit = lengths.max_length.filter(|_| lengths.limit_in_sight).map(|limit| limit as f64 + 0.5);
    let right = limit.map_or(end, |limit| end.max(limit * 1.02));
    let top = top.max(1.0);
    let svg = draw(left..right, top, &NUMBERS, |chart| {
        let gap = (right - left) / f64::from(SIZE.0) * 3.0;
        chart.draw_series(lengths.bins.iter().map(|bin| {
            let corners =
                [(bin.first as f64 - 0.5 + gap, 0.0), (bin.last as f64 + 0.5 - gap, bin.texts as f64)];
            Rectangle::new(corners, STRONG.filled())
        }))?;
        if let Some(limit) = limit {
            chart.draw_series(dashed([(limit, 0.0), (limit, top)], OTHER.stroke_width(5)))?;
        }
        Ok(())
    })?;
    let values = [
        ("texts", lengths.texts.to_string()),
        ("mean", format!("{:.1}", lengths.mean)),
        ("median", lengths.median.to_string()),
        ("percentile", lengths.percentile_95.to_string()),
        ("longest", lengths.longest.to_string()),
    ];
    let mut sentences = vec![strings.say("chart.lengths.description", &values)?];
    if let (Some(limit), Some(truncated)) = (lengths.max_length, lengths.truncated) {
        let values = [("limit", limit.to_string()), ("truncated", truncated.to_string())];
        sentences.push(strings.say("lengths.limit", &values)?);
    }
    described(&svg, "lengths", strings, &sentences).map(Some)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::{CategoryId, Encoding, Split};
    use serde_json::json;

    use super::*;

    fn text(length: usize) -> TokenizedText {
        TokenizedText {
            id: String::new(),
            label: CategoryId(0),
            split: Split::Train,
            encoding: Encoding { input_ids: vec![0; length], ..Encoding::default() },
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

    #[test]
    fn a_limit_is_drawn_where_texts_come_near_it() {
        let bins = vec![Bin { first: 10, last: 19, texts: 3 }, Bin { first: 20, last: 29, texts: 1 }];
        let drawn = |max_length, truncated| {
            let all = Lengths {
                texts: 4,
                mean: 17.5,
                median: 15,
                percentile_95: 25,
                longest: 25,
                max_length,
                limit_in_sight: max_length == Some(25),
                truncated,
                bins: bins.clone(),
            };
            chart(
                &all,
                &crate::strings::read([include_str!("../../../templates/sections/training.html")]).unwrap(),
            )
            .unwrap()
            .unwrap()
        };
        let svg = drawn(Some(25), Some(2));
        for part in ["Length (tokens)", "Number of texts", "median 15", "25 tokens", "2 texts were truncated"]
        {
            assert!(svg.contains(part), "{part} is missing");
        }
        assert_eq!(svg.matches("fill=\"#1F4E8C\"").count(), 2, "two bars");
        let line = "stroke=\"#B24614\"";
        assert!(svg.contains(line));
        assert!(!drawn(Some(512), Some(0)).contains(line), "far away");
        let unknown = drawn(None, None);
        assert!(!unknown.contains(line) && !unknown.contains("truncated"));
    }
}
