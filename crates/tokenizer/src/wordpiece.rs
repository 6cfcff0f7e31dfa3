//! A word's pieces: WordPiece (greedy, longest match first) or single characters.

use unicode_normalization::UnicodeNormalization;

use crate::vocabulary::Vocabulary;

/// Longer words become `[UNK]` without a look at the vocabulary: BERT's `max_input_chars_per_word`.
const LONGEST_WORD: usize = 100;

/// A piece of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) id: u32,
    /// First character of the word that the piece covers.
    pub(crate) start: usize,
    /// The character after its last.
    pub(crate) end: usize,
}

/// How words become pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subwords {
    WordPiece,
    Characters,
}

impl Subwords {
    /// Appends the pieces of `word` to `pieces`.
    pub(crate) fn cut(self, word: &str, vocabulary: &Vocabulary, unknown: u32, pieces: &mut Vec<Piece>) {
        match self {
            Self::WordPiece => word_pieces(word, vocabulary, unknown, pieces),
            Self::Characters => characters(word, vocabulary, unknown, pieces),
        }
    }
}

/// Python's `str.isspace`, by which BERT's WordPiece splits: Unicode white space and the four separators
/// U+001C to U+001F, which Unicode calls control characters.
pub(crate) fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// BERT's WordPiece over what white space separates within `word`. (MeCab keeps some separators, such as U+2028,
/// as words or inside them, so a word of its may hold none or several of ours.)
fn word_pieces(word: &str, vocabulary: &Vocabulary, unknown: u32, pieces: &mut Vec<Piece>) {
    // Byte position of every character, so that a run of characters is a slice.
    let bounds: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
    let mut first = 0;
    for run in word.split(is_python_space) {
        let length = run.chars().count();
        if length > 0 {
            cut_run(word, &bounds, first..first + length, vocabulary, unknown, pieces);
        }
        first += length + 1;
    }
}

/// Cuts the characters `run` of `word`: the longest piece first, all or `[UNK]`.
fn cut_run(
    word: &str,
    bounds: &[usize],
    run: std::ops::Range<usize>,
    vocabulary: &Vocabulary,
    unknown: u32,
    pieces: &mut Vec<Piece>,
) {
    let whole = Piece { id: unknown, start: run.start, end: run.end };
    if run.len() > LONGEST_WORD {
        return pieces.push(whole);
    }
    let before = pieces.len();
    let mut start = run.start;
    while start < run.end {
        let longest = run.end.min(start + vocabulary.longest());
        let found = (start + 1..=longest).rev().find_map(|end| {
            let text = &word[bounds[start]..bounds[end]];
            let id = if start == run.start { vocabulary.id(text) } else { vocabulary.continuation_id(text) };
            id.map(|id| Piece { id, start, end })
        });
        match found {
            Some(piece) => {
                start = piece.end;
                pieces.push(piece);
            }
            None => {
                pieces.truncate(before);
                return pieces.push(whole);
            }
        }
    }
}

/// One piece a character, `[UNK]` for those the vocabulary lacks. transformers normalises here once more, which
/// matters only where lower-casing has undone the first normalisation; such a word's pieces all cover the whole word.
fn characters(word: &str, vocabulary: &Vocabulary, unknown: u32, pieces: &mut Vec<Piece>) {
    let length = word.chars().count();
    let normalised: String = word.nfkc().collect();
    let unchanged = normalised == word;
    let mut buffer = [0; 4];
    for (at, character) in normalised.chars().enumerate() {
        let id = vocabulary.id(character.encode_utf8(&mut buffer)).unwrap_or(unknown);
        let (start, end) = if unchanged { (at, at + 1) } else { (0, length) };
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
        subwords.cut(word, &vocabulary, UNKNOWN, &mut pieces);
        pieces.iter().map(|piece| (piece.id, piece.start, piece.end)).collect()
    }

    #[test]
    fn the_longest_piece_comes_first() {
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
    fn white_space_inside_a_word_separates_and_vanishes() {
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
    }
}
