//! `vocab.txt`: one piece a line. Its line number, from 0, is its id.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result, read_text};

/// The prefix of pieces that continue a word in BERT's vocabularies.
pub(crate) const CONTINUATION: &str = "##";

/// A vocabulary: pieces to ids and back.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    tokens: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, u32>,
    longest: usize,
}

impl Vocabulary {
    /// Reads a `vocab.txt`. As in Python, a line ends at a line feed, a carriage return, or both.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = read_text(file)?.replace("\r\n", "\n").replace('\r', "\n");
        let vocabulary: Self = text.lines().collect();
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

    /// Gives `token` the next id. A repeated piece has its last id, as in transformers.
    pub(crate) fn push(&mut self, token: &str) -> u32 {
        let id = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
        let token: Arc<str> = token.into();
        self.longest = self.longest.max(token.chars().count());
        self.tokens.push(token.clone());
        self.ids.insert(token, id);
        id
    }

    /// Makes a repeated piece have this one of its ids.
    pub(crate) fn claim(&mut self, token: &str, id: u32) {
        if self.token(id) == Some(token) {
            self.ids.insert(token.into(), id);
        }
    }

    /// Number of ids.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The id of a piece as the file spells it.
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// The piece with this id.
    pub(crate) fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(AsRef::as_ref)
    }

    /// Number of characters of the longest piece.
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
    fn the_id_of_a_piece_is_its_line_number() {
        let vocabulary: Vocabulary = ["[PAD]", "東京", "##都", "都"].into_iter().collect();
        assert_eq!(vocabulary.id("東京"), Some(1));
        assert_eq!(vocabulary.id("##都"), Some(2));
        assert_eq!(vocabulary.token(3), Some("都"));
        assert_eq!(vocabulary.token(4), None);
        assert_eq!(vocabulary.longest(), 5);
    }

    /// transformers counts lines, whatever they contain.
    #[test]
    fn every_line_has_an_id_even_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vocab.txt");
        std::fs::write(&file, "[PAD]\n\n東京\r\n##都\r駅\n\n").unwrap();
        let vocabulary = Vocabulary::read(&file).unwrap();
        let ids = ["[PAD]", "", "東京", "##都", "駅"].map(|piece| vocabulary.id(piece));
        assert_eq!(ids, [Some(0), Some(5), Some(2), Some(3), Some(4)]);
        assert_eq!(vocabulary.len(), 6);
    }

    #[test]
    fn a_repeated_piece_has_its_last_id() {
        let vocabulary: Vocabulary = ["a", "b", "a"].into_iter().collect();
        assert_eq!((vocabulary.id("a"), vocabulary.len()), (Some(2), 3));
    }
}
