//! A SentencePiece model with the cleaning of its tokenizer class: text to pieces.

use super::cleaning::{Cleaning, cut_commas};
use super::model::SentencePiece;
use crate::aligned::Aligned;
use crate::wordpiece::Piece;

/// A model and how its texts are cleaned, if they are.
#[derive(Debug)]
pub(crate) struct Cutter {
    pub(crate) model: SentencePiece,
    pub(crate) cleaning: Option<Cleaning>,
}

impl Cutter {
    /// Normalises a text and cuts it into pieces, whose characters are those of the normalised text.
    pub(crate) fn encode<'t>(&self, text: Aligned<'t>) -> (Aligned<'t>, Vec<Piece>) {
        let Some(cleaning) = self.cleaning else { return self.model.encode(text) };
        let (normalised, pieces) = self.model.encode(cleaning.clean(text));
        let characters: Vec<char> = normalised.text().chars().collect();
        let pieces = cut_commas(pieces, &characters, &self.model);
        (normalised, pieces)
    }

    /// Appends the pieces of a word to `pieces`. Their characters are the word's.
    pub(crate) fn cut(&self, word: &str, pieces: &mut Vec<Piece>) {
        let (normalised, found) = self.encode(Aligned::new(word));
        pieces.extend(found.into_iter().map(|piece| {
            let origin = normalised.origin(piece.start..piece.end);
            Piece { id: piece.id, start: origin.start, end: origin.end }
        }));
    }
}
