//! The thread that owns the model and predicts batch by batch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use midashi_classifier::{IdClassifier, Scores, TextIds};
use tokio::sync::oneshot;

use crate::answer::{Answered, Failure};
use crate::metrics::Metrics;
use crate::queue::{Queue, Waiting};

/// A text that waits for its prediction.
pub struct Text {
    input_ids: Vec<i32>,
    token_type_ids: Vec<i32>,
    arrived: Instant,
    asker: oneshot::Sender<Result<Answered<Scores>, Failure>>,
}

/// Where the prediction of a text arrives.
pub type Answer = oneshot::Receiver<Result<Answered<Scores>, Failure>>;

impl Text {
    /// A tokenised text, and where its prediction arrives.
    pub fn new(input_ids: Vec<i32>, token_type_ids: Vec<i32>) -> (Self, Answer) {
        let (asker, answer) = oneshot::channel();
        (Self { input_ids, token_type_ids, arrived: Instant::now(), asker }, answer)
    }

    fn ids(&self) -> TextIds<'_> {
        TextIds { input_ids: &self.input_ids, token_type_ids: &self.token_type_ids }
    }
}

impl Waiting for Text {
    fn tokens(&self) -> usize {
        self.input_ids.len()
    }

    fn is_cancelled(&self) -> bool {
        self.asker.is_closed()
    }
}

/// Predicts until the queue is closed and empty. A batch has at most `budget` tokens.
pub fn predict(queue: &Queue<Text>, model: &mut IdClassifier, budget: usize, metrics: &Metrics) {
    answer_all(queue, |ids| model.classify(ids).map_err(|error| error.to_string()), budget, metrics);
}

fn answer_all(
    queue: &Queue<Text>,
    mut model: impl FnMut(&[TextIds<'_>]) -> Result<Vec<Scores>, String>,
    budget: usize,
    metrics: &Metrics,
) {
    while let Some(texts) = queue.take(budget) {
        let started = Instant::now();
        let ids: Vec<TextIds<'_>> = texts.iter().map(Text::ids).collect();
        let mut found: Vec<Result<Scores, Failure>> = match run(&mut model, &ids) {
            Ok(predictions) => predictions.into_iter().map(Ok).collect(),
            Err(failure) if texts.len() == 1 => vec![Err(failure)],
            // One text must not fail its neighbours.
            Err(_) => ids.iter().map(|text| run(&mut model, &[*text]).map(|mut one| one.remove(0))).collect(),
        };
        let computed = started.elapsed();
        let lengths: Vec<usize> = texts.iter().map(Waiting::tokens).collect();
        metrics.batches().batch(&lengths, computed);
        for (text, found) in texts.into_iter().zip(found.drain(..)) {
            let queued = started.duration_since(text.arrived);
            metrics.batches().wait(queued);
            if found.is_err() {
                metrics.failure();
            }
            // Nobody may wait any more.
            let _ = text.asker.send(found.map(|answer| Answered { answer, queued, computed }));
        }
    }
}

/// Runs the model; a panic and a missing prediction are failures.
fn run(
    model: &mut impl FnMut(&[TextIds<'_>]) -> Result<Vec<Scores>, String>,
    texts: &[TextIds<'_>],
) -> Result<Vec<Scores>, Failure> {
    let found = catch_unwind(AssertUnwindSafe(|| model(texts)));
    let found = found.unwrap_or_else(|_| Err("the model's thread panicked".to_owned())).map_err(Failure)?;
    let is_finite = |found: &Scores| found.logits.iter().all(|logit| logit.is_finite());
    if found.len() != texts.len() || !found.iter().all(is_finite) {
        return Err(Failure("the model's scores are not finite".to_owned()));
    }
    Ok(found)
}
