//! `predictions.parquet`: one row per test text.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, RecordBatch};
use arrow::datatypes::{Field, Schema};

use crate::columns::{categories, float_row, list_column, lists, read_categories, string_column, strings};
use crate::corpus::{CategoryId, json_list, read_names};
use crate::files::{bad_artifact, read_parquet, with_metadata, write_parquet};
use crate::{Error, Result};
use midashi_stage::Provenance;

const STAGE: &str = "evaluate";
const KEY: &str = "midashi.baseline";

/// What the model said of one text.
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

/// All predictions and the names of the categories.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// Category names.
    pub categories: Vec<String>,
    /// One per test text, in the order of `tokens.arrow`.
    pub rows: Vec<Prediction>,
}

impl Predictions {
    /// The same with answers and predictions exchanged, as the article hands them to its report.
    pub fn swapped(&self) -> Self {
        let swap =
            |row: &Prediction| Prediction { label: row.predicted, predicted: row.label, ..row.clone() };
        Self { categories: self.categories.clone(), rows: self.rows.iter().map(swap).collect() }
    }

    /// Whether both say something of the same texts, in the same order and the same categories.
    pub fn is_of_the_same_texts(&self, other: &Self) -> bool {
        let is_same =
            |(one, other): (&Prediction, &Prediction)| one.id == other.id && one.label == other.label;
        self.categories == other.categories
            && self.rows.len() == other.rows.len()
            && self.rows.iter().zip(&other.rows).all(is_same)
    }

    /// Writes `predictions.parquet`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        self.write_with(path, provenance, &[])
    }

    /// Writes `baseline.parquet`: predictions that depend on nothing but what `key` says, and are
    /// kept for as long as it is the same.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self, path: &Path, key: &str) -> Result<()> {
        self.write_with(path, &Provenance(vec![]), &[(KEY, key.to_owned())])
    }

    fn write_with(&self, path: &Path, provenance: &Provenance, more: &[(&str, String)]) -> Result<()> {
        let rows = &self.rows;
        let probabilities = rows.iter().flat_map(|row| row.probabilities.iter().copied());
        let probabilities = list_column(
            rows.iter().map(|row| row.probabilities.len()),
            Arc::new(Float32Array::from_iter_values(probabilities)),
        );
        let correct: Vec<bool> = rows.iter().map(|row| row.label == row.predicted).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", string_column(rows.iter().map(|row| &row.id))),
            ("label", categories(rows.iter().map(|row| row.label.0), &self.categories)),
            ("predicted", categories(rows.iter().map(|row| row.predicted.0), &self.categories)),
            ("probabilities", probabilities),
            ("correct", Arc::new(BooleanArray::from(correct))),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), false))
            .collect();
        let metadata = [&[("midashi.categories", json_list(&self.categories))], more].concat();
        let batch = RecordBatch::try_new(
            with_metadata(Schema::new(fields), provenance, &metadata),
            columns.into_iter().map(|(_, column)| column).collect(),
        )
        .map_err(Error::encode(path))?;
        write_parquet(path, &batch)
    }

    /// Reads `predictions.parquet`.
    ///
    /// # Errors
    /// When the file is missing or is not what [`Predictions::write`] writes.
    pub fn read(path: &Path) -> Result<Self> {
        let batch = read_parquet(path, STAGE)?;
        Self::from_batch(&batch).map_err(|message| bad_artifact(path, STAGE)(&message))
    }

    /// Reads `baseline.parquet`, if it is there and was kept under `key`.
    ///
    /// # Errors
    /// When the file is there but is not what [`Predictions::keep`] writes.
    pub fn kept(path: &Path, key: &str) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let batch = read_parquet(path, STAGE)?;
        if batch.schema_ref().metadata().get(KEY).map(String::as_str) != Some(key) {
            return Ok(None);
        }
        Self::from_batch(&batch).map(Some).map_err(|message| bad_artifact(path, STAGE)(&message))
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self, String> {
        let categories = read_names(batch, "midashi.categories")?;
        let ids_of = |column: &str| -> Result<Vec<CategoryId>, String> {
            let (keys, names) = read_categories(batch, column)?;
            let position = |key: u16| categories.iter().position(|name| *name == names[usize::from(key)]);
            keys.into_iter()
                .map(|key| Ok(CategoryId(position(key).ok_or("a category is not in the metadata")? as u16)))
                .collect()
        };
        let (labels, predicted) = (ids_of("label")?, ids_of("predicted")?);
        let (ids, probabilities) = (strings(batch, "id")?, lists(batch, "probabilities")?);
        let rows = (0..batch.num_rows())
            .map(|row| {
                Ok(Prediction {
                    id: ids.value(row).to_owned(),
                    label: labels[row],
                    predicted: predicted[row],
                    probabilities: float_row(probabilities, row)?,
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { categories, rows })
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

        assert_eq!(Predictions::kept(&folder.path().join("none"), "key").unwrap(), None);
        predictions.keep(&path, "key").unwrap();
        assert_eq!(Predictions::kept(&path, "key").unwrap(), Some(predictions));
        assert_eq!(Predictions::kept(&path, "another key").unwrap(), None);
    }
}
