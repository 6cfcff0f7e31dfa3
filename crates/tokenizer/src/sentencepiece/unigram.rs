//! SentencePiece's Unigram (Kudo 2018, `unigram_model.cc`): the pieces whose scores have the largest sum.

use std::ops::Range;

use super::pieces::{Kind, Pieces};

/// How much worse than the worst piece an unknown character is: SentencePiece's `kUnkPenalty`.
const UNKNOWN_PENALTY: f32 = 10.0;

/// The scores that depend on all pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unigram {
    unknown_score: f32,
    largest: f32,
}

/// The best way to the end of a piece.
#[derive(Clone, Copy, Default)]
struct Best {
    id: u32,
    score: f32,
    /// The byte where its last piece starts; none if no way was found yet.
    start: Option<usize>,
}

impl Unigram {
    pub(super) fn new(pieces: &Pieces) -> Self {
        let normal = || pieces.iter().filter(|piece| piece.kind == Kind::Normal).map(|piece| piece.score);
        // SentencePiece starts with the smallest positive number (C's FLT_MIN), not with the smallest of all.
        let largest = normal().fold(f32::MIN_POSITIVE, f32::max);
        let smallest = normal().fold(f32::MAX, f32::min);
        Self { unknown_score: smallest - UNKNOWN_PENALTY, largest }
    }

    /// Cuts a text into pieces, an unknown character into the unknown piece: their bytes and ids.
    ///
    /// Sums are in single precision, as SentencePiece's are: between cuts of almost equal scores, rounding decides.
    pub(super) fn cut(self, text: &str, pieces: &Pieces) -> Vec<(Range<usize>, u32)> {
        let mut best = vec![Best::default(); text.len() + 1];
        for (start, character) in text.char_indices() {
            let so_far = best.get(start).map_or(0.0, |best| best.score);
            let mut has_character = false;
            for (length, id) in pieces.prefixes(text.get(start..).unwrap_or_default()) {
                let (score, kind) = pieces.score(id);
                let score = match kind {
                    Kind::Unused => continue,
                    Kind::UserDefined => {
                        let length = f32::from(u16::try_from(length).unwrap_or(u16::MAX));
                        // SentencePiece's bonus, which makes it win against any other cut.
                        single(f64::from(length * self.largest) - 0.1)
                    }
                    _ => score,
                };
                improve(&mut best, start, length, id, score + so_far);
                has_character |= length == character.len_utf8();
            }
            if !has_character {
                let candidate = self.unknown_score + so_far;
                improve(&mut best, start, character.len_utf8(), pieces.unknown, candidate);
            }
        }
        let mut cut = Vec::new();
        let mut end = text.len();
        while end > 0
            && let Some(Best { id, start: Some(start), .. }) = best.get(end).copied()
        {
            cut.push((start..end, id));
            end = start;
        }
        cut.reverse();
        cut
    }
}

#[allow(clippy::cast_possible_truncation, reason = "SentencePiece keeps scores in single precision")]
fn single(score: f64) -> f32 {
    score as f32
}

/// Takes the way through the piece at `start` if it is better than the best one to the same end.
fn improve(best: &mut [Best], start: usize, length: usize, id: u32, candidate: f32) {
    if let Some(end) = best.get_mut(start + length)
        && (end.start.is_none() || candidate > end.score)
    {
        *end = Best { id, score: candidate, start: Some(start) };
    }
}
