//! Charts of loss, accuracy and learning rates.

use anyhow::Result;
use plotters::prelude::*;

use super::epochs::{Epoch, Step, Training, Validation};
use crate::chart::{
    Axes, NUMBERS, OTHER, PALE, STRONG, dashed, described, draw, percent, scientific, short, whole,
};
use midashi_page::{Bilingual, Strings};

/// Loss over the steps as means over texts, mean loss per epoch, and validation loss if there is one; none without
/// steps.
pub fn loss(training: &Training, strings: &Strings) -> Result<Option<String>> {
    let Some(range) = steps(training) else { return Ok(None) };
    let steps = losses(training);
    let validation =
        || training.epochs.iter().filter_map(|e| Some((e.last_step as f64, e.validation.as_ref()?.loss)));
    let heights = steps.iter().map(|point| point.1).chain(validation().map(|point| point.1));
    let top = heights.filter(|loss| loss.is_finite()).fold(0.0, f64::max) * 1.05;
    let svg = draw(range, top.max(1e-3), &NUMBERS, |chart| {
        chart.draw_series(LineSeries::new(steps.iter().copied(), PALE.stroke_width(3)))?;
        for epoch in &training.epochs {
            let (from, to) = (epoch.first_step as f64 - 1.0, epoch.last_step as f64);
            let mean = epoch.mean_loss;
            chart.draw_series(LineSeries::new([(from, mean), (to, mean)], STRONG.stroke_width(7)))?;
        }
        chart.draw_series(validation().map(|point| TriangleMarker::new(point, 14, OTHER.filled())))?;
        Ok(())
    })?;
    let number = |loss: f64| format!("{loss:.3}");
    let sentences = by_epoch(training, strings, "loss", |epoch| number(epoch.mean_loss), |v| number(v.loss))?;
    described(&svg, "loss", strings, &sentences).map(Some)
}

/// Training accuracy per epoch, and validation accuracy if there is one; none without epochs.
pub fn accuracy(training: &Training, strings: &Strings) -> Result<Option<String>> {
    let (Some(first), Some(last)) = (training.epochs.first(), training.epochs.last()) else {
        return Ok(None);
    };
    let learning = || training.epochs.iter().map(|epoch| (epoch.epoch as f64, epoch.accuracy));
    let validation =
        || training.epochs.iter().filter_map(|e| Some((e.epoch as f64, e.validation.as_ref()?.accuracy)));
    let axes = Axes { x_labels: training.epochs.len().min(12), x_label: whole, y_label: percent };
    let svg = draw(first.epoch as f64 - 0.5..last.epoch as f64 + 0.5, 1.05, &axes, |chart| {
        chart.draw_series(LineSeries::new(learning(), STRONG.stroke_width(5)))?;
        chart.draw_series(learning().map(|point| Circle::new(point, 10, STRONG.filled())))?;
        chart.draw_series(dashed(validation(), OTHER.stroke_width(5)))?;
        chart.draw_series(validation().map(|point| TriangleMarker::new(point, 14, OTHER.filled())))?;
        Ok(())
    })?;
    let number = |share: f64| format!("{:.1}%", 100.0 * share);
    let sentences =
        by_epoch(training, strings, "accuracy", |epoch| number(epoch.accuracy), |v| number(v.accuracy))?;
    described(&svg, "accuracy", strings, &sentences).map(Some)
}

/// Learning rates of encoder and classifier; none without steps.
pub fn learning_rates(training: &Training, strings: &Strings) -> Result<Option<String>> {
    let Some(range) = steps(training) else { return Ok(None) };
    let rates = [thinned(training, |step| step.encoder), thinned(training, |step| step.classifier)];
    let greatest = rates.each_ref().map(|rate| rate.iter().map(|point| point.1).fold(0.0, f64::max));
    let [encoder, classifier] = &rates;
    let top = greatest[0].max(greatest[1]) * 1.05;
    let axes = Axes { x_labels: 6, x_label: short, y_label: scientific };
    let svg = draw(range, top.max(1e-12), &axes, |chart| {
        chart.draw_series(LineSeries::new(encoder.iter().copied(), STRONG.stroke_width(5)))?;
        chart.draw_series(dashed(classifier.clone(), OTHER.stroke_width(5)))?;
        Ok(())
    })?;
    let [encoder, classifier] = greatest.map(scientific);
    let sentence =
        strings.say("chart.rates.description", &[("encoder", encoder), ("classifier", classifier)])?;
    described(&svg, "rates", strings, &[sentence]).map(Some)
}

/// The horizontal axis, from before the first step to after the last.
fn steps(training: &Training) -> Option<std::ops::Range<f64>> {
    let (first, last) = (training.steps.first()?.step as f64, training.steps.last()?.step as f64);
    Some(first - 1.0..last.max(first + 1.0))
}

/// A page 1,000 pixels wide cannot show more points.
const MOST_POINTS: usize = 500;

/// The loss over the steps. Each point is a mean over the texts of one or more neighbouring steps of an epoch, at
/// least as many texts as the largest step has. The last step of an epoch is often smaller; it is part of the point
/// before it, because the mean of a few texts would be a spike of chance.
fn losses(training: &Training) -> Vec<(f64, f64)> {
    let texts_of = |steps: &[Step]| steps.iter().map(|step| step.texts).sum::<i64>();
    let largest = training.steps.iter().map(|step| step.texts).max().unwrap_or(0);
    let each = largest.max(texts_of(&training.steps) / MOST_POINTS as i64).max(1);
    let ends: Vec<i64> = training.epochs.iter().map(|epoch| epoch.last_step).collect();
    let mut points = Vec::new();
    for epoch in training.steps.split_inclusive(|step| ends.contains(&step.step)) {
        let mut rest = epoch;
        while !rest.is_empty() {
            let mut count = rest.len();
            let enough = (1..rest.len()).find(|&count| texts_of(&rest[..count]) >= each);
            if let Some(enough) = enough.filter(|&enough| texts_of(&rest[enough..]) >= each) {
                count = enough;
            }
            let (point, after) = rest.split_at(count);
            points.push(mean_of(point));
            rest = after;
        }
    }
    points
}

/// The middle of some steps, and the mean loss of their texts.
fn mean_of(steps: &[Step]) -> (f64, f64) {
    let texts = steps.iter().map(|step| step.texts as f64).sum::<f64>();
    let mean = |value: fn(&Step) -> f64| {
        steps.iter().map(|step| value(step) * step.texts as f64).sum::<f64>() / texts
    };
    (mean(|step| step.step as f64), mean(|step| step.loss))
}

/// A value per step, or means over neighbouring steps if there are many.
fn thinned(training: &Training, value: fn(&Step) -> f64) -> Vec<(f64, f64)> {
    let together = training.steps.len().div_ceil(MOST_POINTS).max(1);
    let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let steps = training.steps.chunks(together).map(|steps| {
        let step = mean(&mut steps.iter().map(|step| step.step as f64), steps.len());
        (step, mean(&mut steps.iter().map(value), steps.len()))
    });
    steps.collect()
}

/// The description of a chart by epoch, with a second sentence if there is a validation split.
fn by_epoch(
    training: &Training,
    strings: &Strings,
    name: &str,
    of_epoch: impl Fn(&Epoch) -> String,
    of_validation: impl Fn(&Validation) -> String,
) -> Result<Vec<Bilingual>> {
    let listed = |value: &dyn Fn(&Epoch) -> Option<String>| {
        let epochs = training.epochs.iter();
        let values = epochs.filter_map(|epoch| Some(format!("{}: {}", epoch.epoch, value(epoch)?)));
        values.collect::<Vec<_>>().join("; ")
    };
    let learning = listed(&|epoch| Some(of_epoch(epoch)));
    let validation = listed(&|epoch| epoch.validation.as_ref().map(&of_validation));
    let mut sentences = vec![strings.say(&format!("chart.{name}.description"), &[("epochs", learning)])?];
    if !validation.is_empty() {
        sentences.push(strings.say("chart.validation", &[("epochs", validation)])?);
    }
    Ok(sentences)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn strings() -> Strings {
        crate::strings::read([include_str!("../../../templates/sections/training.html")]).unwrap()
    }

    fn epoch_until(epoch: i64, last_step: i64) -> Epoch {
        Epoch {
            epoch,
            first_step: 1,
            last_step,
            summed_loss: 0.0,
            mean_loss: 0.0,
            accuracy: 0.0,
            validation: None,
        }
    }

    #[test]
    fn every_point_of_the_loss_is_a_mean_over_texts() {
        let step = |step, texts, loss| Step { step, texts, loss, ..Step::default() };
        // Two epochs of two full batches and a last one of five texts, whose loss is far off by chance.
        let steps = vec![
            step(1, 32, 2.0),
            step(2, 32, 1.5),
            step(3, 5, 9.0),
            step(4, 32, 1.0),
            step(5, 32, 0.5),
            step(6, 5, 8.0),
        ];
        let training = Training { steps, epochs: vec![epoch_until(1, 3), epoch_until(2, 6)] };
        let points = losses(&training);
        let second = (32.0 * 1.5 + 5.0 * 9.0) / 37.0;
        let fourth = (32.0 * 0.5 + 5.0 * 8.0) / 37.0;
        let expected = [2.0, second, 1.0, fourth];
        assert_eq!(points.len(), 4, "{points:?}");
        for (found, expected) in points.iter().zip(expected) {
            assert!((found.1 - expected).abs() < 1e-12, "{points:?}");
        }
        assert_eq!(points[0].0, 1.0);
        assert!(points[1].0 > 2.0 && points[1].0 < 3.0, "between its steps: {points:?}");
        // The mean over all points, weighted by their texts, is that over all texts.
        let all = 32.0 * 2.0 + 37.0 * second + 32.0 * 1.0 + 37.0 * fourth;
        let whole: f64 = training.steps.iter().map(|step| step.loss * step.texts as f64).sum();
        assert!((all - whole).abs() < 1e-9);
    }

    #[test]
    fn a_long_trainings_loss_has_few_points() {
        let steps = (1..=2_003).map(|step| Step { step, texts: 8, loss: 1.0, ..Step::default() }).collect();
        let points = losses(&Training { steps, epochs: vec![epoch_until(1, 2_003)] });
        assert!((400..=MOST_POINTS).contains(&points.len()), "{}", points.len());
        assert!(points.windows(2).all(|two| two[0].0 < two[1].0));
    }

    #[test]
    fn long_trainings_are_drawn_with_few_points() {
        let steps: Vec<_> =
            (1..=2_000).map(|step| Step { step, loss: step as f64, ..Step::default() }).collect();
        let training = Training { steps, epochs: vec![] };
        let points = thinned(&training, |step| step.loss);
        assert_eq!(points.len(), 500);
        assert_eq!(points[0], (2.5, 2.5), "the mean of steps 1 to 4");
    }

    #[test]
    fn a_loss_that_is_no_number_still_makes_a_chart() {
        let step = |step, loss| Step { step, loss, texts: 1, ..Step::default() };
        let training = Training { steps: vec![step(1, f64::NAN), step(2, f64::INFINITY)], epochs: vec![] };
        assert!(loss(&training, &strings()).unwrap().is_some());
        assert!(learning_rates(&training, &strings()).unwrap().is_some(), "rates of 0");
    }

    #[test]
    fn no_training_has_no_charts() {
        let none = Training { steps: vec![], epochs: vec![] };
        assert_eq!(loss(&none, &strings()).unwrap(), None);
        assert_eq!(accuracy(&none, &strings()).unwrap(), None);
        assert_eq!(learning_rates(&none, &strings()).unwrap(), None);
    }

    #[test]
    fn validation_has_other_marks_and_is_described() {
        let epoch = |epoch, validation| Epoch {
            epoch,
            first_step: epoch,
            last_step: epoch,
            summed_loss: 0.0,
            mean_loss: 0.5,
            accuracy: 0.25,
            validation,
        };
        let drawn = |validation| {
            let training =
                Training { steps: vec![], epochs: vec![epoch(1, validation), epoch(2, validation)] };
            accuracy(&training, &strings()).unwrap().unwrap()
        };
        let (without, with) = (drawn(None), drawn(Some(Validation { loss: 0.5, accuracy: 0.125 })));
        assert_eq!(
            (without.matches("<polygon").count(), with.matches("<polygon").count()),
            (0, 2),
            "triangles"
        );
        assert!(without.contains("1: 25.0%; 2: 25.0%") && !without.contains("12.5%"));
        assert!(with.contains("1: 12.5%; 2: 12.5%"));
    }
}
