//! The charts, as SVG that stands in the page.
//!
//! plotters writes colours into attributes. Each colour here is the one of the light page; the
//! style sheet finds it by its attribute and exchanges it on a dark page.

use std::ops::Range;

use anyhow::Context;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::report::{Lengths, Training};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Units of the view box. plotters rounds to whole units, so they are finer than pixels: the page
/// shows a chart at about half this size.
const SIZE: (u32, u32) = (960, 600);
const FONT: (&str, u32) = ("sans-serif", 35);

/// Axes and text.
const INK: RGBColor = RGBColor(0x5b, 0x64, 0x72);
const GRID: RGBColor = RGBColor(0xe1, 0xe5, 0xea);
/// Single steps.
const PALE: RGBColor = RGBColor(0xa9, 0xc1, 0xdf);
/// What the chart is about.
const STRONG: RGBColor = RGBColor(0x1f, 0x4e, 0x8c);
/// The validation split.
const OTHER: RGBColor = RGBColor(0xb2, 0x46, 0x14);

/// Loss per step, mean loss per epoch and, where there is one, validation loss; none without steps.
///
/// # Errors
/// When drawing fails.
pub fn loss(training: &Training) -> anyhow::Result<Option<String>> {
    let (Some(first), Some(last)) = (training.steps.first(), training.steps.last()) else {
        return Ok(None);
    };
    let steps = thinned(training);
    let validation =
        || training.epochs.iter().filter_map(|e| Some((e.last_step as f64, e.validation.as_ref()?.loss)));
    let heights = steps.iter().map(|point| point.1).chain(validation().map(|point| point.1));
    let top = heights.filter(|loss| loss.is_finite()).fold(0.0, f64::max) * 1.05;
    let range = (first.step as f64 - 1.0)..(last.step as f64).max(first.step as f64 + 1.0);
    let svg = draw(|area| {
        let mut chart = axes(area, range, top.max(1e-3), "Optimiser step", "Loss (nats per text)")?;
        chart.draw_series(LineSeries::new(steps.iter().copied(), PALE.stroke_width(3)))?;
        for epoch in &training.epochs {
            let (from, to) = (epoch.first_step as f64 - 1.0, epoch.last_step as f64);
            let mean = epoch.mean_loss;
            chart.draw_series(LineSeries::new([(from, mean), (to, mean)], STRONG.stroke_width(7)))?;
        }
        chart.draw_series(validation().map(|point| TriangleMarker::new(point, 14, OTHER.filled())))?;
        Ok(())
    })?;
    let epochs: Vec<String> = training
        .epochs
        .iter()
        .map(|epoch| match &epoch.validation {
            Some(validation) => {
                format!("epoch {}: {:.3}, validation {:.3}", epoch.epoch, epoch.mean_loss, validation.loss)
            }
            None => format!("epoch {}: {:.3}", epoch.epoch, epoch.mean_loss),
        })
        .collect();
    let description = format!(
        "Line chart of {} optimiser steps, loss in nats per text. Mean loss of {}.",
        training.steps.len(),
        epochs.join("; ")
    );
    described(&svg, "loss", "Training loss", &description).map(Some)
}

/// How many texts have how many tokens; none without texts.
///
/// # Errors
/// When drawing fails.
pub fn lengths(lengths: &Lengths) -> anyhow::Result<Option<String>> {
    let (Some(first), Some(last)) = (lengths.bins.first(), lengths.bins.last()) else {
        return Ok(None);
    };
    let top = lengths.bins.iter().map(|bin| bin.texts).max().unwrap_or(0) as f64 * 1.05;
    // A bar reaches from half a token below its first length to half a token above its last.
    let (left, right) = (first.first as f64 - 0.5, last.last as f64 + 0.5);
    let svg = draw(|area| {
        let mut chart = axes(area, left..right, top.max(1.0), "Length (tokens)", "Number of texts")?;
        let gap = (right - left) / f64::from(SIZE.0) * 3.0;
        chart.draw_series(lengths.bins.iter().map(|bin| {
            let corners =
                [(bin.first as f64 - 0.5 + gap, 0.0), (bin.last as f64 + 0.5 - gap, bin.texts as f64)];
            Rectangle::new(corners, STRONG.filled())
        }))?;
        Ok(())
    })?;
    let description = format!(
        "Histogram of {} texts by length in tokens, special tokens included. Mean {:.1}, median {}, \
         95th percentile {}, longest {}.",
        lengths.texts, lengths.mean, lengths.median, lengths.percentile_95, lengths.longest
    );
    described(&svg, "lengths", "Token lengths", &description).map(Some)
}

fn draw(fill: impl FnOnce(&Area) -> anyhow::Result<()>) -> anyhow::Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    fill(&area)?;
    area.present()?;
    drop(area);
    Ok(svg)
}

/// Empty axes: `x` to the right, 0 to `top` upwards.
fn axes<'a>(
    area: &Area<'a>,
    x: Range<f64>,
    top: f64,
    x_title: &str,
    y_title: &str,
) -> anyhow::Result<Chart<'a>> {
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(36)
        .x_label_area_size(100)
        .y_label_area_size(136)
        .build_cartesian_2d(x, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(2))
        .axis_style(INK.stroke_width(2))
        .label_style(FONT.into_font().color(&INK))
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .x_desc(x_title)
        .y_desc(y_title)
        .draw()?;
    Ok(chart)
}

/// At most this many points: a page 1,000 pixels wide shows no more.
const MOST_POINTS: usize = 500;

/// The loss per step; of long trainings the mean over neighbouring steps.
fn thinned(training: &Training) -> Vec<(f64, f64)> {
    let together = training.steps.len().div_ceil(MOST_POINTS).max(1);
    let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let steps = training.steps.chunks(together).map(|steps| {
        let step = mean(&mut steps.iter().map(|step| step.step as f64), steps.len());
        (step, mean(&mut steps.iter().map(|step| step.loss), steps.len()))
    });
    steps.collect()
}

fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Gives plotters' SVG a text alternative and lets the page choose its size.
fn described(svg: &str, name: &str, title: &str, description: &str) -> anyhow::Result<String> {
    let (_, body) = svg.split_once('>').context("plotters wrote no SVG")?;
    let (width, height) = SIZE;
    Ok(format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
         aria-labelledby=\"{name}-title {name}-description\">\n\
         <title id=\"{name}-title\">{title}</title>\n\
         <desc id=\"{name}-description\">{description}</desc>{body}"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::{Bin, StepLoss};

    #[test]
    fn long_trainings_are_drawn_with_few_points() {
        let steps: Vec<_> = (1..=2_000).map(|step| StepLoss { step, loss: step as f64 }).collect();
        let training = Training { steps, epochs: vec![] };
        let points = thinned(&training);
        assert_eq!(points.len(), 500);
        assert_eq!(points[0], (2.5, 2.5), "the mean of steps 1 to 4");
    }

    #[test]
    fn a_loss_that_is_no_number_still_makes_a_chart() {
        let steps = vec![StepLoss { step: 1, loss: f64::NAN }, StepLoss { step: 2, loss: f64::INFINITY }];
        assert!(loss(&Training { steps, epochs: vec![] }).unwrap().is_some());
        assert_eq!(loss(&Training { steps: vec![], epochs: vec![] }).unwrap(), None);
    }

    #[test]
    fn a_chart_has_axes_with_units_and_a_text_alternative() {
        let bins = vec![Bin { first: 10, last: 19, texts: 3 }, Bin { first: 20, last: 29, texts: 1 }];
        let all = Lengths { texts: 4, mean: 17.5, median: 15, percentile_95: 25, longest: 25, bins };
        let svg = lengths(&all).unwrap().unwrap();
        for part in ["role=\"img\"", "Length (tokens)", "Number of texts", "median 15"] {
            assert!(svg.contains(part), "{part} is missing");
        }
        assert_eq!(svg.matches(&format!("fill=\"#{}\"", "1F4E8C")).count(), 2, "two bars");
        assert!(!svg.contains("style="), "the page's policy forbids inline styles");
    }
}
