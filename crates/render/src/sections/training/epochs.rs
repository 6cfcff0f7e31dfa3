//! Loss, accuracy and learning rates by step and by epoch.

use midashi_artifacts::{Split, StepRow};
use serde::Serialize;

use crate::share::share;

/// The history of the training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Training {
    /// One entry per optimiser step.
    pub steps: Vec<Step>,
    /// One entry per epoch.
    pub epochs: Vec<Epoch>,
}

/// One optimiser step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// Counted from 1 over all epochs.
    pub step: i64,
    /// Mean cross-entropy per text, in nats.
    pub loss: f64,
    /// Number of texts in the step; the last of an epoch may have few.
    pub texts: i64,
    /// Learning rate of the encoder's last layer.
    pub encoder: f64,
    /// Learning rate of the classifier.
    pub classifier: f64,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: i64,
    /// Its first step.
    pub first_step: i64,
    /// Its last step.
    pub last_step: i64,
    /// Sum of its steps' losses; the article prints this.
    pub summed_loss: f64,
    /// Mean cross-entropy per training text, in nats.
    pub mean_loss: f64,
    /// Accuracy on the training texts during the epoch.
    pub accuracy: f64,
    /// On the validation split, after the epoch.
    pub validation: Option<Validation>,
}

/// The validation split after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Validation {
    /// Mean cross-entropy per text, in nats.
    pub loss: f64,
    /// Accuracy.
    pub accuracy: f64,
}

impl Training {
    /// From the rows of `training.parquet`.
    pub fn of(rows: &[StepRow]) -> Self {
        let of_split = |split| rows.iter().filter(move |row| row.split == split);
        let steps: Vec<&StepRow> = of_split(Split::Train).collect();
        let epochs = steps.chunk_by(|a, b| a.epoch == b.epoch).map(|steps| {
            let epoch = steps[0].epoch;
            let validation = of_split(Split::Validation).rfind(|row| row.epoch == epoch);
            Epoch::of(steps, validation)
        });
        Self { steps: steps.iter().map(|row| Step::of(row)).collect(), epochs: epochs.collect() }
    }
}

impl Step {
    fn of(row: &StepRow) -> Self {
        Self {
            step: row.step,
            loss: row.loss,
            texts: row.texts,
            encoder: row.learning_rate_encoder,
            classifier: row.learning_rate_classifier,
        }
    }
}

impl Epoch {
    /// `steps` has at least one item.
    fn of(steps: &[&StepRow], validation: Option<&StepRow>) -> Self {
        let texts: i64 = steps.iter().map(|row| row.texts).sum();
        let correct: i64 = steps.iter().map(|row| row.correct).sum();
        let loss_of_all: f64 = steps.iter().map(|row| row.loss * row.texts as f64).sum();
        Self {
            epoch: steps[0].epoch,
            first_step: steps[0].step,
            last_step: steps[steps.len() - 1].step,
            summed_loss: steps.iter().map(|row| row.loss).sum(),
            mean_loss: share(loss_of_all, texts as f64),
            accuracy: share(correct as f64, texts as f64),
            validation: validation.map(|row| Validation {
                loss: row.loss,
                accuracy: share(row.correct as f64, row.texts as f64),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: i64, epoch: i64, split: Split, loss: f64, correct: i64, texts: i64) -> StepRow {
        StepRow {
            step,
            epoch,
            split,
            loss,
            correct,
            texts,
            tokens: 0,
            learning_rate_encoder: 0.0,
            learning_rate_classifier: 0.0,
            gradient_norm: None,
            batch: Vec::new(),
        }
    }

    #[test]
    fn an_epochs_mean_counts_texts_not_steps() {
        let rows = [
            step(1, 1, Split::Train, 2.0, 1, 3),
            step(2, 1, Split::Train, 1.0, 1, 1),
            step(2, 1, Split::Validation, 1.5, 3, 4),
            step(3, 2, Split::Train, 0.5, 4, 4),
        ];
        let training = Training::of(&rows);
        assert_eq!(training.steps.len(), 3);
        let first = Epoch {
            epoch: 1,
            first_step: 1,
            last_step: 2,
            summed_loss: 3.0,
            mean_loss: 1.75,
            accuracy: 0.5,
            validation: Some(Validation { loss: 1.5, accuracy: 0.75 }),
        };
        assert_eq!(training.epochs[0], first);
        assert_eq!((training.epochs[1].mean_loss, training.epochs[1].validation), (0.5, None));
    }
}
