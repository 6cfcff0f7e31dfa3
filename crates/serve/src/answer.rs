//! What a model's thread answers to one text.

use std::time::Duration;

/// An answer with the times that it took.
#[derive(Debug)]
pub struct Answered<T> {
    /// The answer.
    pub answer: T,
    /// Time in the queue.
    pub queued: Duration,
    /// Time of the batch on the model.
    pub computed: Duration,
}

/// Why the model gave no answer. The message holds no text of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It failed.
    Model(String),
    /// The text is too long for what was asked.
    TooLong(String),
}
