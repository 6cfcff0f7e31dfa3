//! How sure a number is: bootstrap intervals, and whether two models differ.

use midashi_artifacts::{Interval, Intervals, McNemar, Predictions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::metrics::macro_f1;

/// Resamples of the test split (Efron and Tibshirani 1993, chapter 13: 1,000 and more for percentiles).
const RESAMPLES: usize = 2000;
/// Fixed, so that the same predictions have the same interval.
const SEED: u64 = 0;

/// Percentile bootstrap over the test texts: texts are drawn with replacement, their categories with them.
pub fn bootstrap(predictions: &Predictions) -> Intervals {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let (count, categories) = (predictions.rows.len(), predictions.categories.len());
    let (mut accuracies, mut f1s) = (Vec::with_capacity(RESAMPLES), Vec::with_capacity(RESAMPLES));
    for _ in 0..RESAMPLES {
        let mut confusion = vec![vec![0; categories]; categories];
        for _ in 0..count {
            let row = &predictions.rows[rng.random_range(0..count)];
            confusion[row.label.index()][row.predicted.index()] += 1;
        }
        let right: u64 = (0..categories).map(|at| confusion[at][at]).sum();
        accuracies.push(right as f64 / count as f64);
        f1s.push(macro_f1(&confusion));
    }
    Intervals { accuracy: middle(accuracies), macro_f1: middle(f1s) }
}

/// Percentile bootstrap of a mean.
pub fn bootstrap_mean(values: &[f64]) -> Interval {
    if values.is_empty() {
        return Interval { low: 0.0, high: 0.0 };
    }
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut resample = || {
        let drawn = (0..values.len()).map(|_| values[rng.random_range(0..values.len())]);
        drawn.sum::<f64>() / values.len() as f64
    };
    middle((0..RESAMPLES).map(|_| resample()).collect())
}

/// The middle 95 % of the scores.
fn middle(mut scores: Vec<f64>) -> Interval {
    scores.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| scores[(share * (scores.len() - 1) as f64).round() as usize];
    Interval { low: at(0.025), high: at(0.975) }
}

/// Compares two models' predictions of the same texts.
pub fn mcnemar(first: &[bool], second: &[bool]) -> McNemar {
    let count = |one: &[bool], other: &[bool]| {
        one.iter().zip(other).filter(|(right, other_right)| **right && !**other_right).count() as u64
    };
    let (only_first_right, only_second_right) = (count(first, second), count(second, first));
    McNemar {
        only_first_right,
        only_second_right,
        p_value: two_sided_binomial(only_first_right, only_second_right),
    }
}

/// Probability of heads and tails as uneven as this or more so, from as many throws of a fair coin.
fn two_sided_binomial(heads: u64, tails: u64) -> f64 {
    let throws = heads + tails;
    // C(n, k) / 2ⁿ as logarithms, each from the one before: C(n, k) = C(n, k − 1) · (n − k + 1) / k.
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
    use midashi_artifacts::{CategoryId, Prediction};

    use super::*;

    /// Two categories; of each, `right` texts are classified right and `wrong` wrong.
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
    fn the_bootstrap_interval_of_a_share_is_the_normal_one_where_texts_are_many() {
        // 80 % right of 1,000 texts: 0.8 ± 1.96 · √(0.8 · 0.2 / 1000) = 0.8 ± 0.0248.
        let Intervals { accuracy, macro_f1 } = bootstrap(&predictions(400, 100));
        for interval in [accuracy, macro_f1] {
            assert!((interval.low - 0.7752).abs() < 0.004, "{interval:?}");
            assert!((interval.high - 0.8248).abs() < 0.004, "{interval:?}");
        }
        let certain = bootstrap(&predictions(10, 0)).accuracy;
        assert_eq!((certain.low, certain.high), (1.0, 1.0));
    }

    #[test]
    fn the_bootstrap_interval_of_a_mean_is_the_normal_one_where_values_are_many() {
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
    fn only_texts_on_which_the_models_differ_count() {
        let compared = mcnemar(&[true, true, false, true, false], &[true, false, true, false, false]);
        assert_eq!((compared.only_first_right, compared.only_second_right), (2, 1));
        assert_eq!(compared.p_value, 1.0);
    }
}
