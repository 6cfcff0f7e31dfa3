//! `metrics.json`: accuracy and its relatives on the test split.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Faithfulness;
use crate::{Error, Result};
use midashi_stage::{atomic, require};

/// The numbers of scikit-learn's `classification_report(answer, prediction)`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// How sure accuracy and macro F1 are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// Whether the model is as sure as it is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// A linear model on the same texts; with `evaluate.baseline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineMetrics>,
    /// Both models together; with `evaluate.ensemble`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<EnsembleMetrics>,
    /// Whether the explanations say what the answers rest on; with `evaluate.explain.faithfulness_texts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faithfulness: Option<Faithfulness>,
    /// What the article's choices do to these numbers; with `compat.article` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub article: Option<ArticleMetrics>,
}

/// The middle 95 % of a score over resamples of the test split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// 2.5 % of the resamples score less.
    pub low: f64,
    /// 2.5 % of the resamples score more.
    pub high: f64,
}

/// Intervals of a model's two scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Of the share of right predictions.
    pub accuracy: Interval,
    /// Of the mean F1 over the categories.
    pub macro_f1: Interval,
}

/// What a model beside the fine-tuned one scores on the test split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Share of test texts classified rightly.
    pub accuracy: f64,
    /// Mean F1 of the categories.
    pub macro_f1: f64,
    /// How sure the two are.
    pub intervals: Intervals,
}

/// TF-IDF of character 1–4-grams with logistic regression, fitted on the training split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineMetrics {
    /// What it scores.
    #[serde(flatten)]
    pub scores: Scores,
    /// What it scores category by category.
    #[serde(flatten)]
    pub report: ClassificationReport,
    /// The fine-tuned model, first, against the baseline.
    pub mcnemar: McNemar,
}

/// The weighted mean of the fine-tuned model's and the baseline's probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsembleMetrics {
    /// The fine-tuned model's share of the mean.
    pub weight: f64,
    /// What it scores.
    #[serde(flatten)]
    pub scores: Scores,
}

/// McNemar's exact test of two models on the same texts (McNemar 1947).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Texts that only the first model gets right.
    pub only_first_right: u64,
    /// Texts that only the second model gets right.
    pub only_second_right: u64,
    /// How likely a split as uneven as this one is, if both err equally often; two-sided.
    pub p_value: f64,
}

/// With `compat.article` all other numbers are of predictions without an attention mask, as the
/// article's are, and still of `classification_report(answer, prediction)`. This is the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArticleMetrics {
    /// The table as the article prints it, of `classification_report(prediction, answer)`: what it calls
    /// precision is recall and the other way round, its supports count predictions, and so its weighted
    /// averages weigh by them. Accuracy and macro F1 are what they are.
    pub swapped: ClassificationReport,
    /// The same weights with padding masked.
    pub masked: MaskedMetrics,
    /// What padding the texts were classified with.
    pub padding: PaddingShares,
}

/// A table like scikit-learn's `classification_report`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationReport {
    /// Unweighted means over the categories.
    pub macro_average: Averages,
    /// Means over the categories, weighted by support.
    pub weighted_average: Averages,
    /// One entry per category, in the order of `labels`.
    pub per_class: Vec<ClassMetrics>,
}

/// How far the model's probabilities can be taken at their word, on the test split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Mean distance of confidence and accuracy over the bins, weighted by their texts: the expected
    /// calibration error of Guo et al. (2017), in [0, 1].
    pub expected_calibration_error: f64,
    /// Mean squared distance of the probabilities from the truth, summed over the categories (Brier 1950),
    /// in [0, 2].
    pub brier_score: f64,
    /// Side by side over [0, 1], equally wide.
    pub bins: Vec<CalibrationBin>,
}

/// The texts whose most probable category has a probability in `(low, high]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Not in the bin, but that 0 is in the first.
    pub low: f64,
    /// In the bin.
    pub high: f64,
    /// How many.
    pub texts: u64,
    /// Mean probability of their most probable category; 0 without texts.
    pub confidence: f64,
    /// Share classified rightly; 0 without texts.
    pub accuracy: f64,
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

impl From<Metrics> for ClassificationReport {
    fn from(metrics: Metrics) -> Self {
        let Metrics { macro_average, weighted_average, per_class, .. } = metrics;
        Self { macro_average, weighted_average, per_class }
    }
}

impl McNemar {
    /// Whether the models' difference can be told from chance, at the usual 5 %.
    pub fn is_significant(&self) -> bool {
        self.p_value < 0.05
    }
}

impl fmt::Display for McNemar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("McNemar's exact test, p ")?;
        if self.p_value < 0.0001 { f.write_str("< 0.0001") } else { write!(f, "= {:.4}", self.p_value) }
    }
}

impl Metrics {
    /// Writes `metrics.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(Error::encode(path))?;
        Ok(atomic::write_bytes(path, text.as_bytes())?)
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
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path, stage: &'static str) -> Result<T> {
    require(path, stage)?;
    let text = std::fs::read(path).map_err(Error::io("read", path))?;
    serde_json::from_slice(&text).map_err(|error| crate::files::bad_artifact(path, stage)(&error))
}
