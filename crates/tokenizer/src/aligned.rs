//! Normalised text, with the origin of each character in the original text.
//!
//! Normalisation changes lengths: ｶﾞ becomes ガ, ㍿ becomes 株式会社. So the text is changed segment by segment; segments
//! are cut where neither side affects the other. The origin of a character in an unchanged segment is that character; the
//! origin of a character in a changed segment is the whole segment.

use std::borrow::Cow;
use std::iter::repeat_n;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_canonical, decompose_compatible};
use unicode_normalization::{IsNormalized, is_nfc_quick, is_nfkc_quick};

/// A text, with the range of characters in the original text that each of its characters comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Aligned<'t> {
    text: Cow<'t, str>,
    /// The origin of each character; none if the texts correspond one to one.
    origins: Option<Vec<Range<usize>>>,
}

impl<'t> Aligned<'t> {
    /// The original text.
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text: Cow::Borrowed(text), origins: None }
    }

    /// The changed text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The origin of the characters `range`: from the start of the first one's to the end of the last one's.
    pub(crate) fn origin(&self, range: Range<usize>) -> Range<usize> {
        let Some(origins) = &self.origins else { return range };
        match origins.get(range).unwrap_or_default() {
            [] => 0..0,
            [only] => only.clone(),
            [first, .., last] => first.start..last.end,
        }
    }

    /// Unicode's NFKC.
    pub(crate) fn nfkc(self) -> Self {
        if is_nfkc_quick(self.text.chars()) == IsNormalized::Yes {
            return self;
        }
        self.change(
            |character| stands_alone(first_of(|found| decompose_compatible(character, found))),
            |segment, text| match is_nfkc_quick(segment.chars()) {
                IsNormalized::Yes => text.push_str(segment),
                _ => text.extend(segment.nfkc()),
            },
        )
    }

    /// Unicode's NFC.
    pub(crate) fn nfc(self) -> Self {
        self.change(
            |character| stands_alone(first_of(|found| decompose_canonical(character, found))),
            |segment, text| text.extend(segment.nfc()),
        )
    }

    /// Unicode's NFD, filtered by `keep`.
    pub(crate) fn nfd(self, keep: fn(char) -> bool) -> Self {
        // NFD composes nothing: only the order of combining characters depends on neighbours.
        self.change(
            |character| is_starter(first_of(|found| decompose_canonical(character, found))),
            |segment, text| text.extend(segment.nfd().filter(|&character| keep(character))),
        )
    }

    /// Unicode's NFKD, filtered by `keep`.
    pub(crate) fn nfkd(self, keep: fn(char) -> bool) -> Self {
        // As for NFD.
        self.change(
            |character| is_starter(first_of(|found| decompose_compatible(character, found))),
            |segment, text| text.extend(segment.nfkd().filter(|&character| keep(character))),
        )
    }

    /// Replaces the whole text by characters, each with the range in this text that it comes from.
    pub(crate) fn replaced(self, characters: Vec<(char, Range<usize>)>) -> Self {
        let text = characters.iter().map(|&(character, _)| character).collect();
        let origins = characters.into_iter().map(|(_, range)| self.origin(range)).collect();
        Self { text: Cow::Owned(text), origins: Some(origins) }
    }

    /// Replaces or drops each character.
    pub(crate) fn characters(self, replace: fn(char) -> Option<char>) -> Self {
        self.change(|_| true, |segment, text| text.extend(segment.chars().filter_map(replace)))
    }

    /// Lower case. The text is changed as a whole, because the lower case of Σ depends on its neighbours.
    pub(crate) fn lower_case(self) -> Self {
        let lengths = self.text.chars().map(|character| character.to_lowercase().count());
        let origins = lengths.enumerate().flat_map(|(at, count)| repeat_n(self.origin(at..at + 1), count));
        Self { origins: Some(origins.collect()), text: Cow::Owned(self.text.to_lowercase()) }
    }

    /// Replaces each segment by what `change` appends for it. `begins` accepts the characters that start a segment.
    fn change(self, begins: impl Fn(char) -> bool, change: impl Fn(&str, &mut String)) -> Self {
        let mut changed = String::with_capacity(self.text.len());
        let mut origins = Vec::new();
        let (mut rest, mut at) = (&*self.text, 0);
        while !rest.is_empty() {
            let end = rest.char_indices().skip(1).find(|&(_, character)| begins(character));
            let (segment, behind) = rest.split_at(end.map_or(rest.len(), |(end, _)| end));
            let characters = at..at + segment.chars().count();
            let before = changed.len();
            change(segment, &mut changed);
            let new = &changed[before..];
            if new == segment {
                origins.extend(characters.clone().map(|at| self.origin(at..at + 1)));
            } else {
                origins.extend(new.chars().map(|_| self.origin(characters.clone())));
            }
            (rest, at) = (behind, characters.end);
        }
        if changed == self.text { self } else { Self { text: Cow::Owned(changed), origins: Some(origins) } }
    }
}

/// The first character of a decomposition.
fn first_of(decompose: impl FnOnce(&mut dyn FnMut(char))) -> char {
    let mut first = None;
    decompose(&mut |character| first = first.or(Some(character)));
    first.unwrap_or_default()
}

/// Whether this decomposed character neither composes with what precedes it nor moves: a starter whose NFC quick check is
/// yes (UAX 15, section 9.1).
fn stands_alone(decomposed: char) -> bool {
    is_starter(decomposed) && is_nfc_quick(std::iter::once(decomposed)) == IsNormalized::Yes
}

/// Whether the character starts a combining sequence.
fn is_starter(character: char) -> bool {
    canonical_combining_class(character) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The origin of each character of the changed text.
    fn origins(text: &Aligned<'_>) -> Vec<(char, Range<usize>)> {
        text.text().chars().enumerate().map(|(at, character)| (character, text.origin(at..at + 1))).collect()
    }

    #[test]
    fn one_character_may_become_several_and_several_one() {
        let text = Aligned::new("㍿ｶﾞは").nfkc();
        assert_eq!(text.text(), "株式会社ガは");
        assert_eq!(text.origin(1..3), 0..1);
        assert_eq!(text.origin(4..5), 1..3);
        assert_eq!(text.origin(3..6), 0..4);
    }

    #[test]
    fn an_unchanged_segment_corresponds_one_to_one() {
        // No composed letter has these marks: two characters before and after.
        let text = Aligned::new("x\u{302}½").nfkc();
        assert_eq!(text.text(), "x\u{302}1⁄2");
        let expected = [('x', 0..1), ('\u{302}', 1..2), ('1', 2..3), ('⁄', 2..3), ('2', 2..3)];
        assert_eq!(origins(&text), expected);
        assert_eq!(Aligned::new("見出し").nfkc(), Aligned::new("見出し"));
    }

    #[test]
    fn reordered_marks_come_from_their_whole_sequence() {
        // Canonical order puts U+0323 (below) before U+0307 (above).
        let text = Aligned::new("q\u{307}\u{323}r").nfkc();
        assert_eq!(text.text(), "q\u{323}\u{307}r");
        assert_eq!(text.origin(1..2), 0..3);
        assert_eq!(text.origin(3..4), 3..4);
    }

    #[test]
    fn hangul_letters_make_one_syllable() {
        let text = Aligned::new("\u{1112}\u{1161}\u{11ab}글").nfkc();
        assert_eq!(origins(&text), [('한', 0..3), ('글', 3..4)]);
    }

    #[test]
    fn steps_can_be_chained() {
        let text = Aligned::new("e\u{200b}\u{301}İ").characters(|c| (c != '\u{200b}').then_some(c)).nfc();
        assert_eq!(origins(&text), [('é', 0..3), ('İ', 3..4)]);
        let lower = text.lower_case();
        assert_eq!(origins(&lower), [('é', 0..3), ('i', 3..4), ('\u{307}', 3..4)]);
        let plain = lower.nfd(|character| character.is_ascii());
        assert_eq!(origins(&plain), [('e', 0..3), ('i', 3..4)]);
    }

    #[test]
    fn replaced_characters_come_from_what_they_replace() {
        let text = Aligned::new("㍿x").nfkc().replaced(vec![('_', 0..1), ('K', 0..4), ('x', 4..5)]);
        assert_eq!(origins(&text), [('_', 0..1), ('K', 0..1), ('x', 1..2)]);
    }

    #[test]
    fn a_final_sigma_has_a_lower_case_of_its_own() {
        assert_eq!(Aligned::new("ΟΔΟΣ Σ").lower_case().text(), "οδος σ");
    }

    /// Every character of Unicode, between neighbours that compose with many others.
    #[test]
    fn segments_normalise_like_the_whole_text() {
        const NEIGHBOURS: [char; 8] = ['e', 'か', 'ｶ', '\u{301}', '\u{3099}', 'ﾞ', '\u{1100}', '\u{1161}'];
        for (at, character) in ('\0'..=char::MAX).enumerate() {
            let neighbour = |step: usize| NEIGHBOURS[(at / step) % NEIGHBOURS.len()];
            let text: String =
                [neighbour(1), neighbour(8), character, neighbour(3), neighbour(64)].iter().collect();
            let changed = Aligned::new(&text).nfkc();
            assert_eq!(changed.text(), text.nfkc().collect::<String>(), "{text:?}");
            assert_eq!(Aligned::new(&text).nfc().text(), text.nfc().collect::<String>(), "{text:?}");
            assert_eq!(Aligned::new(&text).nfd(|_| true).text(), text.nfd().collect::<String>(), "{text:?}");
            assert_eq!(
                Aligned::new(&text).nfkd(|_| true).text(),
                text.nfkd().collect::<String>(),
                "{text:?}"
            );
        }
    }
}
