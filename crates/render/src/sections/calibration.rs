//! Calibration: the reliability diagram.

use anyhow::{Context, Result};
use midashi_artifacts::{Calibration, CalibrationBin};
use minijinja::Value;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::artifacts::Artifacts;
use crate::chart::{Axes, FONT, INK, OTHER, PALE, STRONG, dashed, described, draw, percent};
use midashi_page::Strings;

/// The reliability diagram; none without calibration.
pub fn section(artifacts: &Artifacts, strings: &Strings) -> Result<Option<Value>> {
    let calibration = artifacts.metrics.calibration.as_ref();
    let chart = calibration.map(|calibration| reliability(calibration, strings)).transpose();
    Ok(chart.context("cannot draw the reliability diagram")?.map(Value::from))
}

/// A bar per bin with its accuracy and its number of texts, a mark at its mean confidence, and the diagonal of
/// perfect calibration.
fn reliability(calibration: &Calibration, strings: &Strings) -> Result<String> {
    let bins = || calibration.bins.iter().filter(|bin| bin.texts > 0);
    let axes = Axes { x_labels: 11, x_label: percent, y_label: percent };
    // The numbers need room above the bars.
    let svg = draw(0.0..1.0, 1.1, &axes, |chart| {
        chart.draw_series(bins().map(|bin| Rectangle::new(bar(bin), PALE.filled())))?;
        chart.draw_series(bins().map(|bin| Rectangle::new(bar(bin), STRONG.stroke_width(3))))?;
        chart.draw_series(dashed([(0.0, 0.0), (1.0, 1.0)], INK.stroke_width(3)))?;
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
        let strings =
            crate::strings::read([include_str!("../../templates/sections/calibration.html")]).unwrap();
        let svg = reliability(&calibration, &strings).unwrap();
        assert_eq!(svg.matches("fill=\"#A9C1DF\"").count(), 2);
        assert_eq!(svg.matches("<polygon").count(), 2);
        for part in [">\n12\n</text>", ">\n345\n</text>", "50–60%: 50.0% (12)", "0.0432"] {
            assert!(svg.contains(part), "{part} is missing:\n{svg}");
        }
    }
}
