//! Errors: the most confident mistakes of the model, and probable label errors.

use std::collections::HashMap;

use anyhow::Context;
use midashi_artifacts::{CategoryId, Prediction, Predictions};
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use crate::artifacts::Artifacts;
use midashi_page::Strings;

/// Rows of each table; the explorer has all texts.
const MOST_TEXTS: usize = 15;

/// Test texts whose label and prediction disagree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Errors {
    /// Number of texts that are classified incorrectly.
    pub mistakes: usize,
    /// The most confident of them, in descending order.
    pub most_confident: Vec<Disagreement>,
    /// Number of texts whose label is probably wrong.
    pub label_errors: usize,
    /// The most probable of them, in descending order.
    pub surest_label_errors: Vec<Disagreement>,
    /// Each category with the probability from which the model counts as confident; none without test texts.
    pub thresholds: Vec<(String, Option<f64>)>,
}

/// One text and the category that the model prefers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    /// The article's id.
    pub id: String,
    /// The text that the model read, as its author wrote it.
    pub text: String,
    /// Its category in the corpus.
    pub label: String,
    /// Probability of `label`.
    pub label_probability: f32,
    /// The category that the model prefers.
    pub predicted: String,
    /// Probability of `predicted`.
    pub probability: f32,
}

/// The errors.
pub fn section(artifacts: &Artifacts, _: &Strings) -> anyhow::Result<Option<Value>> {
    Ok(Some(Value::from(Serde(Errors::of(artifacts)?))))
}

impl Errors {
    /// Joins predictions and texts by the articles' ids.
    fn of(artifacts: &Artifacts) -> anyhow::Result<Self> {
        let Artifacts { predictions, tokens, .. } = artifacts;
        let texts: HashMap<&str, &str> =
            tokens.texts.iter().map(|text| (text.id.as_str(), text.encoding.original.as_str())).collect();
        let name = |category: CategoryId| predictions.categories[category.index()].clone();
        let shown = |(row, category): &(&Prediction, CategoryId)| {
            let text = texts.get(row.id.as_str()).with_context(|| {
                format!(
                    "predictions.parquet: row {:?} is not in tokens.arrow; run `make evaluate` again",
                    row.id
                )
            })?;
            Ok(Disagreement {
                id: row.id.clone(),
                text: (*text).to_owned(),
                label: name(row.label),
                label_probability: row.probabilities[row.label.index()],
                predicted: name(*category),
                probability: row.probabilities[category.index()],
            })
        };
        let first = |found: &[(&Prediction, CategoryId)]| {
            found.iter().take(MOST_TEXTS).map(shown).collect::<anyhow::Result<Vec<_>>>()
        };
        let (mistakes, thresholds) = (mistakes(predictions), thresholds(predictions));
        let label_errors = label_errors(predictions, &thresholds);
        Ok(Self {
            mistakes: mistakes.len(),
            most_confident: first(&mistakes)?,
            label_errors: label_errors.len(),
            surest_label_errors: first(&label_errors)?,
            thresholds: predictions.categories.iter().cloned().zip(thresholds).collect(),
        })
    }
}

/// Incorrect predictions in descending order of confidence.
fn mistakes(predictions: &Predictions) -> Vec<(&Prediction, CategoryId)> {
    let wrong = predictions.rows.iter().filter(|row| row.predicted != row.label);
    let mut wrong: Vec<_> = wrong.map(|row| (row, row.predicted)).collect();
    wrong.sort_by(|a, b| probability(b).total_cmp(&probability(a)));
    wrong
}

/// The mean probability of each category over the texts with its label. From there on the model counts as confident
/// (Northcutt et al. 2021, "Confident Learning", equation 2). None without texts.
fn thresholds(predictions: &Predictions) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_u32); predictions.categories.len()];
    for row in &predictions.rows {
        let (sum, texts) = &mut sums[row.label.index()];
        *sum += f64::from(row.probabilities[row.label.index()]);
        *texts += 1;
    }
    sums.into_iter().map(|(sum, texts)| (texts > 0).then(|| sum / f64::from(texts))).collect()
}

/// Texts off the diagonal of the confident joint (ibid., equation 1): the most probable of the categories in which the
/// model is confident is not the label. The model was not trained on the test texts, so their probabilities are
/// out-of-sample, as the method requires. In descending order of the difference between the probabilities of that
/// category and the label (the paper's "normalized margin").
fn label_errors<'a>(
    predictions: &'a Predictions,
    thresholds: &[Option<f64>],
) -> Vec<(&'a Prediction, CategoryId)> {
    let confident = |row: &Prediction| {
        let reached =
            (0..).zip(thresholds).zip(&row.probabilities).filter_map(|((category, &threshold), &p)| {
                (f64::from(p) >= threshold?).then_some((CategoryId(category), p))
            });
        // Ties go to the first category, as everywhere.
        reached.reduce(|best, other| if other.1 > best.1 { other } else { best })
    };
    let suspected = predictions.rows.iter().filter_map(|row| {
        let (category, _) = confident(row)?;
        (category != row.label).then_some((row, category))
    });
    let mut suspected: Vec<_> = suspected.collect();
    let margin =
        |found: &(&Prediction, CategoryId)| probability(found) - found.0.probabilities[found.0.label.index()];
    suspected.sort_by(|a, b| margin(b).total_cmp(&margin(a)));
    suspected
}

fn probability((row, category): &(&Prediction, CategoryId)) -> f32 {
    row.probabilities[category.index()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(rows: &[(&str, u16, [f32; 3])]) -> Predictions {
        let row = |&(id, label, probabilities): &(&str, u16, [f32; 3])| Prediction {
            id: id.into(),
            label: CategoryId(label),
            predicted: CategoryId(if probabilities[1] > probabilities[0] { 1 } else { 0 }),
            probabilities: probabilities.to_vec(),
        };
        Predictions {
            categories: ["a", "b", "c"].map(str::to_owned).to_vec(),
            rows: rows.iter().map(row).collect(),
        }
    }

    fn ids(found: &[(&Prediction, CategoryId)]) -> Vec<(String, u16)> {
        found.iter().map(|(row, category)| (row.id.clone(), category.0)).collect()
    }

    /// Mean self-confidence: a 0.75, b 0.5; c has no text.
    fn two_known() -> Predictions {
        predictions(&[
            ("sure", 0, [0.9, 0.1, 0.0]),
            ("fairly sure", 0, [0.85, 0.15, 0.0]),
            ("looks like b", 0, [0.5, 0.5, 0.0]),
            ("b", 1, [0.1875, 0.8125, 0.0]),
            ("not confident in a", 1, [0.6875, 0.3125, 0.0]),
            ("says a", 1, [0.625, 0.375, 0.0]),
        ])
    }

    #[test]
    fn a_threshold_is_the_mean_probability_of_the_categorys_own_texts() {
        let thresholds = thresholds(&two_known());
        let expected = [Some(0.75), Some(0.5), None];
        for (found, expected) in thresholds.iter().zip(expected) {
            assert_eq!(found.is_some(), expected.is_some());
            assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-7, "{thresholds:?}");
        }
    }

    #[test]
    fn a_label_is_doubted_if_the_model_is_confident_in_another_category() {
        let mut predictions = two_known();
        // a is below its threshold and b reaches its own: doubted although the prediction is correct.
        let doubted = |predictions: &Predictions| ids(&label_errors(predictions, &thresholds(predictions)));
        assert_eq!(
            doubted(&predictions),
            [("looks like b".to_owned(), 1)],
            "0.69 is little for a, not for b"
        );
        predictions.rows[4].probabilities = vec![0.95, 0.05, 0.0];
        let found = doubted(&predictions);
        assert_eq!(found[0], ("not confident in a".to_owned(), 0), "the greater margin first: {found:?}");
    }

    #[test]
    fn mistakes_are_ordered_by_confidence() {
        let predictions = two_known();
        let expected = [("not confident in a".to_owned(), 0), ("says a".to_owned(), 0)];
        assert_eq!(ids(&mistakes(&predictions)), expected);
    }
}
