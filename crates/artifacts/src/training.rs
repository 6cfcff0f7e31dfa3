//! `training.parquet`: one row per optimiser step, and one per epoch's validation.
//!
//! Only what is the same in every repetition is in it; seconds are in `run.json`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
};
use arrow::datatypes::{Field, Float32Type, Float64Type, Int64Type, Schema};
use serde::{Deserialize, Serialize};

use crate::columns::{column, integer_row, list_column, lists, numbers};
use crate::corpus::{Split, read_splits, split_column};
use crate::files::{bad_artifact, read_parquet, with_metadata, write_parquet};
use crate::{Error, Result};
use midashi_stage::Provenance;

/// One optimiser step (`split` is train), or one pass over the validation split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// Optimiser steps done, counted from 1 over all epochs.
    pub step: i64,
    /// Epoch, counted from 1.
    pub epoch: i64,
    /// What the numbers were computed on.
    pub split: Split,
    /// Mean cross-entropy per text.
    pub loss: f64,
    /// Texts classified rightly.
    pub correct: i64,
    /// Texts seen.
    pub texts: i64,
    /// Tokens seen, padding not counted.
    pub tokens: i64,
    /// Learning rate of the encoder, of its last layer where `layer_decay` sets them apart.
    pub learning_rate_encoder: f64,
    /// Learning rate of the classifier.
    pub learning_rate_classifier: f64,
    /// Euclidean norm of the whole gradient; none for validation.
    pub gradient_norm: Option<f32>,
    /// The rows of `tokens.arrow` that the step learned from; empty for validation.
    pub batch: Vec<i32>,
}

/// Writes `training.parquet`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_training(path: &Path, rows: &[StepRow], provenance: &Provenance) -> Result<()> {
    let integers = |value: fn(&StepRow) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(value)))
    };
    let floats = |value: fn(&StepRow) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(value)))
    };
    let norms: ArrayRef = Arc::new(Float32Array::from_iter(rows.iter().map(|row| row.gradient_norm)));
    let texts = Int32Array::from_iter_values(rows.iter().flat_map(|row| row.batch.iter().copied()));
    let batches = list_column(rows.iter().map(|row| row.batch.len()), Arc::new(texts));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("step", integers(|row| row.step)),
        ("epoch", integers(|row| row.epoch)),
        ("split", split_column(rows.iter().map(|row| row.split))),
        ("loss", floats(|row| row.loss)),
        ("correct", integers(|row| row.correct)),
        ("texts", integers(|row| row.texts)),
        ("tokens", integers(|row| row.tokens)),
        ("learning_rate_encoder", floats(|row| row.learning_rate_encoder)),
        ("learning_rate_classifier", floats(|row| row.learning_rate_classifier)),
        ("gradient_norm", norms),
        ("batch", batches),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), *name == "gradient_norm"))
        .collect();
    let schema = with_metadata(Schema::new(fields), provenance, &[]);
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(schema, columns).map_err(Error::encode(path))?;
    write_parquet(path, &batch)
}

/// Reads `training.parquet`.
///
/// # Errors
/// When the file is missing or is not what [`write_training`] writes.
pub fn read_training(path: &Path) -> Result<Vec<StepRow>> {
    const STAGE: &str = "train";
    let batch = read_parquet(path, STAGE)?;
    from_batch(&batch).map_err(|message| bad_artifact(path, STAGE)(&message))
}

fn from_batch(batch: &RecordBatch) -> Result<Vec<StepRow>, String> {
    let integers = |name| numbers::<Int64Type>(batch, name);
    let floats = |name| numbers::<Float64Type>(batch, name);
    let (step, epoch, splits) = (integers("step")?, integers("epoch")?, read_splits(batch)?);
    let (loss, correct) = (floats("loss")?, integers("correct")?);
    let (texts, tokens) = (integers("texts")?, integers("tokens")?);
    let (encoder, classifier) = (floats("learning_rate_encoder")?, floats("learning_rate_classifier")?);
    let batches = lists(batch, "batch")?;
    let norm = column(batch, "gradient_norm")?;
    let norm = norm.as_primitive_opt::<Float32Type>().ok_or("column gradient_norm is not float32")?;
    (0..batch.num_rows())
        .map(|row| {
            Ok(StepRow {
                step: step.value(row),
                epoch: epoch.value(row),
                split: splits[row],
                loss: loss.value(row),
                correct: correct.value(row),
                texts: texts.value(row),
                tokens: tokens.value(row),
                learning_rate_encoder: encoder.value(row),
                learning_rate_classifier: classifier.value(row),
                gradient_norm: norm.is_valid(row).then(|| norm.value(row)),
                batch: integer_row(batches, row)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("training.parquet");
        let train = StepRow {
            step: 1,
            epoch: 1,
            split: Split::Train,
            loss: 2.2,
            correct: 3,
            texts: 32,
            tokens: 700,
            learning_rate_encoder: 5e-5,
            learning_rate_classifier: 1e-4,
            gradient_norm: Some(1.5),
            batch: vec![4, 0, 2],
        };
        let rows = [
            train.clone(),
            StepRow { split: Split::Validation, gradient_norm: None, batch: vec![], ..train },
        ];
        write_training(&path, &rows, &Provenance(vec![])).unwrap();
        assert_eq!(read_training(&path).unwrap(), rows);
    }
}
