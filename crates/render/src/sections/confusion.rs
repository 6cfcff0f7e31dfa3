//! The confusion matrix.

use anyhow::ensure;
use midashi_artifacts::Metrics;
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::share::share;
use midashi_page::Strings;

/// The texts of one true category.
#[derive(Debug, Serialize)]
struct ConfusionRow {
    /// The true category.
    label: String,
    /// One cell per predicted category.
    cells: Vec<ConfusionCell>,
}

/// The texts of one true and one predicted category.
#[derive(Debug, Serialize)]
struct ConfusionCell {
    /// The predicted category.
    predicted: String,
    /// Number of texts.
    texts: u64,
    /// Share of the true category's texts; 0 if it has none.
    share: f64,
    /// Whether both categories are the same.
    correct: bool,
}

/// One row per category.
pub fn section(artifacts: &Artifacts, _: &Strings) -> anyhow::Result<Option<Value>> {
    Ok(Some(Value::from(Serde(confusion(&artifacts.metrics)?))))
}

fn confusion(metrics: &Metrics) -> anyhow::Result<Vec<ConfusionRow>> {
    let Metrics { labels, confusion, .. } = metrics;
    let count = labels.len();
    ensure!(
        confusion.len() == count && confusion.iter().all(|row| row.len() == count),
        "metrics.json: confusion is not {count} × {count}, one row and column per label; \
         run `make evaluate` again to remake it"
    );
    let rows = labels.iter().zip(confusion).enumerate().map(|(row, (label, texts))| {
        let support: u64 = texts.iter().sum();
        let cells = labels.iter().zip(texts).enumerate().map(|(column, (predicted, &texts))| ConfusionCell {
            predicted: predicted.clone(),
            texts,
            share: share(texts as f64, support as f64),
            correct: row == column,
        });
        ConfusionRow { label: label.clone(), cells: cells.collect() }
    });
    Ok(rows.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests {
    use super::*;

    pub fn metrics(labels: &[&str], confusion: Vec<Vec<u64>>) -> Metrics {
        Metrics {
            confusion,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            ..Metrics::default()
        }
    }

    #[test]
    fn the_confusion_matrix_has_shares_of_its_rows() {
        let rows = confusion(&metrics(&["a", "b"], vec![vec![3, 1], vec![0, 0]])).unwrap();
        let shares: Vec<Vec<f64>> =
            rows.iter().map(|row| row.cells.iter().map(|cell| cell.share).collect()).collect();
        assert_eq!(shares, [[0.75, 0.25], [0.0, 0.0]]);
        assert!(rows[1].cells[1].correct && !rows[1].cells[0].correct);
        let error = confusion(&metrics(&["a", "b"], vec![vec![1, 2]])).unwrap_err().to_string();
        assert!(error.contains("2 × 2"), "{error}");
    }
}
