//! `sweep.parquet`: one row per run of a sweep.
//!
//! Only what is the same in every repetition is in it; seconds are in each run's `run.json`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use serde_json::Value;

use crate::columns::{column, numbers, string_column, strings};
use crate::corpus::{json_list, read_names};
use crate::files::{bad_artifact, read_parquet, with_metadata, write_parquet};
use crate::{Error, Result};
use midashi_stage::Provenance;

const STAGE: &str = "sweep";
const KEYS: &str = "midashi.swept";

/// What was swept and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// The keys of the configuration that differ among the runs. Each has a column, of integers,
    /// floats or booleans if all its values are such, else of text.
    pub keys: Vec<String>,
    /// One per run.
    pub rows: Vec<SweepRow>,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRow {
    /// The run's name, that of its folder.
    pub run: String,
    /// The value of each key.
    pub values: Vec<Value>,
    /// What it scored; none when it failed.
    pub scores: Option<SweepScores>,
}

/// What one run scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SweepScores {
    /// Share of test texts classified rightly.
    pub accuracy: f64,
    /// Mean F1 of the categories.
    pub macro_f1: f64,
    /// Mean F1 of the categories, weighted by support.
    pub weighted_f1: f64,
    /// Share of validation texts that the kept weights classify rightly; none without such texts.
    pub validation_accuracy: Option<f64>,
    /// Accuracy of the linear baseline; with `evaluate.baseline`.
    pub baseline_accuracy: Option<f64>,
    /// Macro F1 of the linear baseline; with `evaluate.baseline`.
    pub baseline_macro_f1: Option<f64>,
    /// Accuracy of both models together; with `evaluate.ensemble`.
    pub ensemble_accuracy: Option<f64>,
    /// Macro F1 of both models together; with `evaluate.ensemble`.
    pub ensemble_macro_f1: Option<f64>,
}

/// A score's column and where it is.
type Score = (&'static str, fn(&SweepScores) -> Option<f64>);

const SCORES: [Score; 8] = [
    ("accuracy", |scores| Some(scores.accuracy)),
    ("macro_f1", |scores| Some(scores.macro_f1)),
    ("weighted_f1", |scores| Some(scores.weighted_f1)),
    ("validation_accuracy", |scores| scores.validation_accuracy),
    ("baseline_accuracy", |scores| scores.baseline_accuracy),
    ("baseline_macro_f1", |scores| scores.baseline_macro_f1),
    ("ensemble_accuracy", |scores| scores.ensemble_accuracy),
    ("ensemble_macro_f1", |scores| scores.ensemble_macro_f1),
];

impl Sweep {
    /// Writes `sweep.parquet`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        let mut fields = vec![Field::new("run", DataType::Utf8, false)];
        let mut columns = vec![string_column(self.rows.iter().map(|row| &row.run))];
        for (at, key) in self.keys.iter().enumerate() {
            let values: Vec<&Value> = self.rows.iter().filter_map(|row| row.values.get(at)).collect();
            let column = value_column(&values);
            fields.push(Field::new(key, column.data_type().clone(), false));
            columns.push(column);
        }
        for (name, score) in SCORES {
            let scores = self.rows.iter().map(|row| row.scores.as_ref().and_then(score));
            fields.push(Field::new(name, DataType::Float64, true));
            columns.push(Arc::new(Float64Array::from_iter(scores)));
        }
        let schema = with_metadata(Schema::new(fields), provenance, &[(KEYS, json_list(&self.keys))]);
        write_parquet(path, &RecordBatch::try_new(schema, columns).map_err(Error::encode(path))?)
    }

    /// Reads `sweep.parquet`.
    ///
    /// # Errors
    /// When the file is missing or is not what [`Sweep::write`] writes.
    pub fn read(path: &Path) -> Result<Self> {
        let batch = read_parquet(path, STAGE)?;
        from_batch(&batch).map_err(|message| bad_artifact(path, STAGE)(&message))
    }
}

fn from_batch(batch: &RecordBatch) -> Result<Sweep, String> {
    let keys = read_names(batch, KEYS)?;
    let values = keys.iter().map(|key| column_values(batch, key)).collect::<Result<Vec<_>, _>>()?;
    let scores = SCORES.iter().map(|(name, _)| numbers::<Float64Type>(batch, name));
    let scores = scores.collect::<Result<Vec<_>, _>>()?;
    let runs = strings(batch, "run")?;
    let row = |row: usize| {
        let score = |at: usize| scores[at].is_valid(row).then(|| scores[at].value(row));
        let all = || {
            Some(SweepScores {
                accuracy: score(0)?,
                macro_f1: score(1)?,
                weighted_f1: score(2)?,
                validation_accuracy: score(3),
                baseline_accuracy: score(4),
                baseline_macro_f1: score(5),
                ensemble_accuracy: score(6),
                ensemble_macro_f1: score(7),
            })
        };
        let values = values.iter().map(|column| column[row].clone()).collect();
        SweepRow { run: runs.value(row).to_owned(), values, scores: all() }
    };
    Ok(Sweep { rows: (0..batch.num_rows()).map(row).collect(), keys })
}

/// A column of the one type that all values have, else of text.
fn value_column(values: &[&Value]) -> ArrayRef {
    if let Some(integers) = values.iter().map(|value| value.as_i64().map(Some)).collect() {
        let integers: Int64Array = integers;
        return Arc::new(integers);
    }
    if let Some(floats) = values.iter().map(|value| value.as_f64().map(Some)).collect() {
        let floats: Float64Array = floats;
        return Arc::new(floats);
    }
    if let Some(booleans) = values.iter().map(|value| value.as_bool().map(Some)).collect() {
        let booleans: BooleanArray = booleans;
        return Arc::new(booleans);
    }
    string_column(values.iter().map(|value| value_text(value)))
}

fn value_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn column_values(batch: &RecordBatch, name: &str) -> Result<Vec<Value>, String> {
    let column = column(batch, name)?;
    let rows = 0..batch.num_rows();
    Ok(match column.data_type() {
        DataType::Int64 => rows.map(|row| column.as_primitive::<Int64Type>().value(row).into()).collect(),
        DataType::Float64 => rows.map(|row| column.as_primitive::<Float64Type>().value(row).into()).collect(),
        DataType::Boolean => rows.map(|row| column.as_boolean().value(row).into()).collect(),
        DataType::Utf8 => rows.map(|row| column.as_string::<i32>().value(row).into()).collect(),
        other => return Err(format!("column {name} is {other}, expected numbers, booleans or strings")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sweep_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sweep.parquet");
        let scores = SweepScores {
            accuracy: 0.5,
            macro_f1: 0.25,
            weighted_f1: 0.75,
            validation_accuracy: None,
            baseline_accuracy: Some(0.875),
            baseline_macro_f1: Some(0.8),
            ensemble_accuracy: None,
            ensemble_macro_f1: None,
        };
        let keys = ["train.seed", "train.learning_rate.encoder", "evaluate.ensemble", "corpus.layout"];
        let sweep = Sweep {
            keys: keys.map(str::to_owned).into(),
            rows: vec![
                SweepRow {
                    run: "a".into(),
                    values: vec![json!(1), json!(3e-5), json!(true), json!("livedoor")],
                    scores: Some(scores),
                },
                SweepRow {
                    run: "b".into(),
                    values: vec![json!(2), json!(1.0), json!(false), json!("title-first")],
                    scores: None,
                },
            ],
        };
        sweep.write(&path, &Provenance(vec![])).unwrap();
        assert_eq!(Sweep::read(&path).unwrap(), sweep);
    }

    #[test]
    fn values_of_several_types_are_text() {
        let column = value_column(&[&json!(1), &json!("all")]);
        assert_eq!(column.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["1", "all"]);
        assert_eq!(value_column(&[&json!(1), &json!(0.5)]).data_type(), &DataType::Float64);
    }
}
