//! Passes over the training split, and what is printed and kept of each.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use midashi_artifacts::{Split, StepRow, TokenizedCorpus};
use midashi_config::Train;
use midashi_stage::{Interrupted, Progress};
use serde::{Deserialize, Serialize};

use crate::batches::Batches;
use crate::interrupt;
use crate::schedule::Course;
use crate::state::StateFile;
use crate::tail::{BatchResult, Tail};
use crate::tensorboard::EventFile;

/// How far a training has come, and all that is kept of it.
#[derive(Default, Serialize, Deserialize)]
pub struct History {
    /// For `training.parquet`.
    pub rows: Vec<StepRow>,
    /// For `run.json`: the finished epochs.
    pub epochs: Vec<EpochRecord>,
    /// Optimiser steps made.
    steps: usize,
    /// How many batches the epoch after them has learned from.
    batches: usize,
    /// Their sums.
    totals: Totals,
    /// The epoch whose weights are kept, where there is a validation split.
    best: Option<Best>,
}

/// One epoch in `run.json`.
#[derive(Serialize, Deserialize)]
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
    texts_per_second: f64,
}

/// Sums over batches.
#[derive(Default, Serialize, Deserialize)]
struct Totals {
    summed_loss: f64,
    loss_by_text: f64,
    correct: usize,
    texts: usize,
    tokens: usize,
    seconds: f64,
}

/// The epoch with the highest validation accuracy so far; of equal ones the one with the lowest loss.
#[derive(Serialize, Deserialize)]
struct Best {
    epoch: usize,
    accuracy: f64,
    loss: f64,
}

/// Trains for `train.epochs` epochs, from the state that an interrupted training has saved. `events` is
/// the folder of TensorBoard's files.
///
/// # Errors
/// [`Interrupted`] when it is asked to stop: the state is then saved.
pub fn train(tail: &mut Tail<'_>, train: &Train, state: &mut StateFile, events: &Path) -> Result<History> {
    let corpus = tail.corpus();
    let batches = Batches { texts: texts_of(corpus, Split::Train), train };
    let watched: Vec<usize> = texts_of(corpus, Split::Validation).into_iter().map(|(text, _)| text).collect();
    let texts = batches.texts.len();
    if texts == 0 {
        bail!("the training split is empty; lower corpus.split.test or corpus.split.validation");
    }
    println!(
        "  {} trainable parameters, {texts} texts, {} epochs",
        tail.trainable_parameters(),
        train.epochs
    );
    let steps = (1..=train.epochs).map(|epoch| batches.of_epoch(epoch).len()).sum();
    let course = Course::new(&train.learning_rate, steps);

    let mut history = History::default();
    if let Some((saved, tensors)) = state.read() {
        tail.restore(tensors, saved.steps)?;
        history = saved;
        println!("  going on after step {} of {steps}", history.steps);
    }
    let mut events = EventFile::create(events, history.steps)?;
    interrupt::watch()?;
    while history.epochs.len() < train.epochs && !history.ends_early(train) {
        let epoch = history.epochs.len() + 1;
        let mut progress = Progress::new(format!("epoch {epoch}/{}", train.epochs), texts as u64, "texts");
        progress.advance(history.totals.texts as u64);
        for batch in batches.of_epoch(epoch).into_iter().skip(history.batches) {
            let started = Instant::now();
            let factor = course.factor(history.steps);
            let result = tail.step(&batch, factor)?;
            history.learned(train, factor, &batch, &result)?;
            events.add(history.steps, &history.step_scalars())?;
            history.totals.seconds += started.elapsed().as_secs_f64();
            progress.advance(batch.len() as u64);
            if interrupt::is_asked() {
                state.save(&history, &tail.state()?)?;
                let at = format!("the state after step {} of {steps} is saved", history.steps);
                bail!(Interrupted(format!("{at}; the same command goes on from there")));
            }
            if state.is_due() {
                state.save(&history, &tail.state()?)?;
            }
        }
        progress.finish();
        let watched = watch(tail, train, &watched)?;
        if history.finish_epoch(train, course.factor(history.steps), watched) {
            tail.keep();
        }
        events.add(history.steps, &history.epoch_scalars())?;
    }
    if let Some(best) = &history.best {
        println!("  kept the weights of epoch {}, validation accuracy {:.4}", best.epoch, best.accuracy);
        tail.put_back_kept();
    }
    Ok(history)
}

/// The texts of a split and their lengths in tokens.
fn texts_of(corpus: &TokenizedCorpus, split: Split) -> Vec<(usize, usize)> {
    let texts = corpus.texts.iter().enumerate().filter(|(_, text)| text.split == split);
    texts.map(|(at, text)| (at, text.input_ids.len())).collect()
}

/// Looks at the validation split; `None` when there is none.
fn watch(tail: &mut Tail<'_>, train: &Train, texts: &[usize]) -> Result<Option<Totals>> {
    let mut totals = Totals::default();
    for batch in texts.chunks(train.batch_size) {
        totals.add(&tail.look(batch)?);
    }
    Ok((totals.texts > 0).then_some(totals))
}

impl History {
    /// The epoch whose weights the model has.
    pub fn kept_epoch(&self) -> usize {
        self.best.as_ref().map_or(self.epochs.len(), |best| best.epoch)
    }

    /// Enters a step.
    fn learned(&mut self, train: &Train, factor: f64, batch: &[usize], result: &BatchResult) -> Result<()> {
        self.steps += 1;
        self.batches += 1;
        if !(result.loss.is_finite() && result.gradient_norm.is_finite()) {
            bail!(
                "the loss is {} and the gradient's norm {} at step {}: training has diverged; \
                 lower train.learning_rate.encoder and .classifier",
                result.loss,
                result.gradient_norm,
                self.steps
            );
        }
        self.totals.add(result);
        let batch = batch.iter().map(|&text| text as i32).collect();
        self.rows.push(StepRow { batch, ..self.row(train, factor, Split::Train, result) });
        Ok(())
    }

    /// Enters the end of an epoch and what the validation split says of it; whether it is the best so far.
    fn finish_epoch(&mut self, train: &Train, factor: f64, watched: Option<Totals>) -> bool {
        let epoch = self.epochs.len() + 1;
        if let Some(watched) = &watched {
            self.rows.push(self.row(train, factor, Split::Validation, &watched.as_batch()));
        }
        let totals = std::mem::take(&mut self.totals);
        self.batches = 0;
        let record = EpochRecord {
            epoch,
            summed_loss: totals.summed_loss,
            mean_loss: totals.mean_loss(),
            training_accuracy: totals.accuracy(),
            validation_loss: watched.as_ref().map(Totals::mean_loss),
            validation_accuracy: watched.as_ref().map(Totals::accuracy),
            seconds: totals.seconds,
            texts_per_second: totals.texts as f64 / totals.seconds,
        };
        record.print(train.epochs);
        self.epochs.push(record);
        let better =
            watched.filter(|totals| self.best.as_ref().is_none_or(|best| best.is_worse_than(totals)));
        let is_better = better.is_some();
        if let Some(totals) = better {
            self.best = Some(Best { epoch, accuracy: totals.accuracy(), loss: totals.mean_loss() });
        }
        is_better
    }

    /// The last step for TensorBoard.
    fn step_scalars(&self) -> Vec<(&'static str, f64)> {
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

    /// The last epoch for TensorBoard.
    fn epoch_scalars(&self) -> Vec<(&'static str, f64)> {
        let Some(epoch) = self.epochs.last() else { return Vec::new() };
        let validation =
            [("loss/validation", epoch.validation_loss), ("accuracy/validation", epoch.validation_accuracy)];
        let validation = validation.into_iter().filter_map(|(tag, value)| Some((tag, value?)));
        [("accuracy/train", epoch.training_accuracy)].into_iter().chain(validation).collect()
    }

    /// Whether the validation accuracy has not risen for `train.patience` epochs, which is then said.
    fn ends_early(&self, train: &Train) -> bool {
        let since = self.best.as_ref().map_or(0, |best| self.epochs.len() - best.epoch);
        let ends = train.patience > 0 && since >= train.patience;
        if ends {
            println!("  no better validation accuracy for {since} epochs: training ends");
        }
        ends
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
            gradient_norm: (split == Split::Train).then_some(result.gradient_norm),
            batch: Vec::new(),
        }
    }
}

impl Best {
    fn is_worse_than(&self, totals: &Totals) -> bool {
        let (accuracy, loss) = (totals.accuracy(), totals.mean_loss());
        self.accuracy < accuracy || (self.accuracy == accuracy && loss < self.loss)
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
            "  epoch {}/{epochs}  loss {:.3} (mean {:.4})  training accuracy {:.4}{validation}  {:.1} s  {:.0} texts/s",
            self.epoch,
            self.summed_loss,
            self.mean_loss,
            self.training_accuracy,
            self.seconds,
            self.texts_per_second
        );
    }
}
