//! Means, percentile intervals by bootstrap, and the test of two models' difference.

use midashi_artifacts::{Interval, Intervals, McNemar, Prediction, Predictions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::metrics::Counts;

/// Resamples of the test split (Efron and Tibshirani 1993, chapter 13: at least 1,000 for percentiles).
const RESAMPLES: usize = 2000;
/// Fixed, so that the same predictions have the same interval.
const SEED: u64 = 0;

/// Percentile intervals over resampled test texts. Texts are drawn with replacement from all categories together. A
/// category that happens not to be drawn is left out of that resample's macro F1: it would count as always wrong.
pub fn bootstrap(predictions: &Predictions) -> Intervals {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let (count, categories) = (predictions.rows.len(), predictions.categories.len());
    let of = |row: &Prediction| (row.label, row.predicted);
    let absent = Counts::of(categories, predictions.rows.iter().map(of)).unseen();
    let (mut accuracies, mut f1s) = (Vec::with_capacity(RESAMPLES), Vec::with_capacity(RESAMPLES));
    for _ in 0..RESAMPLES {
        let drawn = (0..count).map(|_| &predictions.rows[rng.random_range(0..count)]);
        let resample = Counts::of(categories, drawn.map(of));
        accuracies.push(resample.accuracy());
        f1s.push(resample.macro_f1(absent));
    }
    Intervals { accuracy: percentile_interval(accuracies), macro_f1: percentile_interval(f1s) }
}

/// The percentile interval of a mean; 0 to 0 without values.
pub fn bootstrap_mean(values: &[f64]) -> Interval {
    if values.is_empty() {
        return Interval { low: 0.0, high: 0.0 };
    }
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut resample = || {
        let drawn = (0..values.len()).map(|_| values[rng.random_range(0..values.len())]);
        drawn.sum::<f64>() / values.len() as f64
    };
    percentile_interval((0..RESAMPLES).map(|_| resample()).collect())
}

/// The interval from the 2.5th to the 97.5th percentile of the resampled scores.
fn percentile_interval(mut scores: Vec<f64>) -> Interval {
    scores.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| scores[(share * (scores.len() - 1) as f64).round() as usize];
    Interval { low: at(0.025), high: at(0.975) }
}

/// The mean; 0 without numbers.
pub fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0), |(sum, count), number| (sum + number, count + 1));
    sum / f64::from(count.max(1))
}

/// McNemar's exact test of two models on the same texts; each flag is whether a prediction is correct.
pub fn mcnemar(first: &[bool], second: &[bool]) -> McNemar {
    let count = |one: &[bool], other: &[bool]| {
        one.iter().zip(other).filter(|(correct, other)| **correct && !**other).count() as u64
    };
    let (only_first_right, only_second_right) = (count(first, second), count(second, first));
    McNemar {
        only_first_right,
        only_second_right,
        p_value: two_sided_binomial(only_first_right, only_second_right),
    }
}

/// The two-sided p-value of an exact binomial test with probability 1/2.
fn two_sided_binomial(heads: u64, tails: u64) -> f64 {
    let throws = heads + tails;
    // Logarithms of C(n, k) / 2ⁿ, by the recurrence C(n, k) = C(n, k − 1) · (n − k + 1) / k.
    let mut logarithm = -(throws as f64) * std::f64::consts::LN_2;
    let mut tail = logarithm.exp();
    for k in 1..=heads.min(tails) {
        logarithm += ((throws - k + 1) as f64 / k as f64).ln();
        tail += logarithm.exp();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::CategoryId;

    use super::*;

    /// Two categories, each with `right` correct and `wrong` incorrect predictions.
    fn predictions(right: usize, wrong: usize) -> Predictions {
        let row = |label: u16, predicted: u16| Prediction {
            id: String::new(),
            label: CategoryId(label),
            predicted: CategoryId(predicted),
            probabilities: vec![],
        };
        let of = |label: u16| {
            let right = std::iter::repeat_with(move || row(label, label)).take(right);
            right.chain(std::iter::repeat_with(move || row(label, 1 - label)).take(wrong))
        };
        Predictions { categories: vec!["a".into(), "b".into()], rows: of(0).chain(of(1)).collect() }
    }

    #[test]
    fn the_interval_of_a_share_is_close_to_the_normal_one_for_many_texts() {
        // 80 % of 1,000 texts are correct: 0.8 ± 1.96 · √(0.8 · 0.2 / 1000) = 0.8 ± 0.0248.
        let Intervals { accuracy, macro_f1 } = bootstrap(&predictions(400, 100));
        for interval in [accuracy, macro_f1] {
            assert!((interval.low - 0.7752).abs() < 0.004, "{interval:?}");
            assert!((interval.high - 0.8248).abs() < 0.004, "{interval:?}");
        }
        let certain = bootstrap(&predictions(10, 0)).accuracy;
        assert_eq!((certain.low, certain.high), (1.0, 1.0));
    }

    #[test]
    fn categories_of_few_texts_do_not_lower_the_interval_of_macro_f1() {
        // A resample lacks an eighth of 100 categories with two texts each.
        let right = |label: u16| Prediction {
            id: String::new(),
            label: CategoryId(label),
            predicted: CategoryId(label),
            probabilities: vec![],
        };
        let categories: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let mut rows: Vec<Prediction> = (0..200).map(|row| right(row % 100)).collect();
        let f1 = |rows: &[Prediction]| {
            bootstrap(&Predictions { categories: categories.clone(), rows: rows.to_vec() }).macro_f1
        };
        let certain = f1(&rows);
        assert_eq!((certain.low, certain.high), (1.0, 1.0));
        // Categories 0 and 1 have one text right and one taken for the other: F1 is 0.5 for both, 0.99 in all.
        rows[0].predicted = CategoryId(1);
        rows[1].predicted = CategoryId(0);
        let found = f1(&rows);
        assert!((0.97..0.99).contains(&found.low) && found.high == 1.0, "{found:?}");
        // A category without texts counts as before: nothing of it was right.
        let of_half = f1(&rows.iter().filter(|row| row.label.index() < 50).cloned().collect::<Vec<_>>());
        assert!(of_half.high <= 0.5, "{of_half:?}");
    }

    #[test]
    fn the_interval_of_a_mean_is_close_to_the_normal_one_for_many_values() {
        // 0, 1, …, 999: mean 499.5, standard error 288.7 / √1000 = 9.13, times 1.96.
        let interval = bootstrap_mean(&(0..1000).map(f64::from).collect::<Vec<_>>());
        assert!((interval.low - 481.6).abs() < 1.5 && (interval.high - 517.4).abs() < 1.5, "{interval:?}");
    }

    #[test]
    fn p_values_are_those_of_the_exact_binomial_test() {
        // scipy.stats.binomtest(k, n).pvalue
        for (heads, tails, expected) in [
            (5, 15, 0.041_389_465_332),
            (15, 5, 0.041_389_465_332),
            (10, 10, 1.0),
            (0, 0, 1.0),
            (120, 160, 0.019_606_727_290),
        ] {
            let found = two_sided_binomial(heads, tails);
            assert!((found - expected).abs() < 1e-9, "{heads}:{tails}: {found}, expected {expected}");
        }
    }

    #[test]
    fn only_texts_that_one_model_gets_right_count() {
        let compared = mcnemar(&[true, true, false, true, false], &[true, false, true, false, false]);
        assert_eq!((compared.only_first_right, compared.only_second_right), (2, 1));
        assert_eq!(compared.p_value, 1.0);
    }
}
