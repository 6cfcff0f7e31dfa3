//! Errors: the most confident mistakes of the model, with a mark where the label is probably wrong.

use std::collections::HashMap;

use anyhow::Context;
use midashi_artifacts::{CategoryId, Prediction, Predictions, most_frequent};
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::labels::{suggestions, thresholds};
use midashi_page::Strings;

/// Rows of the table; the explorer has all texts.
const MOST_TEXTS: usize = 20;

/// Test texts whose label and prediction disagree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Errors {
    /// Number of texts that are classified incorrectly.
    pub mistakes: usize,
    /// Number of those whose label is in doubt.
    pub doubted: usize,
    /// Number of those for which the baseline gives the suggested category too; none without a baseline.
    pub agreed: Option<usize>,
    /// The texts of which the model is most confident, in descending order.
    pub rows: Vec<Disagreement>,
    /// Each category with the probability from which the model counts as confident; none without test texts. Of many
    /// categories, those with the most test texts.
    pub thresholds: Vec<(String, Option<f64>)>,
}

/// One text and the category that the model prefers to its label.
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
    /// The predicted category.
    pub preferred: String,
    /// Probability of `preferred`.
    pub probability: f32,
    /// The category that the label should probably be; none where the label is not in doubt.
    pub suggested: Option<String>,
    /// The baseline's category.
    pub baseline: Option<String>,
}

/// A text and the category that the model prefers to its label.
struct Found<'a> {
    row: &'a Prediction,
    suggested: Option<CategoryId>,
    baseline: Option<CategoryId>,
}

/// The errors.
pub fn section(artifacts: &Artifacts, _: &Strings) -> anyhow::Result<Option<Value>> {
    Ok(Some(Value::from(Serde(Errors::of(artifacts)?))))
}

impl Errors {
    /// Joins predictions and texts by the articles' ids.
    fn of(artifacts: &Artifacts) -> anyhow::Result<Self> {
        let Artifacts { predictions, baseline, tokens, .. } = artifacts;
        let texts: HashMap<&str, &str> =
            tokens.texts.iter().map(|text| (text.id.as_str(), text.encoding.original.as_str())).collect();
        let name = |category: CategoryId| predictions.categories[category.index()].clone();
        let shown = |Found { row, suggested, baseline }: &Found| {
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
                preferred: name(row.predicted),
                probability: row.probabilities[row.predicted.index()],
                suggested: suggested.map(name),
                baseline: baseline.map(name),
            })
        };
        let thresholds = thresholds(predictions);
        let answers = baseline.as_ref().map(|answers| answers.iter().map(|answer| answer.baseline).collect());
        let found = disagreements(predictions, &thresholds, answers.as_ref());
        let count = |holds: fn(&Found) -> bool| found.iter().filter(|it| holds(it)).count();
        Ok(Self {
            mistakes: found.len(),
            doubted: count(|it| it.suggested.is_some()),
            agreed: answers
                .is_some()
                .then(|| count(|it| it.suggested.is_some() && it.suggested == it.baseline)),
            rows: found.iter().take(MOST_TEXTS).map(shown).collect::<anyhow::Result<Vec<_>>>()?,
            thresholds: listed(predictions, &thresholds),
        })
    }
}

/// The thresholds of the categories that are listed, with their names.
fn listed(predictions: &Predictions, thresholds: &[Option<f64>]) -> Vec<(String, Option<f64>)> {
    let mut texts = vec![0; thresholds.len()];
    predictions.rows.iter().for_each(|row| texts[row.label.index()] += 1);
    let places = most_frequent(&texts).into_iter();
    places.map(|at| (predictions.categories[at].clone(), thresholds[at])).collect()
}

/// Incorrect predictions in descending order of their probability. `answers` are the baseline's.
fn disagreements<'a>(
    predictions: &'a Predictions,
    thresholds: &[Option<f64>],
    answers: Option<&Vec<CategoryId>>,
) -> Vec<Found<'a>> {
    let of_texts = predictions.rows.iter().zip(suggestions(predictions, thresholds)).enumerate();
    let found = of_texts.filter(|(_, (row, _))| row.predicted != row.label).map(|(at, (row, suggested))| {
        let baseline = answers.and_then(|answers| answers.get(at).copied());
        Found { row, suggested, baseline }
    });
    let mut found: Vec<Found> = found.collect();
    let probability = |it: &Found| it.row.probabilities[it.row.predicted.index()];
    found.sort_by(|a, b| probability(b).total_cmp(&probability(a)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::tests::two_known;

    #[test]
    fn of_many_categories_the_thresholds_of_the_most_frequent_are_listed() {
        let row = |label: u16| Prediction {
            id: String::new(),
            label: CategoryId(label),
            predicted: CategoryId(0),
            probabilities: vec![0.25; 1000],
        };
        let predictions = Predictions {
            categories: (0..1000).map(|at| format!("c{at}")).collect(),
            rows: [7, 999, 999, 3].map(row).to_vec(),
        };
        let found = listed(&predictions, &thresholds(&predictions));
        let expected = ["c999", "c3", "c7"].map(|name| (name.to_owned(), Some(0.25)));
        assert_eq!(found, expected);
    }

    #[test]
    fn mistakes_are_in_the_order_of_confidence_and_doubtful_labels_are_marked() {
        let predictions = two_known();
        let found = disagreements(&predictions, &thresholds(&predictions), None);
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.row.id.as_str(), it.row.predicted.0, it.suggested.map(|category| category.0)))
            .collect();
        // Only of the last the model is confident in the category that it predicts.
        assert_eq!(
            found,
            [("not confident in a", 0, None), ("says a", 0, None), ("looks like b", 1, Some(1))]
        );
    }
}
