//! `sweep.parquet`: one row per run of a sweep.
//!
//! It holds only what every repetition gives again; durations are in each run's `run.json`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use midashi_stage::Provenance;
use serde_json::{Value, json};

use crate::column::{Cell, Column, cells, column};
use crate::error::Result;
use crate::files::{json_entry, read_parquet, write_parquet};

const KEYS: &str = "midashi.swept";

/// The swept keys and the scores of all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// The keys of the configuration that differ among the runs. Each has a column, of integers, floats or
    /// booleans if all its values are, else of text.
    pub keys: Vec<String>,
    /// One per run.
    pub rows: Vec<SweepRow>,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRow {
    /// The name of the run and of its folder.
    pub run: String,
    /// The value of each key.
    pub values: Vec<Value>,
    /// The run's scores; none if it failed.
    pub scores: Option<SweepScores>,
}

/// Scores of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SweepScores {
    /// Share of test texts classified correctly.
    pub accuracy: f64,
    /// Mean F1 of the categories.
    pub macro_f1: f64,
    /// Mean F1 of the categories, weighted by support.
    pub weighted_f1: f64,
    /// Share of validation texts that the saved weights classify correctly; none without such texts.
    pub validation_accuracy: Option<f64>,
    /// Accuracy of the baseline; with `evaluate.baseline`.
    pub baseline_accuracy: Option<f64>,
    /// Macro F1 of the baseline; with `evaluate.baseline`.
    pub baseline_macro_f1: Option<f64>,
    /// Accuracy of both models together; with `evaluate.ensemble`.
    pub ensemble_accuracy: Option<f64>,
    /// Macro F1 of both models together; with `evaluate.ensemble`.
    pub ensemble_macro_f1: Option<f64>,
}

/// A score's column and its value.
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
        let mut columns = vec![Column::of("run", self.rows.iter().map(|row| &row.run), &[])];
        for (at, key) in self.keys.iter().enumerate() {
            let values: Vec<&Value> = self.rows.iter().filter_map(|row| row.values.get(at)).collect();
            columns.push(Column::new(key, value_column(&values), false));
        }
        for (name, score) in SCORES {
            let scores: Vec<_> = self.rows.iter().map(|row| row.scores.as_ref().and_then(score)).collect();
            columns.push(Column::of(name, scores.iter(), &[]));
        }
        write_parquet(path, columns, provenance, &[(KEYS, json!(self.keys).to_string())])
    }

    /// Reads `sweep.parquet`.
    ///
    /// # Errors
    /// When the file is missing or does not follow the schema.
    pub fn read(path: &Path) -> Result<Self> {
        read_parquet(path, "sweep", from_batch)
    }
}

fn from_batch(batch: &RecordBatch) -> Result<Sweep, String> {
    let keys: Vec<String> = json_entry(batch, KEYS)?;
    let values = keys.iter().map(|key| column_values(batch, key)).collect::<Result<Vec<_>, _>>()?;
    let scores = SCORES.iter().map(|(name, _)| cells::<Option<f64>>(batch, name, &[]));
    let scores = scores.collect::<Result<Vec<_>, _>>()?;
    let runs = cells::<String>(batch, "run", &[])?.into_iter().enumerate();
    let row = |(row, run): (usize, String)| {
        let score = |at: usize| scores[at][row];
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
        SweepRow { run, values: values.iter().map(|column| column[row].clone()).collect(), scores: all() }
    };
    Ok(Sweep { rows: runs.map(row).collect(), keys })
}

/// A column of the one type that all values have, else of text.
fn value_column(values: &[&Value]) -> ArrayRef {
    if let Some(integers) = values.iter().map(|value| value.as_i64()).collect::<Option<Vec<_>>>() {
        return Arc::new(Int64Array::from(integers));
    }
    if let Some(floats) = values.iter().map(|value| value.as_f64()).collect::<Option<Vec<_>>>() {
        return Arc::new(Float64Array::from(floats));
    }
    if let Some(booleans) = values.iter().map(|value| value.as_bool()).collect::<Option<Vec<_>>>() {
        return Arc::new(BooleanArray::from(booleans));
    }
    let text = |value: &&Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    String::write(values.iter().map(text).collect::<Vec<_>>().iter(), &[])
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
