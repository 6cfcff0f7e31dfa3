//! The threads that tokenise long texts.
//!
//! A long text would hold up the thread that answers other requests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use midashi_classifier::Encoded;
use tokio::sync::oneshot;

use crate::encode::TooLong;
use crate::error::{ApiError, ErrorType};
use crate::inputs::Sequence;
use crate::queue::{Queue, Waiting};

/// Number of these threads. More would only share the cores with the model.
pub const TOKENISERS: usize = 2;

/// A text that waits to be tokenised.
pub struct LongText {
    sequence: Sequence,
    too_long: TooLong,
    asker: oneshot::Sender<Result<Encoded, ApiError>>,
}

/// Where the tokens of a text arrive.
pub type Answer = oneshot::Receiver<Result<Encoded, ApiError>>;

impl LongText {
    /// A text, what happens if it is longer than the model reads, and where its tokens arrive.
    pub fn new(sequence: Sequence, too_long: TooLong) -> (Self, Answer) {
        let (asker, answer) = oneshot::channel();
        (Self { sequence, too_long, asker }, answer)
    }
}

impl Waiting for LongText {
    fn is_cancelled(&self) -> bool {
        self.asker.is_closed()
    }
}

/// Tokenises one text after the other by `encode` until the queue is closed and empty.
pub fn tokenise(queue: &Queue<LongText>, encode: impl Fn(&Sequence, TooLong) -> Result<Encoded, ApiError>) {
    while let Some(LongText { sequence, too_long, asker }) = queue.take_one() {
        let found = catch_unwind(AssertUnwindSafe(|| encode(&sequence, too_long)));
        let failed = || ApiError::new(ErrorType::Tokenizer, "the tokenizer failed at one of these texts");
        // Nobody may wait any more.
        let _ = asker.send(found.unwrap_or_else(|_| Err(failed())));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::queue::Refused;

    fn text(text: &str) -> (LongText, Answer) {
        LongText::new(Sequence::Single(text.to_owned()), TooLong::Refused)
    }

    /// A tokenizer that finds no words. It has an error at `panic`.
    fn encode(sequence: &Sequence) -> Result<Encoded, ApiError> {
        let text = sequence.texts().next().unwrap_or_default();
        assert_ne!(text, "panic");
        Err(ApiError::wrong(text))
    }

    #[test]
    fn a_text_that_nobody_waits_for_is_not_tokenised_and_takes_no_room() {
        let queue = Queue::new(2);
        let (first, _) = text("given up");
        let (second, kept) = text("kept");
        queue.push(vec![first, second]).unwrap();
        let (third, late) = text("late");
        queue.push(vec![third]).unwrap();
        assert_eq!(queue.push(vec![text("too many").0]), Err(Refused::Full { capacity: 2 }));
        queue.close();
        let tokenised = RefCell::new(Vec::new());
        tokenise(&queue, |sequence, _| {
            tokenised.borrow_mut().extend(sequence.texts().map(str::to_owned));
            encode(sequence)
        });
        assert_eq!(tokenised.into_inner(), ["kept", "late"]);
        for (answer, expected) in [(kept, "kept"), (late, "late")] {
            assert_eq!(answer.blocking_recv().unwrap().unwrap_err().error, expected);
        }
    }

    #[test]
    fn a_panic_is_the_answer_to_one_text() {
        let queue = Queue::new(2);
        let (texts, answers): (Vec<LongText>, Vec<Answer>) = ["panic", "next"].map(text).into_iter().unzip();
        queue.push(texts).unwrap();
        queue.close();
        tokenise(&queue, |sequence, _| encode(sequence));
        let errors = answers.into_iter().map(|answer| answer.blocking_recv().unwrap().unwrap_err().error);
        assert_eq!(errors.collect::<Vec<_>>(), ["the tokenizer failed at one of these texts", "next"]);
    }
}
