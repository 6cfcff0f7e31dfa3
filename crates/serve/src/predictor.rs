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

    fn tokens(&self) -> usize {
        self.input_ids.len()
    }
}

impl Waiting for Text {
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
    while let Some(texts) = queue.take(budget, Text::tokens) {
        let started = Instant::now();
        let ids: Vec<TextIds<'_>> = texts.iter().map(Text::ids).collect();
        let mut found: Vec<Result<Scores, Failure>> = match run(&mut model, &ids) {
            Ok(predictions) => predictions.into_iter().map(Ok).collect(),
            Err(failure) if texts.len() == 1 => vec![Err(failure)],
            // One text must not fail its neighbours.
            Err(_) => ids.iter().map(|text| run(&mut model, &[*text]).map(|mut one| one.remove(0))).collect(),
        };
        let computed = started.elapsed();
        let lengths: Vec<usize> = texts.iter().map(Text::tokens).collect();
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
    let found =
        found.unwrap_or_else(|_| Err("the model's thread panicked".to_owned())).map_err(Failure::Model)?;
    let is_finite = |found: &Scores| found.logits.iter().all(|logit| logit.is_finite());
    if found.len() != texts.len() || !found.iter().all(is_finite) {
        return Err(Failure::Model("the model's scores are not finite".to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::CategoryId;

    use super::*;

    /// A model that scores a text by its first id. It refuses batches with 13, and panics at 7.
    fn model(texts: &[TextIds<'_>]) -> Result<Vec<Scores>, String> {
        let scores = |text: &TextIds<'_>| match text.input_ids[0] {
            13 => Err("no row 13".to_owned()),
            7 => panic!("the model's library has an error"),
            id => Ok(Scores {
                category: CategoryId(0),
                logits: vec![if id == 99 { f32::NAN } else { id as f32 }],
                probabilities: vec![1.0],
                truncated: false,
            }),
        };
        texts.iter().map(scores).collect()
    }

    /// The first logits of texts that wait together, or why there are none.
    fn answers(ids: &[i32]) -> Vec<Result<f32, String>> {
        let queue = Queue::new(64);
        let (texts, answers): (Vec<Text>, Vec<Answer>) =
            ids.iter().map(|&id| Text::new(vec![id], vec![0])).unzip();
        queue.push(texts).unwrap();
        queue.close();
        answer_all(&queue, model, 1000, &Metrics::new());
        let answers = answers.into_iter().map(|answer| answer.blocking_recv().unwrap());
        answers
            .map(|found| {
                found.map(|found| found.answer.logits[0]).map_err(|failure| match failure {
                    Failure::Model(why) | Failure::TooLong(why) => why,
                })
            })
            .collect()
    }

    #[test]
    fn a_text_that_fails_does_not_fail_its_neighbours() {
        assert_eq!(answers(&[1, 13, 3]), [Ok(1.0), Err("no row 13".into()), Ok(3.0)]);
        assert_eq!(answers(&[1, 7, 3]), [Ok(1.0), Err("the model's thread panicked".into()), Ok(3.0)]);
        assert_eq!(answers(&[99, 5]), [Err("the model's scores are not finite".into()), Ok(5.0)]);
        assert_eq!(answers(&[13]), [Err("no row 13".into())]);
    }

    #[test]
    fn a_text_that_nobody_waits_for_is_not_computed() {
        let queue = Queue::new(64);
        let (kept, answer) = Text::new(vec![1], vec![0]);
        let (given_up, _) = Text::new(vec![7], vec![0]);
        queue.push(vec![given_up, kept]).unwrap();
        queue.close();
        let mut batches = Vec::new();
        let counting = |texts: &[TextIds<'_>]| {
            batches.push(texts.len());
            model(texts)
        };
        answer_all(&queue, counting, 1000, &Metrics::new());
        assert_eq!(answer.blocking_recv().unwrap().unwrap().answer.logits, [1.0]);
        assert_eq!(batches, [1]);
    }
}
