//! `training.parquet`: one row per optimiser step, and one per epoch's validation.
//!
//! It holds only what every repetition gives again; durations are in `run.json`.

use std::path::Path;

use midashi_stage::Provenance;
use serde::{Deserialize, Serialize};

use crate::category::Split;
use crate::column::{Row, row};
use crate::error::Result;
use crate::files::{read_parquet, write_parquet};

row! {
    /// One optimiser step (`split` is train), or one pass over the validation split.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct StepRow {
        /// Number of optimiser steps so far, counted over all epochs.
        pub step: i64,
        /// Epoch, counted from 1.
        pub epoch: i64,
        /// The split of the texts.
        pub split: Split,
        /// Mean cross-entropy per text, with label smoothing and class weights, or of validation without them.
        pub loss: f64,
        /// Number of texts classified correctly.
        pub correct: i64,
        /// Number of texts.
        pub texts: i64,
        /// Number of tokens, without padding.
        pub tokens: i64,
        /// Learning rate of the encoder's last layer.
        pub learning_rate_encoder: f64,
        /// Learning rate of the classifier.
        pub learning_rate_classifier: f64,
        /// Euclidean norm of the gradient of all weights; none for validation.
        pub gradient_norm: Option<f32>,
        /// The batch, as rows of `tokens.arrow`; empty for validation.
        pub batch: Vec<i32>,
    }
}

/// Writes `training.parquet`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_training(path: &Path, rows: &[StepRow], provenance: &Provenance) -> Result<()> {
    write_parquet(path, StepRow::columns(rows.iter(), &[]), provenance, &[])
}

/// Reads `training.parquet`.
///
/// # Errors
/// When the file is missing or does not follow the schema.
pub fn read_training(path: &Path) -> Result<Vec<StepRow>> {
    read_parquet(path, "train", |batch| StepRow::read(batch, &[]))
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
