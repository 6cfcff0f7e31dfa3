//! Histogram of the texts' lengths.

use anyhow::Result;
use plotters::prelude::*;

use super::{DASHES, NUMBERS, OTHER, SIZE, STRONG, described, draw};
use crate::sections::lengths::Lengths;
use crate::strings::Strings;

/// How many texts have how many tokens, with the limit where it is near; none without texts.
///
/// # Errors
/// When drawing fails.
pub fn lengths(lengths: &Lengths, strings: &Strings) -> Result<Option<String>> {
    let (Some(first), Some(last)) = (lengths.bins.first(), lengths.bins.last()) else {
        return Ok(None);
    };
    let top = lengths.bins.iter().map(|bin| bin.texts).max().unwrap_or(0) as f64 * 1.05;
    // A bar reaches from half a token below its first length to half a token above its last.
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
            let (dash, space) = DASHES;
            let line = [(limit, 0.0), (limit, top)];
            chart.draw_series(DashedLineSeries::new(line, dash, space, OTHER.stroke_width(5)))?;
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
    use super::*;
    use crate::sections::lengths::Bin;

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
            lengths(&all, &Strings::read().unwrap()).unwrap().unwrap()
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
