//! transformers' `BasicTokenizer`, as `BertJapaneseTokenizer` makes it: words are what white space and punctuation
//! separate. Chinese characters are not set apart, for Japanese has them inside words.
//!
//! Categories of characters are those of the newest Unicode. Python knows its own version's, and takes what was
//! assigned later for unassigned, that is, for control characters.

use std::ops::Range;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::wordpiece::is_python_space;

/// What `_clean_text` makes of a character: white space becomes a space; control characters, unassigned ones and
/// U+FFFD vanish.
pub(crate) fn clean(character: char) -> Option<char> {
    match character {
        '\t' | '\n' | '\r' => Some(' '),
        '\u{fffd}' => None,
        _ if character.general_category() == GeneralCategory::SpaceSeparator => Some(' '),
        _ if character.general_category_group() == GeneralCategoryGroup::Other => None,
        _ => Some(character),
    }
}

/// Whether this combining character goes with lower-casing (`_run_strip_accents`).
pub(crate) fn is_accent(character: char) -> bool {
    character.general_category() == GeneralCategory::NonspacingMark
}

/// Calls `found` with every run of characters between white space and the characters it covers, until it says `false`.
pub(crate) fn split_on_white_space(text: &str, mut found: impl FnMut(&str, Range<usize>) -> bool) {
    let mut start = 0;
    for run in text.split(is_python_space) {
        let end = start + run.chars().count();
        if !run.is_empty() && !found(run, start..end) {
            return;
        }
        start = end + 1;
    }
}

/// The parts of a word: each punctuation character, and the runs between them, with the characters they cover.
pub(crate) fn split_on_punctuation(word: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let bounds = |character: char| is_punctuation(character);
    let mut start = 0;
    word.split_inclusive(bounds)
        .flat_map(move |run| {
            let last = run.char_indices().next_back().filter(|&(_, last)| bounds(last));
            let (run, punctuation) = run.split_at(last.map_or(run.len(), |(at, _)| at));
            [run, punctuation]
        })
        .filter(|part| !part.is_empty())
        .map(move |part| {
            let range = start..start + part.chars().count();
            start = range.end;
            (part, range)
        })
}

/// BERT's punctuation: Unicode's, and everything in ASCII that is no letter, digit, space or control character.
fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation()
        || character.general_category_group() == GeneralCategoryGroup::Punctuation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_stands_alone() {
        let parts: Vec<_> = split_on_punctuation("「新型」$5!?").collect();
        let expected =
            [("「", 0..1), ("新型", 1..3), ("」", 3..4), ("$", 4..5), ("5", 5..6), ("!", 6..7), ("?", 7..8)];
        assert_eq!(parts, expected);
        assert_eq!(split_on_punctuation("新型").collect::<Vec<_>>(), [("新型", 0..2)]);
        assert_eq!(split_on_punctuation("").count(), 0);
    }

    #[test]
    fn control_characters_vanish_and_white_space_is_a_space() {
        let text = "a\u{0}b\u{7f}\u{200d}\u{fffd}\u{e000}\u{378}c\u{3000}\u{a0}\t\r\n\u{b}d";
        assert_eq!(text.chars().filter_map(clean).collect::<String>(), "abc     d");
    }

    #[test]
    fn white_space_is_pythons() {
        let mut words = Vec::new();
        split_on_white_space(" 東京 \u{2028}大阪", |word, range| {
            words.push((word.to_owned(), range));
            true
        });
        assert_eq!(words, [("東京".to_owned(), 1..3), ("大阪".to_owned(), 5..7)]);
    }
}
