//! `predictions.parquet`: one row per test text, with the baseline's answer beside the model's. `baseline.parquet` is
//! the same of the baseline.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use midashi_stage::{Provenance, is_intact, seal};

use crate::category::CategoryId;
use crate::column::{Column, Row, row};
use crate::error::Result;
use crate::files::{
    CHANGED, bad_artifact, categories_entry, entry, read_categories, read_parquet, write_parquet,
};

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

row! {
    /// The baseline's answer for one text; the columns are absent without a baseline.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct BaselineAnswer {
        /// Its most probable category.
        pub baseline: CategoryId,
        /// The probability of that category.
        pub baseline_probability: f32,
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

    /// Each text's most probable category with its probability, as the columns of the baseline beside another model.
    pub fn answers(&self) -> Vec<BaselineAnswer> {
        let answer = |row: &Prediction| BaselineAnswer {
            baseline: row.predicted,
            baseline_probability: row.probabilities.get(row.predicted.index()).copied().unwrap_or_default(),
        };
        self.rows.iter().map(answer).collect()
    }

    /// Writes `predictions.parquet`, with the answers of `baseline` for the same texts if there is one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, baseline: Option<&Self>, path: &Path, provenance: &Provenance) -> Result<()> {
        let answers = baseline.map(Self::answers);
        let beside = answers.map(|answers| BaselineAnswer::columns(answers.iter(), &self.categories));
        self.write_with(beside.unwrap_or_default(), path, provenance, &[])
    }

    /// Writes `baseline.parquet`: predictions that depend only on `key` and are valid as long as it is the same.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_cache(&self, path: &Path, key: &str) -> Result<()> {
        self.write_with(vec![], path, &Provenance::default(), &[(KEY, key.to_owned())])?;
        Ok(seal(path)?)
    }

    fn write_with(
        &self,
        beside: Vec<Column>,
        path: &Path,
        provenance: &Provenance,
        more: &[(&str, String)],
    ) -> Result<()> {
        let mut columns = Prediction::columns(self.rows.iter(), &self.categories);
        let correct: Vec<bool> = self.rows.iter().map(|row| row.label == row.predicted).collect();
        columns.push(Column::new("correct", Arc::new(BooleanArray::from(correct)), false));
        columns.extend(beside);
        write_parquet(path, columns, provenance, &[&[categories_entry(&self.categories)], more].concat())
    }

    /// Reads `predictions.parquet`.
    ///
    /// # Errors
    /// When the file is missing or does not follow the schema.
    pub fn read(path: &Path) -> Result<Self> {
        read_parquet(path, STAGE, Self::from_batch)
    }

    /// Reads the baseline's answers in `predictions.parquet`, in the order of its rows; none without a baseline.
    ///
    /// # Errors
    /// When the file is missing or does not follow the schema.
    pub fn read_answers(path: &Path) -> Result<Option<Vec<BaselineAnswer>>> {
        read_parquet(path, STAGE, |batch| {
            let Some(_) = batch.column_by_name("baseline") else { return Ok(None) };
            BaselineAnswer::read(batch, &read_categories(batch)?).map(Some)
        })
    }

    /// Reads `baseline.parquet`; none if it is missing or was written under another key.
    ///
    /// # Errors
    /// When the file exists but has changed since it was written, or does not follow the schema.
    pub fn read_cache(path: &Path, key: &str) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        if !is_intact(path)? {
            return Err(bad_artifact(path, STAGE)(&CHANGED));
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
    use crate::category::MAX_CATEGORIES;

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
        predictions.write(None, &path, &Provenance(vec![])).unwrap();
        assert_eq!(Predictions::read(&path).unwrap(), predictions);
        assert_eq!(Predictions::read_answers(&path).unwrap(), None);

        let mut baseline = predictions.clone();
        baseline.rows[0].predicted = CategoryId(0);
        predictions.write(Some(&baseline), &path, &Provenance(vec![])).unwrap();
        assert_eq!(Predictions::read(&path).unwrap(), predictions);
        let answer = |category, baseline_probability| BaselineAnswer {
            baseline: CategoryId(category),
            baseline_probability,
        };
        assert_eq!(Predictions::read_answers(&path).unwrap(), Some(vec![answer(0, 0.25), answer(1, 0.5)]));

        assert_eq!(Predictions::read_cache(&folder.path().join("none"), "key").unwrap(), None);
        predictions.write_cache(&path, "key").unwrap();
        assert_eq!(Predictions::read_cache(&path, "key").unwrap(), Some(predictions));
        assert_eq!(Predictions::read_cache(&path, "another key").unwrap(), None);
    }

    #[test]
    fn more_categories_than_an_int16_counts_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.parquet");
        let of = |count: usize| Predictions {
            categories: (0..count).map(|at| at.to_string()).collect(),
            rows: vec![],
        };
        let most = of(MAX_CATEGORIES);
        most.write(None, &path, &Provenance::default()).unwrap();
        assert_eq!(Predictions::read(&path).unwrap(), most);
        of(MAX_CATEGORIES + 1).write(None, &path, &Provenance::default()).unwrap();
        let message = Predictions::read(&path).unwrap_err().to_string();
        assert!(
            message.contains("predictions.parquet")
                && message.contains("32768 categories; expected at most 32767"),
            "{message}"
        );
    }
}
