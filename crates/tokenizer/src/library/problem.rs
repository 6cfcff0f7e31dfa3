//! What is wrong with a part of a `tokenizer.json`.

use std::path::Path;

use crate::error::Error;

/// What is wrong with a part of the file.
#[derive(Debug)]
pub(super) struct Problem {
    /// Where, by the file's keys.
    pub(super) place: String,
    /// What was found there.
    pub(super) found: String,
    /// What was expected there.
    pub(super) expected: String,
}

impl Problem {
    pub(super) fn new(place: &str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { place: place.to_owned(), found: found.into(), expected: expected.into() }
    }

    /// The error of the whole file.
    pub(super) fn of(self, file: &Path) -> Error {
        let Self { place, found, expected } = self;
        Error::Malformed {
            file: file.to_owned(),
            place,
            found,
            expected,
            advice: "take the file that was published with the checkpoint, or another checkpoint",
        }
    }
}
