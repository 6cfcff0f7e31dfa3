//! The scores of the model's own predictions.

use anyhow::Result;
use midashi_artifacts::Metrics;

use crate::classify::TestSplit;
use crate::{article, calibration, metrics, statistics, table};

/// All metrics that need nothing but the predictions: a new metric is computed here.
pub fn score(test: &TestSplit) -> Result<Metrics> {
    let predictions = &test.predictions;
    let article = test
        .masked
        .as_ref()
        .map(|masked| article::article_metrics(predictions, masked, &test.padding))
        .transpose()?;
    Ok(Metrics {
        intervals: Some(statistics::bootstrap(predictions)),
        calibration: Some(calibration::calibration(predictions)),
        article,
        ..metrics::metrics(predictions)?
    })
}

/// The classification report for the terminal, with `compat.article` in both ways of measuring.
pub fn report(metrics: &Metrics) -> String {
    match &metrics.article {
        Some(article) => article::both_reports(metrics, article),
        None => table::classification_report(metrics),
    }
}
