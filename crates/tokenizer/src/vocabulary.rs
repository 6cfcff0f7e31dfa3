//! `vocab.txt`: one piece a line, its line number (from 0) is its id.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result, read_text};

/// Marks a piece that continues a word, as BERT's vocabularies spell it.
pub(crate) const CONTINUATION: &str = "##";

/// A vocabulary: pieces to ids and back.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    tokens: Vec<Box<str>>,
    ids: HashMap<Box<str>, u32>,
    /// Pieces that continue a word, without their `##`, so that looking one up needs no new string.
    continuations: HashMap<Box<str>, u32>,
    longest: usize,
}

impl Vocabulary {
    /// Reads a `vocab.txt`.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let vocabulary: Self = read_text(file)?.lines().collect();
        if vocabulary.tokens.is_empty() {
            return Err(Error::Malformed {
                file: file.to_owned(),
                place: "line 1".into(),
                found: "an empty file".into(),
                expected: "one piece a line".into(),
                advice: "fetch the vocabulary again",
            });
        }
        Ok(vocabulary)
    }

    /// Gives `token` the next id. A piece written twice keeps its last id, as in transformers.
    pub(crate) fn push(&mut self, token: &str) -> u32 {
        let id = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
        self.tokens.push(token.into());
        self.ids.insert(token.into(), id);
        if let Some(rest) = token.strip_prefix(CONTINUATION) {
            self.continuations.insert(rest.into(), id);
        }
        self.longest = self.longest.max(token.chars().count());
        id
    }

    /// How many ids there are.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The id of a piece as the file spells it.
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// The id of `##text`.
    pub(crate) fn continuation_id(&self, text: &str) -> Option<u32> {
        self.continuations.get(text).copied()
    }

    /// The piece with this id.
    pub(crate) fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(AsRef::as_ref)
    }

    /// No piece has more characters than this.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }
}

impl<'a> FromIterator<&'a str> for Vocabulary {
    fn from_iter<I: IntoIterator<Item = &'a str>>(tokens: I) -> Self {
        let mut vocabulary = Self::default();
        for token in tokens {
            vocabulary.push(token);
        }
        vocabulary
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_the_number_of_its_line() {
        let vocabulary: Vocabulary = ["[PAD]", "東京", "##都", "都"].into_iter().collect();
        assert_eq!(vocabulary.id("東京"), Some(1));
        assert_eq!(vocabulary.id("##都"), Some(2));
        assert_eq!(vocabulary.continuation_id("都"), Some(2));
        assert_eq!(vocabulary.continuation_id("東京"), None);
        assert_eq!(vocabulary.token(3), Some("都"));
        assert_eq!(vocabulary.token(4), None);
        assert_eq!(vocabulary.longest(), 5);
    }

    #[test]
    fn a_piece_written_twice_keeps_its_last_id() {
        let vocabulary: Vocabulary = ["a", "b", "a"].into_iter().collect();
        assert_eq!((vocabulary.id("a"), vocabulary.len()), (Some(2), 3));
    }
}
