//! The numbers of scikit-learn's `classification_report(answer, prediction)`.
//!
//! All categories of the corpus count, as with `labels=range(len(categories))`: a category without test texts
//! and predictions scores 0 and lowers the macro average. Divisions by zero give 0 (`zero_division=0`).

use anyhow::ensure;
use midashi_artifacts::{Averages, ClassMetrics, Metrics, Predictions};

/// Accuracy, precision, recall, F1 and the confusion matrix; the optional parts are empty.
///
/// # Errors
/// When a row names a category that `predictions.categories` does not have.
pub fn metrics(predictions: &Predictions) -> anyhow::Result<Metrics> {
    let labels = predictions.categories.clone();
    let confusion = confusion_matrix(predictions)?;
    let per_class: Vec<ClassMetrics> =
        labels.iter().enumerate().map(|(at, label)| class_metrics(at, label, &confusion)).collect();
    let test_rows: u64 = confusion.iter().flatten().sum();
    let correct: u64 = (0..labels.len()).map(|at| confusion[at][at]).sum();
    let macro_average = average(&per_class, |_| 1);
    let weighted_average = average(&per_class, |class| class.support);
    Ok(Metrics {
        accuracy: share(correct, test_rows),
        macro_f1: macro_average.f1,
        weighted_f1: weighted_average.f1,
        macro_average,
        weighted_average,
        per_class,
        confusion,
        labels,
        test_rows,
        ..Metrics::default()
    })
}

/// `[i][j]`: texts of category `i` that were classified as `j`.
fn confusion_matrix(predictions: &Predictions) -> anyhow::Result<Vec<Vec<u64>>> {
    let count = predictions.categories.len();
    let mut confusion = vec![vec![0; count]; count];
    for row in &predictions.rows {
        for category in [row.label, row.predicted] {
            ensure!(
                category.index() < count,
                "text {}: category {} of {count}; run `make tokenize` again to remake the labels",
                row.id,
                category.index()
            );
        }
        confusion[row.label.index()][row.predicted.index()] += 1;
    }
    Ok(confusion)
}

fn class_metrics(at: usize, label: &str, confusion: &[Vec<u64>]) -> ClassMetrics {
    let (correct, support, predicted) = counts(at, confusion);
    let scores = Averages {
        precision: share(correct, predicted),
        recall: share(correct, support),
        f1: f1(at, confusion),
    };
    ClassMetrics { label: label.to_owned(), scores, support }
}

/// The unweighted mean F1 of the categories.
pub fn macro_f1(confusion: &[Vec<u64>]) -> f64 {
    let sum: f64 = (0..confusion.len()).map(|at| f1(at, confusion)).sum();
    if confusion.is_empty() { 0.0 } else { sum / confusion.len() as f64 }
}

/// 2·P·R / (P + R), with the divisions by `predicted` and `support` cancelled.
fn f1(at: usize, confusion: &[Vec<u64>]) -> f64 {
    let (correct, support, predicted) = counts(at, confusion);
    share(2 * correct, predicted + support)
}

/// The correct predictions, the texts (support) and the predictions of one category.
fn counts(at: usize, confusion: &[Vec<u64>]) -> (u64, u64, u64) {
    (confusion[at][at], confusion[at].iter().sum(), confusion.iter().map(|row| row[at]).sum())
}

/// The mean of the classes' scores, weighted by `weight`.
fn average(classes: &[ClassMetrics], weight: impl Fn(&ClassMetrics) -> u64) -> Averages {
    let total: u64 = classes.iter().map(&weight).sum();
    let mean = |score: fn(&Averages) -> f64| {
        let sum: f64 = classes.iter().map(|class| score(&class.scores) * weight(class) as f64).sum();
        if total == 0 { 0.0 } else { sum / total as f64 }
    };
    Averages {
        precision: mean(|scores| scores.precision),
        recall: mean(|scores| scores.recall),
        f1: mean(|scores| scores.f1),
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use midashi_artifacts::{CategoryId, Prediction};
    use serde::Deserialize;

    use super::*;

    /// One case of `tests/fixtures/metrics_reference.json`: scikit-learn's results for two lists.
    #[derive(Deserialize)]
    pub(crate) struct Reference {
        pub(crate) name: String,
        categories: Vec<String>,
        answer: Vec<u16>,
        prediction: Vec<u16>,
        confusion: Vec<Vec<u64>>,
        accuracy: f64,
        per_class: Vec<(f64, f64, f64, u64)>,
        macro_average: (f64, f64, f64),
        weighted_average: (f64, f64, f64),
        pub(crate) printed: String,
        /// As `printed`, with the arguments swapped.
        pub(crate) swapped: String,
    }

    impl Reference {
        pub(crate) fn all() -> Vec<Self> {
            serde_json::from_str(include_str!("../tests/fixtures/metrics_reference.json")).unwrap()
        }

        pub(crate) fn predictions(&self) -> Predictions {
            predictions(&self.categories, &self.answer, &self.prediction)
        }

        pub(crate) fn metrics(&self) -> Metrics {
            metrics(&self.predictions()).unwrap()
        }
    }

    fn predictions(categories: &[String], answer: &[u16], prediction: &[u16]) -> Predictions {
        let row = |(&label, &predicted): (&u16, &u16)| Prediction {
            id: "x".into(),
            label: CategoryId(label),
            predicted: CategoryId(predicted),
            probabilities: vec![],
        };
        Predictions {
            categories: categories.to_vec(),
            rows: answer.iter().zip(prediction).map(row).collect(),
        }
    }

    fn assert_same(found: Averages, expected: (f64, f64, f64), what: &str) {
        let (precision, recall, f1) = expected;
        for (found, expected) in [(found.precision, precision), (found.recall, recall), (found.f1, f1)] {
            assert!((found - expected).abs() < 1e-14, "{what}: {found}, scikit-learn has {expected}");
        }
    }

    #[test]
    fn the_numbers_are_those_of_scikit_learn() {
        for case in Reference::all() {
            let metrics = case.metrics();
            assert_eq!(metrics.confusion, case.confusion, "{}", case.name);
            assert_eq!(metrics.test_rows as usize, case.answer.len(), "{}", case.name);
            assert!((metrics.accuracy - case.accuracy).abs() < 1e-14, "{}", case.name);
            assert_eq!(metrics.per_class.len(), case.per_class.len());
            for (class, &(precision, recall, f1, support)) in metrics.per_class.iter().zip(&case.per_class) {
                assert_same(
                    class.scores,
                    (precision, recall, f1),
                    &format!("{}, {}", case.name, class.label),
                );
                assert_eq!(class.support, support, "{}, {}", case.name, class.label);
            }
            assert_same(metrics.macro_average, case.macro_average, &case.name);
            assert_same(metrics.weighted_average, case.weighted_average, &case.name);
            assert_eq!(metrics.macro_f1, metrics.macro_average.f1);
            assert_eq!(metrics.weighted_f1, metrics.weighted_average.f1);
        }
    }

    #[test]
    fn no_test_texts_score_zero() {
        let metrics = metrics(&predictions(&["a".into(), "b".into()], &[], &[])).unwrap();
        assert_eq!((metrics.accuracy, metrics.macro_f1, metrics.weighted_f1), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_category_without_a_name_is_refused() {
        let error = metrics(&predictions(&["a".into()], &[0], &[1])).unwrap_err().to_string();
        assert!(error.starts_with("text x: category 1 of 1"), "{error}");
    }
}
