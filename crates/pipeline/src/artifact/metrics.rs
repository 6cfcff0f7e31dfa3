//! `metrics.json`: accuracy and its relatives on the test split.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::folder::require;
use crate::{Error, Result, atomic};

/// The numbers of scikit-learn's `classification_report(answer, prediction)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Share of test texts classified rightly.
    pub accuracy: f64,
    /// Mean F1 of the categories.
    pub macro_f1: f64,
    /// Mean F1 of the categories, weighted by support.
    pub weighted_f1: f64,
    /// Unweighted means over the categories.
    pub macro_average: Averages,
    /// Means over the categories, weighted by support.
    pub weighted_average: Averages,
    /// One entry per category, in the order of `labels`.
    pub per_class: Vec<ClassMetrics>,
    /// `confusion[i][j]`: texts of category `i` that were classified as `j`.
    pub confusion: Vec<Vec<u64>>,
    /// Category names.
    pub labels: Vec<String>,
    /// Number of test texts.
    pub test_rows: u64,
    /// What the article's choices do to these numbers; with `compat.article` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub article: Option<ArticleMetrics>,
}

/// With `compat.article` all other numbers are of predictions without an attention mask, as the
/// article's are, and still of `classification_report(answer, prediction)`. This is the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArticleMetrics {
    /// The table as the article prints it.
    pub swapped: SwappedReport,
    /// The same weights with padding masked.
    pub masked: MaskedMetrics,
    /// What padding the texts were classified with.
    pub padding: PaddingShares,
}

/// The numbers of `classification_report(prediction, answer)`: what it calls precision is recall and
/// the other way round, its support counts predictions, and so its weighted averages weigh by them.
/// Accuracy and macro F1 are what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwappedReport {
    /// Unweighted means over the categories.
    pub macro_average: Averages,
    /// Means over the categories, weighted by how often each was predicted.
    pub weighted_average: Averages,
    /// One entry per category, in the order of `labels`; `support` is how often it was predicted.
    pub per_class: Vec<ClassMetrics>,
}

/// The same weights with padding masked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskedMetrics {
    /// Share of test texts classified rightly.
    pub accuracy: f64,
    /// Mean F1 of the categories.
    pub macro_f1: f64,
    /// Number of test texts that are classified as something else than without a mask.
    pub changed_predictions: u64,
}

/// How much of a text's batch is padding, as means over the test texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaddingShares {
    /// Share of the positions that `[CLS]` could attend to.
    pub positions: f64,
    /// Share of the last layer's attention of `[CLS]`, over all heads.
    pub attention: f64,
}

/// Precision, recall and F1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Averages {
    /// Of the texts classified so, the share that is so; 0 when there are none.
    pub precision: f64,
    /// Of the texts that are so, the share classified so; 0 when there are none.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 when both are 0.
    pub f1: f64,
}

/// One category's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// The category's name.
    pub label: String,
    /// Precision, recall and F1.
    #[serde(flatten)]
    pub scores: Averages,
    /// Number of test texts of this category.
    pub support: u64,
}

impl Metrics {
    /// Writes `metrics.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(Error::encode(path))?;
        atomic::write_bytes(path, text.as_bytes())
    }

    /// Reads `metrics.json`.
    ///
    /// # Errors
    /// When the file is missing or is not what [`Metrics::write`] writes.
    pub fn read(path: &Path) -> Result<Self> {
        read_json(path, "evaluate")
    }
}

/// Reads a JSON artifact made by `stage`.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path, stage: &'static str) -> Result<T> {
    require(path, stage)?;
    let text = std::fs::read(path).map_err(Error::io("read", path))?;
    serde_json::from_slice(&text).map_err(|error| super::files::bad_artifact(path, stage)(&error))
}
