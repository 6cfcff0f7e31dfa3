//! The thread that explains predictions.
//!
//! An explanation may take as long as a hundred predictions. So the thread has a model of its own with half of the
//! threads. It opens the model when it is first asked, so that a server that only predicts does not pay for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use midashi_classifier::{Classifier, Encoded, Error, Explanation, Method, Result};
use tokio::sync::oneshot;

use crate::answer::{Answered, Failure};
use crate::metrics::Metrics;
use crate::queue::{Queue, Waiting};

/// A text that waits for its explanation.
pub struct Question {
    text: Encoded,
    method: Method,
    arrived: Instant,
    asker: oneshot::Sender<Result<Answered<Explanation>, Failure>>,
}

/// Where the explanation of a text arrives.
pub type Answer = oneshot::Receiver<Result<Answered<Explanation>, Failure>>;

impl Question {
    /// A tokenised text, and where its explanation arrives.
    pub fn new(text: Encoded, method: Method) -> (Self, Answer) {
        let (asker, answer) = oneshot::channel();
        (Self { text, method, arrived: Instant::now(), asker }, answer)
    }
}

impl Waiting for Question {
    fn is_cancelled(&self) -> bool {
        self.asker.is_closed()
    }
}

/// Explains one text after the other until the queue is closed and empty, with the model that `open` opens.
pub fn explain<'e>(queue: &Queue<Question>, open: impl Fn() -> Result<Classifier<'e>>, metrics: &Metrics) {
    let mut opened = None;
    while let Some(Question { text, method, arrived, asker }) = queue.take_one() {
        let started = Instant::now();
        metrics.explaining(true);
        let found = catch_unwind(AssertUnwindSafe(|| {
            let mut classifier = match opened.take() {
                Some(classifier) => classifier,
                None => open()?,
            };
            let found = classifier.explain_encoded(vec![text], method).map(|mut found| found.pop());
            // After a panic, the model is opened again.
            opened = Some(classifier);
            found
        }));
        metrics.explaining(false);
        let found = match found {
            Ok(Ok(Some(explanation))) => Ok(explanation),
            Ok(Ok(None)) => Err(Failure::Model("the model gave no explanation".to_owned())),
            Ok(Err(error @ Error::ExplanationMemory { .. })) => Err(Failure::TooLong(error.to_string())),
            Ok(Err(error)) => Err(Failure::Model(error.to_string())),
            Err(_) => Err(Failure::Model("the explainer's thread panicked".to_owned())),
        };
        if found.is_err() {
            metrics.failure();
        }
        let (queued, computed) = (started.duration_since(arrived), started.elapsed());
        // Nobody may wait any more.
        let _ = asker.send(found.map(|answer| Answered { answer, queued, computed }));
    }
}
