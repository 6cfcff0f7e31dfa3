//! `metrics.json`: accuracy and other metrics on the test split.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::confusion::Confusion;
use crate::error::Result;
use crate::faithfulness::Faithfulness;
use crate::files::{read_json, write_json};
use crate::interval::Interval;

/// The numbers of scikit-learn's `classification_report(label, prediction)`, and more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Share of test texts classified correctly.
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
    /// Numbers of texts by true and predicted category.
    pub confusion: Confusion,
    /// Category names.
    pub labels: Vec<String>,
    /// Number of test texts.
    pub test_rows: u64,
    /// Confidence intervals of accuracy and macro F1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// Calibration of the probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The baseline on the same texts; with `evaluate.baseline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineMetrics>,
    /// Both models together; with `evaluate.ensemble`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<EnsembleMetrics>,
    /// Faithfulness of the explanations; with `evaluate.explain.faithfulness_texts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faithfulness: Option<Faithfulness>,
    /// Effect of the article's choices on these numbers; only with `compat.article`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub article: Option<ArticleMetrics>,
}

/// Confidence intervals of a model's two scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Interval of the accuracy.
    pub accuracy: Interval,
    /// Interval of the macro F1.
    pub macro_f1: Interval,
}

/// Scores of another model on the test split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Share of test texts classified correctly.
    pub accuracy: f64,
    /// Mean F1 of the categories.
    pub macro_f1: f64,
    /// Confidence intervals of both.
    pub intervals: Intervals,
}

/// TF-IDF of character 1–4-grams with logistic regression, fitted on the training split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineMetrics {
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
    /// Its scores by category.
    #[serde(flatten)]
    pub report: ClassificationReport,
    /// The fine-tuned model (first) against the baseline.
    pub mcnemar: McNemar,
}

/// The weighted mean of the fine-tuned model's and the baseline's probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsembleMetrics {
    /// Weight of the fine-tuned model in the mean.
    pub weight: f64,
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
}

/// McNemar's exact test of two models on the same texts (McNemar 1947).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Number of texts that only the first model classifies correctly.
    pub only_first_right: u64,
    /// Number of texts that only the second model classifies correctly.
    pub only_second_right: u64,
    /// Two-sided probability of so uneven numbers if both models err equally often.
    pub p_value: f64,
}

/// Effect of the article's choices. With `compat.article` all other numbers are of predictions without an
/// attention mask, as in the article, and still of `classification_report(label, prediction)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArticleMetrics {
    /// The article's table, of `classification_report(prediction, label)`: precision and recall are exchanged,
    /// supports count predictions, and weighted averages weigh by them. Accuracy and macro F1 are the same.
    pub swapped: ClassificationReport,
    /// Scores of the same weights with padding masked.
    pub masked: MaskedMetrics,
    /// Share of padding in the batches.
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

/// Calibration of the model's probabilities on the test split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error (Guo et al. 2017), in [0, 1]: mean distance of confidence and accuracy over
    /// the bins, weighted by their texts.
    pub expected_calibration_error: f64,
    /// Brier score (Brier 1950), in [0, 2]: mean squared distance of the probabilities from the label, summed
    /// over the categories.
    pub brier_score: f64,
    /// Bins of equal width over [0, 1].
    pub bins: Vec<CalibrationBin>,
}

/// The texts whose most probable category has a probability in `(low, high]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower end, outside the bin; 0 belongs to the first.
    pub low: f64,
    /// Upper end, inside the bin.
    pub high: f64,
    /// Number of texts.
    pub texts: u64,
    /// Mean probability of their most probable category; 0 without texts.
    pub confidence: f64,
    /// Share classified correctly; 0 without texts.
    pub accuracy: f64,
}

/// The same weights with padding masked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskedMetrics {
    /// Share of test texts classified correctly.
    pub accuracy: f64,
    /// Mean F1 of the categories.
    pub macro_f1: f64,
    /// Number of test texts whose prediction differs from the one without a mask.
    pub changed_predictions: u64,
}

/// Shares of padding, means over the test texts.
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
    /// Share of the texts predicted as this category that have it as label; 0 if there are none.
    pub precision: f64,
    /// Share of the texts with this label that are predicted as it; 0 if there are none.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 if both are 0.
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
    /// Number of test texts with this label.
    pub support: u64,
}

impl From<Metrics> for ClassificationReport {
    fn from(metrics: Metrics) -> Self {
        let Metrics { macro_average, weighted_average, per_class, .. } = metrics;
        Self { macro_average, weighted_average, per_class }
    }
}

impl McNemar {
    /// Whether the difference is significant at 5 %.
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
        write_json(path, self)
    }

    /// Reads `metrics.json`.
    ///
    /// # Errors
    /// When the file is missing or does not follow the schema.
    pub fn read(path: &Path) -> Result<Self> {
        read_json(path, "evaluate")
    }
}
