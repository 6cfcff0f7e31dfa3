//! The vocabulary: the pieces of a SentencePiece unigram model with their scores.

use std::collections::HashSet;

use super::cursor::Cursor;
use crate::error::{Result, damaged};

/// One piece. Its id is its index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece<'f> {
    /// Its spelling; `▁` stands for a space.
    pub text: &'f str,
    /// Logarithm of its probability.
    pub score: f32,
}

/// The ids of the pieces that are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialPieces {
    /// Starts a text.
    pub begin: usize,
    /// Ends a text.
    pub end: usize,
    /// Fills up a batch.
    pub padding: usize,
    /// Stands for a character that is in no piece.
    pub unknown: usize,
}

/// The pieces in the order of their ids.
#[derive(Debug)]
pub struct Vocabulary<'f> {
    /// The pieces; no two have the same spelling.
    pub pieces: Vec<Piece<'f>>,
    /// The ids of the special ones, which differ from one another.
    pub special: SpecialPieces,
}

/// Reads the number of pieces, four special ids, the length of all spellings, their offsets, the scores, the spellings.
pub(super) fn read<'f>(cursor: &mut Cursor<'f>) -> Result<Vocabulary<'f>> {
    let count = cursor.size("the number of pieces")?;
    let mut special = || cursor.size("a special id");
    let (begin, end, padding, unknown) = (special()?, special()?, special()?, special()?);
    let special = SpecialPieces { begin, end, padding, unknown };
    let length = cursor.long_size("the length of all pieces")?;
    let offset_count = count.saturating_add(1);
    let offsets: &[[u8; 4]] = cursor.array(offset_count, "the pieces' offsets")?;
    let scores: &[[u8; 4]] = cursor.array(count, "the pieces' scores")?;
    let place = cursor.place();
    let spellings = cursor.take(length, "pieces")?;
    let spellings = std::str::from_utf8(spellings)
        .map_err(|error| damaged(place, format!("pieces that are no UTF-8: {error}"), "UTF-8"))?;

    let offset = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).unwrap_or(usize::MAX);
    let mut pieces = Vec::with_capacity(count);
    let mut known = HashSet::with_capacity(count);
    for (id, (pair, score)) in offsets.windows(2).zip(scores).enumerate() {
        let [start, end] = pair else { continue };
        let (start, end, score) = (offset(start), offset(end), f32::from_le_bytes(*score));
        let wrong = |found: String, expected: &str| Err(damaged(format!("piece {id}"), found, expected));
        let Some(text) = spellings.get(start..end).filter(|text| !text.is_empty()) else {
            return wrong(format!("bytes {start} to {end} of {length}"), "characters within all pieces");
        };
        if !known.insert(text) {
            return wrong(format!("{text:?} again"), "pieces that differ");
        }
        if !score.is_finite() {
            return wrong(format!("the score {score}"), "a finite number");
        }
        pieces.push(Piece { text, score });
    }
    check_special(special, count)?;
    Ok(Vocabulary { pieces, special })
}

fn check_special(special: SpecialPieces, count: usize) -> Result<()> {
    let SpecialPieces { begin, end, padding, unknown } = special;
    let ids = [begin, end, padding, unknown];
    if ids.iter().any(|&id| id >= count) || HashSet::from(ids).len() < ids.len() {
        return Err(damaged(
            "special pieces",
            format!("the ids {begin}, {end}, {padding} and {unknown}"),
            format!("four different ids below {count}"),
        ));
    }
    Ok(())
}
