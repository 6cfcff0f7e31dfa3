//! The training loop: in each epoch a step per batch, then the validation split.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use midashi_artifacts::{Split, TokenizedCorpus};
use midashi_config::Train;
use midashi_stage::{Interrupted, Progress};

use crate::data::Batches;
use crate::optimiser::LearningRateSchedule;
use crate::training::history::{History, Totals};
use crate::training::interrupt;
use crate::training::state_file::StateFile;
use crate::training::tail::{BatchResult, Tail};
use crate::training::tensorboard::EventFile;

/// Trains for `train.epochs` epochs, resuming from the state of an interrupted training. TensorBoard's
/// files are written to the folder `events`.
///
/// # Errors
/// [`Interrupted`] after a signal: the state is then saved.
pub fn train(tail: &mut Tail<'_>, train: &Train, state: &mut StateFile, events: &Path) -> Result<History> {
    let (inputs, validation) = (tail.inputs(), texts_of(tail.inputs().corpus, Split::Validation));
    let training = texts_of(inputs.corpus, Split::Train);
    let rows = inputs.rows_of(&training);
    let lengths = inputs.lengths(&rows);
    let batches = Batches { texts: rows.into_iter().zip(lengths).collect(), train };
    let (texts, rows) = (training.len(), batches.texts.len());
    let (what, windows) = match inputs.corpus.windowing {
        Some(_) => ("windows", format!(" in {rows} windows")),
        None => ("texts", String::new()),
    };
    if texts == 0 {
        bail!("the training split is empty; lower corpus.split.test or corpus.split.validation");
    }
    let (parameters, epochs) = (tail.trainable_parameters(), train.epochs);
    midashi_stage::outln!("  {parameters} trainable parameters, {texts} texts{windows}, {epochs} epochs");
    let steps = (1..=epochs).map(|epoch| batches.epoch(epoch).len()).sum();
    let schedule = LearningRateSchedule::new(&train.learning_rate, steps);

    let mut history = History::default();
    if let Some((saved, tensors)) = state.read() {
        tail.optimiser.restore(tensors, saved.steps)?;
        history = saved;
        midashi_stage::outln!("  going on after step {} of {steps}", history.steps);
    }
    let mut events = EventFile::create(events, history.steps)?;
    interrupt::install_handler()?;
    // One count for all epochs, so that the time left is that of the whole training, validations included.
    let mut progress = Progress::new("", (rows * epochs) as u64, what);
    progress.inherit((rows * history.epochs.len() + history.totals.sums.texts) as u64);
    while !history.is_finished(train) {
        let epoch = history.epochs.len() + 1;
        progress.relabel(format!("epoch {epoch}/{epochs}"));
        for batch in batches.epoch(epoch).into_iter().skip(history.steps_of_epoch) {
            let started = Instant::now();
            let factor = schedule.factor(history.steps);
            let result = tail.step(&batch, factor)?;
            let texts: Vec<usize> = batch.iter().map(|&row| inputs.rows.text(row)).collect();
            history.add_step(train, factor, &texts, &result)?;
            events.add(history.steps, &history.step_scalars())?;
            history.totals.seconds += started.elapsed().as_secs_f64();
            progress.advance(batch.len() as u64);
            let is_interrupted = interrupt::is_requested();
            if is_interrupted || state.is_due() {
                state.save(&history, &tail.optimiser.state()?)?;
            }
            if is_interrupted {
                let at = format!("the state after step {} of {steps} is saved", history.steps);
                bail!(Interrupted(format!("{at}; the same command goes on from there")));
            }
        }
        let validated = validate(tail, train, &validation)?;
        progress.println(&history.add_epoch(train, schedule.factor(history.steps), validated, what));
        if history.best().is_some_and(|best| best.epoch == epoch) {
            tail.optimiser.save_best();
        }
        events.add(history.steps, &history.epoch_scalars())?;
    }
    progress.finish();
    if let Some(best) = history.best() {
        let accuracy = best.validation_accuracy.unwrap_or_default();
        midashi_stage::outln!(
            "  restored the weights of epoch {}, validation accuracy {accuracy:.4}",
            best.epoch
        );
        tail.optimiser.restore_best();
    }
    Ok(history)
}

/// The texts of a split.
fn texts_of(corpus: &TokenizedCorpus, split: Split) -> Vec<usize> {
    (0..corpus.texts.len()).filter(|&text| corpus.texts[text].split == split).collect()
}

/// Results on the validation split; `None` if it is empty.
fn validate(tail: &mut Tail<'_>, train: &Train, texts: &[usize]) -> Result<Option<BatchResult>> {
    let mut totals = Totals::default();
    for batch in texts.chunks(train.batch_size) {
        totals.add(&tail.validate(batch)?);
    }
    Ok((totals.sums.texts > 0).then(|| totals.mean()))
}
