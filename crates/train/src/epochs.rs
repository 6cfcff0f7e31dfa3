//! Passes over the training split, and what is printed and kept of each.

use std::time::Instant;

use anyhow::{Result, bail};
use midashi_pipeline::Progress;
use midashi_pipeline::artifact::{Split, StepRow};
use midashi_pipeline::config::Train;
use ndarray::ArrayD;
use serde::Serialize;

use crate::batches::shuffled;
use crate::schedule::Course;
use crate::tail::{BatchResult, Tail};

/// All that is kept of a training.
pub struct History {
    /// For `training.parquet`.
    pub rows: Vec<StepRow>,
    /// For `run.json`.
    pub epochs: Vec<EpochRecord>,
    /// How many numbers learned.
    pub parameters: usize,
    /// The epoch whose weights were kept.
    pub kept_epoch: usize,
}

/// One epoch in `run.json`.
#[derive(Serialize)]
pub struct EpochRecord {
    epoch: usize,
    /// Sum of the steps' mean losses, as the article prints it.
    summed_loss: f64,
    /// Mean cross-entropy per text.
    mean_loss: f64,
    training_accuracy: f64,
    validation_loss: Option<f64>,
    validation_accuracy: Option<f64>,
    seconds: f64,
    titles_per_second: f64,
}

/// Sums over batches.
#[derive(Default)]
struct Totals {
    summed_loss: f64,
    loss_by_text: f64,
    correct: usize,
    texts: usize,
    tokens: usize,
}

/// Trains for `train.epochs` epochs.
pub fn train(tail: &mut Tail<'_>, train: &Train) -> Result<History> {
    let of_split = |split: Split| -> Vec<usize> {
        let texts = tail.corpus().texts.iter().enumerate();
        texts.filter(|(_, text)| text.split == split).map(|(at, _)| at).collect()
    };
    let (learned, watched) = (of_split(Split::Train), of_split(Split::Validation));
    if learned.is_empty() {
        bail!("the training split is empty; lower corpus.split.test or corpus.split.validation");
    }
    let parameters = tail.trainable_parameters();
    println!("  {parameters} trainable parameters, {} titles, {} epochs", learned.len(), train.epochs);

    let mut history = History { rows: Vec::new(), epochs: Vec::new(), parameters, kept_epoch: train.epochs };
    let course = Course::new(&train.learning_rate, train.epochs * learned.len().div_ceil(train.batch_size));
    let mut best: Option<Best> = None;
    let mut step = 0;
    for epoch in 1..=train.epochs {
        let started = Instant::now();
        let batches = shuffled(&learned, train.batch_size, train.seed, epoch);
        let mut progress =
            Progress::new(format!("epoch {epoch}/{}", train.epochs), learned.len() as u64, "titles");
        let mut totals = Totals::default();
        for batch in &batches {
            let factor = course.factor(step as usize);
            let result = tail.step(batch, factor)?;
            step += 1;
            if !(result.loss.is_finite() && result.gradient_norm.is_finite()) {
                bail!(
                    "the loss is {} and the gradient's norm {} at step {step}: training has diverged; \
                     lower train.learning_rate.encoder and .classifier",
                    result.loss,
                    result.gradient_norm
                );
            }
            totals.add(&result);
            history.rows.push(row(train, factor, step, epoch, Split::Train, &result));
            progress.advance(batch.len() as u64);
        }
        progress.finish();
        let seconds = started.elapsed().as_secs_f64();
        let watched = watch(tail, train, &watched)?;
        if let Some(totals) = &watched {
            let factor = course.factor(step as usize);
            history.rows.push(row(train, factor, step, epoch, Split::Validation, &totals.as_batch()));
        }
        let record = EpochRecord {
            epoch,
            summed_loss: totals.summed_loss,
            mean_loss: totals.mean_loss(),
            training_accuracy: totals.accuracy(),
            validation_loss: watched.as_ref().map(Totals::mean_loss),
            validation_accuracy: watched.as_ref().map(Totals::accuracy),
            seconds,
            titles_per_second: totals.texts as f64 / seconds,
        };
        record.print(train.epochs);
        history.epochs.push(record);
        let Some(totals) = watched else { continue };
        if best.as_ref().is_none_or(|best| best.is_worse_than(&totals)) {
            let (accuracy, loss) = (totals.accuracy(), totals.mean_loss());
            best = Some(Best { epoch, accuracy, loss, learned: tail.learned() });
        }
        let since = best.as_ref().map_or(0, |best| epoch - best.epoch);
        if train.patience > 0 && since >= train.patience && epoch < train.epochs {
            println!("  no better validation accuracy for {since} epochs: training ends");
            break;
        }
    }
    if let Some(best) = best {
        println!("  kept the weights of epoch {}, validation accuracy {:.4}", best.epoch, best.accuracy);
        history.kept_epoch = best.epoch;
        tail.restore(best.learned);
    }
    Ok(history)
}

/// The epoch with the highest validation accuracy so far; of equal ones the one with the lowest loss.
struct Best {
    epoch: usize,
    accuracy: f64,
    loss: f64,
    learned: Vec<(String, ArrayD<f32>)>,
}

impl Best {
    fn is_worse_than(&self, totals: &Totals) -> bool {
        let (accuracy, loss) = (totals.accuracy(), totals.mean_loss());
        self.accuracy < accuracy || (self.accuracy == accuracy && loss < self.loss)
    }
}

/// Looks at the validation split; `None` when there is none.
fn watch(tail: &mut Tail<'_>, train: &Train, texts: &[usize]) -> Result<Option<Totals>> {
    let mut totals = Totals::default();
    for batch in texts.chunks(train.batch_size) {
        totals.add(&tail.look(batch)?);
    }
    Ok((totals.texts > 0).then_some(totals))
}

fn row(train: &Train, factor: f64, step: i64, epoch: usize, split: Split, result: &BatchResult) -> StepRow {
    StepRow {
        step,
        epoch: epoch as i64,
        split,
        loss: result.loss,
        correct: result.correct as i64,
        texts: result.texts as i64,
        tokens: result.tokens as i64,
        learning_rate_encoder: factor * train.learning_rate.encoder,
        learning_rate_classifier: factor * train.learning_rate.classifier,
        gradient_norm: (split == Split::Train).then_some(result.gradient_norm),
    }
}

impl Totals {
    fn add(&mut self, batch: &BatchResult) {
        self.summed_loss += batch.loss;
        self.loss_by_text += batch.loss * batch.texts as f64;
        self.correct += batch.correct;
        self.texts += batch.texts;
        self.tokens += batch.tokens;
    }

    fn mean_loss(&self) -> f64 {
        self.loss_by_text / self.texts as f64
    }

    fn accuracy(&self) -> f64 {
        self.correct as f64 / self.texts as f64
    }

    fn as_batch(&self) -> BatchResult {
        BatchResult {
            loss: self.mean_loss(),
            correct: self.correct,
            texts: self.texts,
            tokens: self.tokens,
            gradient_norm: 0.0,
        }
    }
}

impl EpochRecord {
    fn print(&self, epochs: usize) {
        let validation = match (self.validation_loss, self.validation_accuracy) {
            (Some(loss), Some(accuracy)) => format!("  validation loss {loss:.4} accuracy {accuracy:.4}"),
            _ => String::new(),
        };
        println!(
            "  epoch {}/{epochs}  loss {:.3} (mean {:.4})  training accuracy {:.4}{validation}  {:.1} s  {:.0} titles/s",
            self.epoch,
            self.summed_loss,
            self.mean_loss,
            self.training_accuracy,
            self.seconds,
            self.titles_per_second
        );
    }
}
