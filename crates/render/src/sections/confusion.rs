//! The confusion matrix or, of many categories, the pairs that are confused most.

use anyhow::ensure;
use midashi_artifacts::{CategoryId, ConfusionCell, LISTED_CATEGORIES, Metrics};
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::share::share;
use midashi_page::Strings;

/// Rows of the table of pairs, as of every other table of categories.
const MOST_PAIRS: usize = LISTED_CATEGORIES;

/// What the section shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Shown {
    /// Of at most [`LISTED_CATEGORIES`] categories: one row per category.
    Matrix(Vec<Row>),
    /// Of more: a matrix would be as large as their square, and most of its cells are empty.
    Confused(Confused),
}

/// The texts of one true category.
#[derive(Debug, Serialize)]
struct Row {
    /// The true category.
    label: String,
    /// One cell per predicted category.
    cells: Vec<Cell>,
}

/// The texts of one true and one predicted category.
#[derive(Debug, Serialize)]
struct Cell {
    /// The predicted category.
    predicted: String,
    /// Number of texts.
    texts: u64,
    /// Share of the true category's texts; 0 if it has none.
    share: f64,
    /// Whether both categories are the same.
    correct: bool,
}

/// The pairs of a true and another predicted category.
#[derive(Debug, Serialize)]
struct Confused {
    /// Those with the most texts, at most [`MOST_PAIRS`].
    pairs: Vec<Pair>,
    /// Number of all pairs that have texts.
    all: usize,
    /// Number of texts of all pairs.
    texts: u64,
}

/// A category that is taken for another one.
#[derive(Debug, PartialEq, Serialize)]
struct Pair {
    /// The true category.
    label: String,
    /// The predicted category.
    predicted: String,
    /// Number of texts.
    texts: u64,
    /// Share of the true category's texts.
    share: f64,
}

/// The matrix or the pairs.
pub fn section(artifacts: &Artifacts, _: &Strings) -> anyhow::Result<Option<Value>> {
    Ok(Some(Value::from(Serde(shown(&artifacts.metrics)?))))
}

fn shown(metrics: &Metrics) -> anyhow::Result<Shown> {
    let Metrics { labels, confusion, .. } = metrics;
    let count = labels.len();
    ensure!(
        confusion.categories() == count,
        "metrics.json: confusion has {} categories, labels has {count}; run `make evaluate` again to remake it",
        confusion.categories()
    );
    let mut support = vec![0; count];
    for ConfusionCell { label, texts, .. } in confusion.cells() {
        support[label.index()] += texts;
    }
    if count > LISTED_CATEGORIES {
        return Ok(Shown::Confused(confused(metrics, &support)));
    }
    let row = |(label, name): (CategoryId, &String)| {
        let cell = |(predicted, name): (CategoryId, &String)| {
            let texts = confusion.at(label, predicted);
            Cell {
                predicted: name.clone(),
                texts,
                share: share(texts as f64, support[label.index()] as f64),
                correct: label == predicted,
            }
        };
        Row { label: name.clone(), cells: (0..).map(CategoryId).zip(labels).map(cell).collect() }
    };
    Ok(Shown::Matrix((0..).map(CategoryId).zip(labels).map(row).collect()))
}

/// The pairs by their number of texts, then by the share of the true category, then in the order of the categories.
fn confused(metrics: &Metrics, support: &[u64]) -> Confused {
    let Metrics { labels, confusion, .. } = metrics;
    let mut cells: Vec<ConfusionCell> =
        confusion.cells().filter(|cell| cell.label != cell.predicted).collect();
    let share = |cell: &ConfusionCell| share(cell.texts as f64, support[cell.label.index()] as f64);
    cells.sort_by(|one, other| other.texts.cmp(&one.texts).then_with(|| share(other).total_cmp(&share(one))));
    let pair = |cell: &ConfusionCell| Pair {
        label: labels[cell.label.index()].clone(),
        predicted: labels[cell.predicted.index()].clone(),
        texts: cell.texts,
        share: share(cell),
    };
    Confused {
        pairs: cells.iter().take(MOST_PAIRS).map(pair).collect(),
        all: cells.len(),
        texts: cells.iter().map(|cell| cell.texts).sum(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests {
    use midashi_artifacts::Confusion;

    use super::*;

    /// Metrics of texts with these true and predicted categories.
    pub fn metrics(labels: &[&str], texts: &[(u16, u16)]) -> Metrics {
        let pair = |&(label, predicted): &(u16, u16)| (CategoryId(label), CategoryId(predicted));
        Metrics {
            confusion: Confusion::of(labels.len(), texts.iter().map(pair)),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            ..Metrics::default()
        }
    }

    #[test]
    fn the_confusion_matrix_has_shares_of_its_rows() {
        let metrics = metrics(&["a", "b"], &[(0, 0), (0, 0), (0, 1), (0, 0)]);
        let Shown::Matrix(rows) = shown(&metrics).unwrap() else { panic!("two categories are a matrix") };
        let shares: Vec<Vec<f64>> =
            rows.iter().map(|row| row.cells.iter().map(|cell| cell.share).collect()).collect();
        assert_eq!(shares, [[0.75, 0.25], [0.0, 0.0]]);
        assert!(rows[1].cells[1].correct && !rows[1].cells[0].correct);
        let other = Metrics { labels: vec!["a".into()], ..metrics };
        let error = shown(&other).unwrap_err().to_string();
        assert!(error.contains("confusion has 2 categories, labels has 1"), "{error}");
    }

    #[test]
    fn of_many_categories_the_pairs_with_the_most_texts_are_listed() {
        let names: Vec<String> = (0..10_000).map(|at| format!("c{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // 3 of 4 texts of c7 are taken for c9999; 2 of 2 of c5 and 2 of 4 of c4 for c0; and 60 single texts.
        let mut texts = vec![(7, 9_999), (7, 9_999), (7, 7), (7, 9_999), (5, 0), (5, 0)];
        texts.extend([(4, 0), (4, 4), (4, 4), (4, 0)]);
        texts.extend((100..160).map(|at| (at, at + 1)));
        let Shown::Confused(found) = shown(&metrics(&names, &texts)).unwrap() else {
            panic!("many categories are no matrix")
        };
        let pair = |label: &str, predicted: &str, texts, share| Pair {
            label: label.into(),
            predicted: predicted.into(),
            texts,
            share,
        };
        assert_eq!(
            found.pairs[..4],
            [
                pair("c7", "c9999", 3, 0.75),
                pair("c5", "c0", 2, 1.0),
                pair("c4", "c0", 2, 0.5),
                pair("c100", "c101", 1, 1.0)
            ]
        );
        assert_eq!((found.pairs.len(), found.all, found.texts), (50, 63, 67));
    }
}
