//! What `AlbertTokenizer` does beside SentencePiece, and with it the words of `BertJapaneseTokenizer`: it cleans texts
//! before, and afterwards cuts a comma from the number before it.

use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::model::SentencePiece;
use super::normaliser::SPACE;
use crate::aligned::Aligned;
use crate::wordpiece::{Piece, is_python_space};

/// How texts are cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cleaning {
    /// Whether white space at both ends is dropped, and repeated white space becomes a space.
    pub(crate) remove_space: bool,
    /// Whether accents stay. Otherwise, texts are decomposed (NFKD) and lose their combining characters, the marks of
    /// が and ぱ among them.
    pub(crate) keep_accents: bool,
    pub(crate) lower_case: bool,
}

impl Cleaning {
    /// Cleans a text.
    pub(crate) fn clean(self, text: Aligned<'_>) -> Aligned<'_> {
        let text = if self.remove_space { without_extra_space(text) } else { text };
        let text = with_plain_quotes(text);
        let text = match self.keep_accents {
            true => text,
            false => text.nfkd(|character| canonical_combining_class(character) == 0),
        };
        if self.lower_case { text.lower_case() } else { text }
    }
}

/// Python's `" ".join(text.split())`.
fn without_extra_space(text: Aligned<'_>) -> Aligned<'_> {
    let mut kept = Vec::new();
    let mut space = None;
    for (at, character) in text.text().chars().enumerate() {
        if is_python_space(character) {
            space = space.or(Some(at));
            continue;
        }
        if let Some(space) = space.take()
            && !kept.is_empty()
        {
            kept.push((' ', space..at));
        }
        kept.push((character, at..at + 1));
    }
    text.replaced(kept)
}

/// Replaces the quotes of TeX, two characters each.
fn with_plain_quotes(text: Aligned<'_>) -> Aligned<'_> {
    if !text.text().contains("``") && !text.text().contains("''") {
        return text;
    }
    let mut kept = Vec::new();
    let mut characters = text.text().chars().enumerate().peekable();
    while let Some((at, character)) = characters.next() {
        let is_quote = matches!(character, '`' | '\'');
        if is_quote && characters.next_if(|&(_, next)| next == character).is_some() {
            kept.push(('"', at..at + 2));
        } else {
            kept.push((character, at..at + 1));
        }
    }
    text.replaced(kept)
}

/// Python's `str.isdigit`, for what NFKC leaves of digits.
fn is_digit(character: char) -> bool {
    character.general_category() == GeneralCategory::DecimalNumber
}

/// Cuts each piece that ends in a digit and a comma into the pieces of what precedes the comma, and the comma.
/// `characters` are those of the normalised text.
pub(super) fn cut_commas(pieces: Vec<Piece>, characters: &[char], model: &SentencePiece) -> Vec<Piece> {
    let spelling = |piece: &Piece| characters.get(piece.start..piece.end).unwrap_or_default();
    let has_comma = |piece: &Piece| matches!(spelling(piece), [.., digit, ','] if is_digit(*digit));
    if !pieces.iter().any(has_comma) {
        return pieces;
    }
    let mut cut = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        match spelling(&piece) {
            [number @ .., ','] if has_comma(&piece) => {
                let kept = || (piece.start..).zip(number).filter(|&(_, &character)| character != SPACE);
                let alone: String = kept().map(|(_, character)| character).collect();
                let places: Vec<usize> = kept().map(|(at, _)| at).collect();
                let place = |at: usize| places.get(at).copied().unwrap_or(piece.end - 1);
                let (normalised, mut again) = model.encode(Aligned::new(&alone));
                if !number.starts_with(&[SPACE]) {
                    without_prefix(&mut again, normalised.text(), model);
                }
                for found in again {
                    let origin = normalised.origin(found.start..found.end);
                    let end = origin.end.checked_sub(1).map_or(piece.start, |last| place(last) + 1);
                    let start = place(origin.start).min(end);
                    cut.push(Piece { id: found.id, start, end });
                }
                cut.push(Piece { id: model.pieces.id(","), start: piece.end - 1, end: piece.end });
            }
            _ => cut.push(piece),
        }
    }
    cut
}

/// Takes the space from the first piece. Nothing is left of a piece that is only a space.
fn without_prefix(pieces: &mut Vec<Piece>, text: &str, model: &SentencePiece) {
    let Some(first) = pieces.first_mut() else { return };
    let spelling: String = text.chars().skip(first.start).take(first.end - first.start).collect();
    match spelling.strip_prefix(SPACE) {
        Some("") => drop(pieces.remove(0)),
        Some(rest) => {
            first.id = model.pieces.id(rest);
            first.start += 1;
        }
        None => {}
    }
}
