//! The numbers of scikit-learn's `classification_report(answer, prediction)`.
//!
//! All categories of the corpus count, as with `labels=range(len(categories))`: a category without test texts
//! and predictions scores 0 and lowers the macro average. Divisions by zero give 0 (`zero_division=0`).

use anyhow::ensure;
use midashi_artifacts::{Averages, CategoryId, ClassMetrics, Confusion, Metrics, Predictions};

/// Accuracy, precision, recall, F1 and the confusion matrix; the optional parts are empty.
///
/// # Errors
/// When a row names a category that `predictions.categories` does not have.
pub fn metrics(predictions: &Predictions) -> anyhow::Result<Metrics> {
    let labels = predictions.categories.clone();
    check(predictions)?;
    let pairs = || predictions.rows.iter().map(|row| (row.label, row.predicted));
    let counts = Counts::of(labels.len(), pairs());
    let per_class: Vec<ClassMetrics> =
        labels.iter().enumerate().map(|(at, label)| counts.class_metrics(at, label)).collect();
    let macro_average = average(&per_class, |_| 1);
    let weighted_average = average(&per_class, |class| class.support);
    Ok(Metrics {
        accuracy: counts.accuracy(),
        macro_f1: macro_average.f1,
        weighted_f1: weighted_average.f1,
        macro_average,
        weighted_average,
        per_class,
        confusion: Confusion::of(labels.len(), pairs()),
        labels,
        test_rows: counts.texts,
        ..Metrics::default()
    })
}

fn check(predictions: &Predictions) -> anyhow::Result<()> {
    let count = predictions.categories.len();
    for row in &predictions.rows {
        for category in [row.label, row.predicted] {
            ensure!(
                category.index() < count,
                "text {}: category {} of {count}; run `make tokenize` again to remake the labels",
                row.id,
                category.index()
            );
        }
    }
    Ok(())
}

/// The numbers that scores are made of, by category: as much memory as categories, where a confusion matrix takes their square.
pub struct Counts {
    /// The correct predictions.
    correct: Vec<u64>,
    /// The texts (support).
    support: Vec<u64>,
    /// The predictions.
    predicted: Vec<u64>,
    /// All texts.
    texts: u64,
}

impl Counts {
    /// Counts texts by their true and predicted categories, whose indices are below `categories`.
    pub fn of(categories: usize, texts: impl Iterator<Item = (CategoryId, CategoryId)>) -> Self {
        let none = || vec![0; categories];
        let mut counts = Self { correct: none(), support: none(), predicted: none(), texts: 0 };
        for (label, predicted) in texts {
            counts.texts += 1;
            counts.support[label.index()] += 1;
            counts.predicted[predicted.index()] += 1;
            counts.correct[label.index()] += u64::from(label == predicted);
        }
        counts
    }

    /// The share of correct predictions.
    pub fn accuracy(&self) -> f64 {
        share(self.correct.iter().sum(), self.texts)
    }

    /// Number of categories that are neither a label nor a prediction.
    pub fn unseen(&self) -> usize {
        (0..self.support.len()).filter(|&at| self.predicted[at] + self.support[at] == 0).count()
    }

    /// The unweighted mean F1 of the categories that are not [`unseen`](Self::unseen), and of so many `absent` ones, whose F1
    /// is 0.
    pub fn macro_f1(&self, absent: usize) -> f64 {
        let count = self.support.len() - self.unseen() + absent;
        let sum: f64 = (0..self.support.len()).map(|at| self.f1(at)).sum();
        if count == 0 { 0.0 } else { sum / count as f64 }
    }

    fn class_metrics(&self, at: usize, label: &str) -> ClassMetrics {
        let scores = Averages {
            precision: share(self.correct[at], self.predicted[at]),
            recall: share(self.correct[at], self.support[at]),
            f1: self.f1(at),
        };
        ClassMetrics { label: label.to_owned(), scores, support: self.support[at] }
    }

    /// 2·P·R / (P + R), with the divisions by `predicted` and `support` cancelled.
    fn f1(&self, at: usize) -> f64 {
        share(2 * self.correct[at], self.predicted[at] + self.support[at])
    }
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
    use midashi_artifacts::{MAX_CATEGORIES, Prediction};
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
            assert_eq!(metrics.confusion.matrix(), case.confusion, "{}", case.name);
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
    fn the_most_categories_are_measured_by_their_texts() {
        // Of the predictions of the first two categories one is right, and all others have no text.
        let names: Vec<String> = (0..MAX_CATEGORIES).map(|at| at.to_string()).collect();
        let last = (MAX_CATEGORIES - 1) as u16;
        let metrics = metrics(&predictions(&names, &[0, 1, last], &[0, 0, 1])).unwrap();
        assert_eq!((metrics.test_rows, metrics.accuracy), (3, 1.0 / 3.0));
        assert_eq!(metrics.per_class[0].scores, Averages { precision: 0.5, recall: 1.0, f1: 2.0 / 3.0 });
        assert_eq!(metrics.confusion.at(CategoryId(last), CategoryId(1)), 1);
        assert!((metrics.macro_f1 - 2.0 / 3.0 / MAX_CATEGORIES as f64).abs() < 1e-18);
    }

    #[test]
    fn a_category_without_a_name_is_refused() {
        let error = metrics(&predictions(&["a".into()], &[0], &[1])).unwrap_err().to_string();
        assert!(error.starts_with("text x: category 1 of 1"), "{error}");
    }
}
