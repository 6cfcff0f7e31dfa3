//! The confusion matrix.

use anyhow::ensure;
use midashi_artifacts::Metrics;
use serde::Serialize;

use super::share;

/// The texts of one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfusionRow {
    /// The true category.
    pub label: String,
    /// What they were classified as, one per category.
    pub cells: Vec<ConfusionCell>,
}

/// The texts of one category that were classified as one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfusionCell {
    /// The category they were classified as.
    pub predicted: String,
    /// How many.
    pub texts: u64,
    /// Their share of the true category's texts; 0 when it has none.
    pub share: f64,
    /// Whether they were classified rightly.
    pub correct: bool,
}

/// One row per category, with the shares of its texts.
///
/// # Errors
/// When `metrics.json` has no square matrix of as many rows as categories.
pub fn confusion(metrics: &Metrics) -> anyhow::Result<Vec<ConfusionRow>> {
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
mod tests {
    use super::*;
    use crate::sections::tests::metrics;

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
