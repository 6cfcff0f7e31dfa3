//! Words to pieces: WordPiece (greedy, longest match first) or single characters.

use std::borrow::Cow;
use std::ops::Range;

use crate::aligned::Aligned;
use crate::vocabulary::{CONTINUATION, Vocabulary};

/// Longer words become `[UNK]`: BERT's `max_input_chars_per_word`.
const LONGEST_WORD: usize = 100;

/// A piece of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) id: u32,
    /// First character of the word that the piece covers.
    pub(crate) start: usize,
    /// The character after the last one.
    pub(crate) end: usize,
}

/// How words are cut into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subwords {
    WordPiece,
    Characters,
    /// By a SentencePiece model, which has the vocabulary.
    SentencePiece,
}

/// Python's `str.isspace`, which BERT's WordPiece uses: Unicode white space and the separators U+001C to U+001F, which are
/// control characters in Unicode.
pub(crate) fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// BERT's WordPiece on each run between white space in `word`. MeCab keeps some separators, such as U+2028, as words or
/// inside words, so one of its words may hold no run or several.
pub(crate) fn word_pieces(word: &str, vocabulary: &Vocabulary, unknown: u32, pieces: &mut Vec<Piece>) {
    let mut first = 0;
    for run in word.split(is_python_space) {
        let length = run.chars().count();
        if length > 0 {
            let before = pieces.len();
            if length > LONGEST_WORD || !cut_run(run, first..first + length, vocabulary, pieces) {
                pieces.truncate(before);
                pieces.push(Piece { id: unknown, start: first, end: first + length });
            }
        }
        first += length + 1;
    }
}

/// Cuts `run`, the characters `range` of a word, longest piece first. Returns false if the vocabulary cannot spell it.
fn cut_run(mut run: &str, mut range: Range<usize>, vocabulary: &Vocabulary, pieces: &mut Vec<Piece>) -> bool {
    let mut mark = "";
    while !run.is_empty() {
        let spelled = if mark.is_empty() { Cow::Borrowed(run) } else { Cow::Owned(format!("{mark}{run}")) };
        let longest_first = run.char_indices().rev().zip((range.start + 1..=range.end).rev());
        let found = longest_first.skip(range.len().saturating_sub(vocabulary.longest())).find_map(
            |((at, character), end)| {
                let length = at + character.len_utf8();
                Some((vocabulary.id(&spelled[..mark.len() + length])?, end, length))
            },
        );
        let Some((id, end, length)) = found else { return false };
        pieces.push(Piece { id, start: range.start, end });
        (run, range.start, mark) = (&run[length..], end, CONTINUATION);
    }
    true
}

/// One piece a character; `[UNK]` for characters that the vocabulary lacks. transformers normalises the word here once
/// more, which matters if it was not normalised before or lower-casing undid that.
pub(crate) fn characters(word: &str, vocabulary: &Vocabulary, unknown: u32, pieces: &mut Vec<Piece>) {
    let normalised = Aligned::new(word).nfkc();
    let mut buffer = [0; 4];
    for (at, character) in normalised.text().chars().enumerate() {
        let id = vocabulary.id(character.encode_utf8(&mut buffer)).unwrap_or(unknown);
        let Range { start, end } = normalised.origin(at..at + 1);
        pieces.push(Piece { id, start, end });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const UNKNOWN: u32 = 0;

    fn cut(subwords: Subwords, word: &str, tokens: &[&str]) -> Vec<(u32, usize, usize)> {
        let vocabulary: Vocabulary = ["[UNK]"].iter().chain(tokens).copied().collect();
        let mut pieces = Vec::new();
        match subwords {
            Subwords::Characters => characters(word, &vocabulary, UNKNOWN, &mut pieces),
            _ => word_pieces(word, &vocabulary, UNKNOWN, &mut pieces),
        }
        pieces.iter().map(|piece| (piece.id, piece.start, piece.end)).collect()
    }

    #[test]
    fn the_longest_piece_is_taken_first() {
        let tokens = ["東", "東京", "##都", "##都庁", "都"];
        assert_eq!(cut(Subwords::WordPiece, "東京都庁", &tokens), [(2, 0, 2), (4, 2, 4)]);
        assert_eq!(cut(Subwords::WordPiece, "東京都", &tokens), [(2, 0, 2), (3, 2, 3)]);
    }

    #[test]
    fn a_word_with_one_unknown_part_is_unknown_as_a_whole() {
        assert_eq!(cut(Subwords::WordPiece, "東京駅", &["東京", "駅"]), [(UNKNOWN, 0, 3)]);
    }

    #[test]
    fn a_word_of_101_characters_is_unknown() {
        let tokens = ["あ", "##あ"];
        assert_eq!(cut(Subwords::WordPiece, &"あ".repeat(100), &tokens).len(), 100);
        assert_eq!(cut(Subwords::WordPiece, &"あ".repeat(101), &tokens), [(UNKNOWN, 0, 101)]);
    }

    #[test]
    fn white_space_inside_a_word_separates_and_is_dropped() {
        let tokens = ["a", "b", "##b"];
        assert_eq!(cut(Subwords::WordPiece, "ab\u{2028}b", &tokens), [(1, 0, 1), (3, 1, 2), (2, 3, 4)]);
        assert_eq!(cut(Subwords::WordPiece, "\u{1c}\u{1d}", &tokens), []);
    }

    #[test]
    fn a_word_that_starts_like_a_continuation_can_be_one_piece() {
        assert_eq!(cut(Subwords::WordPiece, "##b", &["##b"]), [(1, 0, 3)]);
    }

    #[test]
    fn characters_are_looked_up_one_by_one() {
        assert_eq!(
            cut(Subwords::Characters, "東京😀", &["京", "東"]),
            [(2, 0, 1), (1, 1, 2), (UNKNOWN, 2, 3)]
        );
        assert_eq!(cut(Subwords::Characters, "㌔ｶﾞ", &["キ", "ロ", "ガ"]), [(1, 0, 1), (2, 0, 1), (3, 1, 3)]);
    }
}
