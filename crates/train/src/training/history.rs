//! The history of a training: its steps, epochs and best epoch.

use anyhow::{Result, bail};
use midashi_artifacts::{Split, StepRow};
use midashi_config::Train;
use serde::{Deserialize, Serialize};

use crate::training::tail::BatchResult;

/// The progress of a training and all its results.
#[derive(Default, Serialize, Deserialize)]
pub struct History {
    /// For `training.parquet`.
    pub rows: Vec<StepRow>,
    /// The finished epochs, for `run.json`.
    pub epochs: Vec<EpochRecord>,
    /// Number of optimiser steps.
    pub steps: usize,
    /// Number of steps in the unfinished epoch.
    pub steps_of_epoch: usize,
    /// Sums over the steps of the unfinished epoch.
    pub totals: Totals,
}

/// One epoch in `run.json`.
#[derive(Serialize, Deserialize)]
pub struct EpochRecord {
    pub epoch: usize,
    /// Sum of the steps' mean losses, as the article prints it.
    summed_loss: f64,
    /// Mean cross-entropy per text.
    mean_loss: f64,
    training_accuracy: f64,
    validation_loss: Option<f64>,
    pub validation_accuracy: Option<f64>,
    seconds: f64,
    texts_per_second: f64,
}

/// Sums over batches.
#[derive(Default, Serialize, Deserialize)]
pub struct Totals {
    summed_loss: f64,
    /// With the sum of the texts' losses as `loss`.
    pub sums: BatchResult,
    pub seconds: f64,
}

impl History {
    /// The epoch with the highest validation accuracy; among equals, the one with the lowest loss. `None`
    /// without a validation split.
    pub fn best(&self) -> Option<&EpochRecord> {
        let validated = self.epochs.iter().filter(|epoch| epoch.validation_accuracy.is_some());
        validated.reduce(|best, epoch| if epoch.is_better_than(best) { epoch } else { best })
    }

    /// The epoch whose weights the model has: the best one, or without a validation split the last one.
    pub fn best_epoch(&self) -> usize {
        self.best().map_or(self.epochs.len(), |best| best.epoch)
    }

    /// Adds a step.
    ///
    /// # Errors
    /// When the training has diverged.
    pub fn add_step(
        &mut self,
        train: &Train,
        factor: f64,
        batch: &[usize],
        result: &BatchResult,
    ) -> Result<()> {
        self.steps += 1;
        self.steps_of_epoch += 1;
        if !(result.loss.is_finite() && result.gradient_norm.is_finite()) {
            let (loss, norm) = (result.loss, result.gradient_norm);
            if self.steps == 1 {
                bail!(
                    "the loss is {loss} and the gradient norm {norm} at the first step, before a weight was changed; \
                     expected finite numbers: the checkpoint's weights are too large for these texts; look at it with \
                     midashi-inspect"
                );
            }
            bail!(
                "the loss is {loss} and the gradient norm {norm} at step {}: training has diverged; \
                 lower train.learning_rate.encoder and .classifier",
                self.steps
            );
        }
        self.totals.add(result);
        let batch = batch.iter().map(|&text| text as i32).collect();
        let gradient_norm = Some(result.gradient_norm);
        self.rows.push(StepRow { batch, gradient_norm, ..self.row(train, factor, Split::Train, result) });
        Ok(())
    }

    /// Adds an epoch after its last step, with the results on the validation split, and returns a line on it for the
    /// terminal. `rows` are texts or windows.
    pub fn add_epoch(
        &mut self,
        train: &Train,
        factor: f64,
        validation: Option<BatchResult>,
        rows: &'static str,
    ) -> String {
        if let Some(validation) = &validation {
            self.rows.push(self.row(train, factor, Split::Validation, validation));
        }
        self.steps_of_epoch = 0;
        let totals = std::mem::take(&mut self.totals);
        let mean = totals.mean();
        let record = EpochRecord {
            epoch: self.epochs.len() + 1,
            summed_loss: totals.summed_loss,
            mean_loss: mean.loss,
            training_accuracy: mean.accuracy(),
            validation_loss: validation.map(|validation| validation.loss),
            validation_accuracy: validation.map(|validation| validation.accuracy()),
            seconds: totals.seconds,
            texts_per_second: mean.texts as f64 / totals.seconds,
        };
        let line = record.line(train.epochs, rows);
        self.epochs.push(record);
        line
    }

    /// Scalars of the last step for TensorBoard.
    pub fn step_scalars(&self) -> Vec<(&'static str, f64)> {
        let scalars = |row: &StepRow| {
            vec![
                ("loss/train", row.loss),
                ("gradient_norm", f64::from(row.gradient_norm.unwrap_or_default())),
                ("learning_rate/encoder", row.learning_rate_encoder),
                ("learning_rate/classifier", row.learning_rate_classifier),
            ]
        };
        self.rows.last().map(scalars).unwrap_or_default()
    }

    /// Scalars of the last epoch for TensorBoard.
    pub fn epoch_scalars(&self) -> Vec<(&'static str, f64)> {
        let Some(epoch) = self.epochs.last() else { return Vec::new() };
        let scalars = [
            ("accuracy/train", Some(epoch.training_accuracy)),
            ("loss/validation", epoch.validation_loss),
            ("accuracy/validation", epoch.validation_accuracy),
        ];
        scalars.into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect()
    }

    /// Whether the training is finished: after `train.epochs` epochs, or `train.patience` epochs after the
    /// best one.
    pub fn is_finished(&self, train: &Train) -> bool {
        if self.epochs.len() >= train.epochs {
            return true;
        }
        let since = self.epochs.len() - self.best_epoch();
        let stops = train.patience > 0 && since >= train.patience;
        if stops {
            midashi_stage::outln!("  no better validation accuracy for {since} epochs: training stops early");
        }
        stops
    }

    fn row(&self, train: &Train, factor: f64, split: Split, result: &BatchResult) -> StepRow {
        StepRow {
            step: self.steps as i64,
            epoch: self.epochs.len() as i64 + 1,
            split,
            loss: result.loss,
            correct: result.correct as i64,
            texts: result.texts as i64,
            tokens: result.tokens as i64,
            learning_rate_encoder: factor * train.learning_rate.encoder,
            learning_rate_classifier: factor * train.learning_rate.classifier,
            gradient_norm: None,
            batch: Vec::new(),
        }
    }
}

impl Totals {
    /// Adds the results of a batch.
    pub fn add(&mut self, batch: &BatchResult) {
        self.summed_loss += batch.loss;
        self.sums += BatchResult { loss: batch.loss * batch.texts as f64, ..*batch };
    }

    /// The results of all batches as one, with the mean loss per text.
    pub fn mean(&self) -> BatchResult {
        BatchResult { loss: self.sums.loss / self.sums.texts as f64, ..self.sums }
    }
}

impl EpochRecord {
    fn is_better_than(&self, best: &Self) -> bool {
        self.validation_accuracy > best.validation_accuracy
            || (self.validation_accuracy == best.validation_accuracy
                && self.validation_loss < best.validation_loss)
    }

    fn line(&self, epochs: usize, rows: &str) -> String {
        let validation = match (self.validation_loss, self.validation_accuracy) {
            (Some(loss), Some(accuracy)) => format!("  validation loss {loss:.4} accuracy {accuracy:.4}"),
            _ => String::new(),
        };
        // A large model on few cores reads less than one text in a second.
        let decimals = usize::from(self.texts_per_second < 10.0);
        format!(
            "  epoch {}/{epochs}  loss {:.3} (mean {:.4})  training accuracy {:.4}{validation}  {:.1} s  {:.decimals$} {rows}/s",
            self.epoch,
            self.summed_loss,
            self.mean_loss,
            self.training_accuracy,
            self.seconds,
            self.texts_per_second
        )
    }
}
