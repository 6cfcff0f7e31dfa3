//! transformers' `BasicTokenizer` as `BertJapaneseTokenizer` configures it: words are separated by white space and
//! punctuation. Chinese characters are not split into words, because Japanese words contain them.
//!
//! Character categories are those of the newest Unicode. Python uses an older version and treats characters that were
//! assigned later as unassigned, so it drops them as control characters.

use std::ops::Range;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::wordpiece::is_python_space;

/// transformers' `_clean_text`: white space becomes a space; control characters, unassigned ones and U+FFFD are dropped.
pub(crate) fn clean(character: char) -> Option<char> {
    match character {
        '\t' | '\n' | '\r' => Some(' '),
        '\u{fffd}' => None,
        _ if character.general_category() == GeneralCategory::SpaceSeparator => Some(' '),
        _ if character.general_category_group() == GeneralCategoryGroup::Other => None,
        _ => Some(character),
    }
}

/// Whether lower-casing drops this combining character (`_run_strip_accents`).
pub(crate) fn is_accent(character: char) -> bool {
    character.general_category() == GeneralCategory::NonspacingMark
}

/// Calls `found` with every run of characters between white space and its range in characters, until it returns false.
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

/// Splits a word into punctuation characters and the runs between them, with their ranges in characters.
pub(crate) fn split_on_punctuation(word: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let mut start = 0;
    word.split_inclusive(is_punctuation)
        .flat_map(move |run| {
            let last = run.char_indices().next_back().filter(|&(_, last)| is_punctuation(last));
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

/// BERT's punctuation: Unicode's, and every ASCII character but letters, digits, spaces and control characters.
fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation()
        || character.general_category_group() == GeneralCategoryGroup::Punctuation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_split_off() {
        let parts: Vec<_> = split_on_punctuation("「新型」$5!?").collect();
        let expected =
            [("「", 0..1), ("新型", 1..3), ("」", 3..4), ("$", 4..5), ("5", 5..6), ("!", 6..7), ("?", 7..8)];
        assert_eq!(parts, expected);
        assert_eq!(split_on_punctuation("新型").collect::<Vec<_>>(), [("新型", 0..2)]);
        assert_eq!(split_on_punctuation("").count(), 0);
    }

    #[test]
    fn control_characters_are_dropped_and_white_space_becomes_a_space() {
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
