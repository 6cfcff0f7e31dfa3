//! Reliability diagram: how often the model is right, where it is how sure.

use anyhow::Result;
use midashi_artifacts::{Calibration, CalibrationBin};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Axes, DASHES, FONT, INK, OTHER, PALE, STRONG, described, draw, percent};
use crate::strings::Strings;

/// A bar per bin with its accuracy and the number of its texts, a mark at its mean confidence, and the
/// diagonal on which both are the same.
///
/// # Errors
/// When drawing fails.
pub fn reliability(calibration: &Calibration, strings: &Strings) -> Result<String> {
    let bins = || calibration.bins.iter().filter(|bin| bin.texts > 0);
    let axes = Axes { x_labels: 11, x_label: percent, y_label: percent };
    // Above the bars is room for their numbers.
    let svg = draw(0.0..1.0, 1.1, &axes, |chart| {
        chart.draw_series(bins().map(|bin| Rectangle::new(bar(bin), PALE.filled())))?;
        chart.draw_series(bins().map(|bin| Rectangle::new(bar(bin), STRONG.stroke_width(3))))?;
        let (dash, space) = DASHES;
        let diagonal = [(0.0, 0.0), (1.0, 1.0)];
        chart.draw_series(DashedLineSeries::new(diagonal, dash, space, INK.stroke_width(3)))?;
        chart.draw_series(
            bins().map(|bin| TriangleMarker::new((bin.confidence, bin.accuracy), 13, OTHER.filled())),
        )?;
        let style = (FONT.0, FONT.1 - 8).into_font().color(&INK).pos(Pos::new(HPos::Center, VPos::Bottom));
        chart.draw_series(bins().map(|bin| {
            let place = ((bin.low + bin.high) / 2.0, bin.accuracy.max(bin.high) + 0.015);
            Text::new(bin.texts.to_string(), place, style.clone())
        }))?;
        Ok(())
    })?;
    let listed = bins().map(|bin| {
        let [low, high] = [bin.low, bin.high].map(percent);
        format!("{low}–{high}%: {:.1}% ({})", 100.0 * bin.accuracy, bin.texts)
    });
    let values = [
        ("bins", listed.collect::<Vec<_>>().join("; ")),
        ("error", format!("{:.4}", calibration.expected_calibration_error)),
    ];
    described(&svg, "reliability", strings, &[strings.say("chart.reliability.description", &values)?])
}

fn bar(bin: &CalibrationBin) -> [(f64, f64); 2] {
    const GAP: f64 = 0.006;
    [(bin.low + GAP, 0.0), (bin.high - GAP, bin.accuracy)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_bin_with_texts_has_a_bar_a_mark_and_its_number() {
        let bin = |low: f64, texts, confidence, accuracy| CalibrationBin {
            low,
            high: low + 0.1,
            texts,
            confidence,
            accuracy,
        };
        let bins = vec![bin(0.4, 0, 0.0, 0.0), bin(0.5, 12, 0.55, 0.5), bin(0.9, 345, 0.96, 1.0)];
        let calibration = Calibration { expected_calibration_error: 0.0432, brier_score: 0.1, bins };
        let svg = reliability(&calibration, &Strings::read().unwrap()).unwrap();
        assert_eq!(svg.matches("fill=\"#A9C1DF\"").count(), 2);
        assert_eq!(svg.matches("<polygon").count(), 2);
        for part in [">\n12\n</text>", ">\n345\n</text>", "50–60%: 50.0% (12)", "0.0432"] {
            assert!(svg.contains(part), "{part} is missing:\n{svg}");
        }
    }
}
