//! `predictions.parquet`: one row per test text. `baseline.parquet` is the same of the baseline.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use midashi_stage::Provenance;

use crate::category::CategoryId;
use crate::column::{Column, Row, row};
use crate::error::Result;
use crate::files::{categories_entry, entry, read_categories, read_parquet, write_parquet};

const STAGE: &str = "evaluate";
const KEY: &str = "midashi.baseline";

row! {
    /// The prediction for one text.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Prediction {
        /// The article's id.
        pub id: String,
        /// The true category.
        pub label: CategoryId,
        /// The most probable category.
        pub predicted: CategoryId,
        /// Probability of each category; they sum to 1.
        pub probabilities: Vec<f32>,
    }
}

/// All predictions and the names of the categories.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// Category names.
    pub categories: Vec<String>,
    /// One per test text, in the order of `tokens.arrow`.
    pub rows: Vec<Prediction>,
}

impl Predictions {
    /// The same with labels and predictions exchanged, the order in which the article passes them to its report.
    pub fn swapped(&self) -> Self {
        let swap =
            |row: &Prediction| Prediction { label: row.predicted, predicted: row.label, ..row.clone() };
        Self { categories: self.categories.clone(), rows: self.rows.iter().map(swap).collect() }
    }

    /// Whether both are of the same texts, in the same order and with the same labels and categories.
    pub fn is_of_the_same_texts(&self, other: &Self) -> bool {
        let texts = |these: &'_ Self| -> Vec<(String, CategoryId)> {
            these.rows.iter().map(|row| (row.id.clone(), row.label)).collect()
        };
        self.categories == other.categories && texts(self) == texts(other)
    }

    /// Writes `predictions.parquet`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        self.write_with(path, provenance, &[])
    }

    /// Writes `baseline.parquet`: predictions that depend only on `key` and are valid as long as it is the same.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_cache(&self, path: &Path, key: &str) -> Result<()> {
        self.write_with(path, &Provenance::default(), &[(KEY, key.to_owned())])
    }

    fn write_with(&self, path: &Path, provenance: &Provenance, more: &[(&str, String)]) -> Result<()> {
        let mut columns = Prediction::columns(self.rows.iter(), &self.categories);
        let correct: Vec<bool> = self.rows.iter().map(|row| row.label == row.predicted).collect();
        columns.push(Column::new("correct", Arc::new(BooleanArray::from(correct)), false));
        write_parquet(path, columns, provenance, &[&[categories_entry(&self.categories)], more].concat())
    }

    /// Reads `predictions.parquet`.
    ///
    /// # Errors
    /// When the file is missing or does not follow the schema.
    pub fn read(path: &Path) -> Result<Self> {
        read_parquet(path, STAGE, Self::from_batch)
    }

    /// Reads `baseline.parquet`; none if it is missing or was written under another key.
    ///
    /// # Errors
    /// When the file exists but does not follow the schema.
    pub fn read_cache(path: &Path, key: &str) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        read_parquet(path, STAGE, |batch| match entry(batch, KEY) {
            Ok(found) if found == key => Self::from_batch(batch).map(Some),
            _ => Ok(None),
        })
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self, String> {
        let categories = read_categories(batch)?;
        Ok(Self { rows: Prediction::read(batch, &categories)?, categories })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.parquet");
        let row = |label, predicted| Prediction {
            id: "x".into(),
            label: CategoryId(label),
            predicted: CategoryId(predicted),
            probabilities: vec![0.25, 0.5, 0.25],
        };
        let predictions = Predictions {
            categories: vec!["a".into(), "b".into(), "c".into()],
            rows: vec![row(2, 1), row(1, 1)],
        };
        predictions.write(&path, &Provenance(vec![])).unwrap();
        assert_eq!(Predictions::read(&path).unwrap(), predictions);

        assert_eq!(Predictions::read_cache(&folder.path().join("none"), "key").unwrap(), None);
        predictions.write_cache(&path, "key").unwrap();
        assert_eq!(Predictions::read_cache(&path, "key").unwrap(), Some(predictions));
        assert_eq!(Predictions::read_cache(&path, "another key").unwrap(), None);
    }
}
